import { OwnedFd, readSome } from "../../linux/fd.ts";
import { pollEvent } from "../../linux/poll.ts";
import type { Waiting } from "../../linux/waiting.ts";
import type { Service } from "./service.ts";

/** Milliseconds after which kills are counted again: the kernel may tell that it is about to kill. */
const countAgain = 50;
/** How often that is done: it does not kill where memory was found after all. */
const mostCounts = 20;

/** What {@link OomService} goes by. */
export interface OomOptions {
  /** See `openOomEvents`; owned from now on. */
  readonly events: number;
  /** How many processes were known to have been killed before. */
  readonly known: number;
  /** How many have been killed by now. */
  readonly count: () => number;
  /** More have. @param count all of them */
  readonly onKill: (count: number) => void;
}

/** Tells of processes of a container that are killed for lack of memory, while it runs. */
export class OomService implements Service {
  readonly #options: OomOptions;
  readonly #events: OwnedFd;
  #known: number;
  #countsLeft = 0;
  #countAt = 0;

  constructor(options: OomOptions) {
    this.#options = options;
    this.#events = new OwnedFd(options.events);
    this.#known = options.known;
  }

  *waiting(): Generator<Waiting> {
    yield { fd: this.#events.number, events: pollEvent.readable, serve: () => this.#told() };
  }

  get timeout(): number | undefined {
    return this.#countsLeft === 0 ? undefined : Math.max(0, this.#countAt - performance.now());
  }

  get isIdle(): boolean {
    return this.#countsLeft === 0;
  }

  expire(): void {
    if (this.#countsLeft > 0 && performance.now() >= this.#countAt) this.#count();
  }

  #told(): void {
    readSome(this.#events.number, new Uint8Array(4096));
    this.#countsLeft = mostCounts;
    this.#count();
  }

  #count(): void {
    const count = this.#options.count();
    this.#countsLeft = count > this.#known ? 0 : this.#countsLeft - 1;
    this.#countAt = performance.now() + countAgain;
    if (count <= this.#known) return;
    this.#known = count;
    this.#options.onKill(count);
  }

  [Symbol.dispose](): void {
    this.#events.close();
  }
}
