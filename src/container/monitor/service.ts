import type { Waiting } from "../../linux/waiting.ts";

/** Something that a monitor does for its container besides looking after it, such as to tell it names. */
export interface Service extends Disposable {
  /** What is waited for, and what is done then. */
  waiting(): Iterable<Waiting>;
  /** Milliseconds until {@link expire} has something to do; undefined for never. */
  readonly timeout: number | undefined;
  /** Does what is due by the clock. */
  expire(): void;
  /** Looks again at what the container has of networks, where it does not do so all the time. */
  refresh?(): void;
  /** Whether nothing is under way: the monitor may sleep until one of its sockets has something. */
  readonly isIdle: boolean;
}
