import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { nanosecondsNow } from "../linux/clock.ts";
import { parseExactJson } from "../util/exact-json.ts";
import { DirectoryWatch } from "./directory-watch.ts";
import { eventLogPaths, type EventType } from "./events.ts";

/** An event as the log has it, in the words of Docker's API. */
export interface LoggedEvent {
  /** Of containers and images only, as {@link LoggedEvent.id}. */
  readonly status?: string;
  readonly id?: string;
  /** The image of a container, as the user named it. */
  readonly from?: string;
  readonly Type: EventType;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** Nanoseconds since 1970. */
  readonly timeNano: bigint;
}

/** Which events {@link followEvents} gives. Times are nanoseconds since 1970. */
export interface EventRange {
  /** Not those before. Neither this nor `until`: only those to come. */
  readonly since?: bigint | undefined;
  /** Not those after: it ends at that time. Absent: it never ends. */
  readonly until?: bigint | undefined;
}

/** All events that the log has, in their order. @param state gocker's state directory */
export function* pastEvents(state: string): Generator<LoggedEvent> {
  using log = new LogReader(state, "beginning");
  yield* log.read();
}

/**
 * The events of the log in their order, those of before first, and then each as it happens.
 * @param state gocker's state directory
 */
export async function* followEvents(state: string, { since, until }: EventRange): AsyncGenerator<LoggedEvent> {
  using log = new LogReader(state, since === undefined && until === undefined ? "end" : "beginning");
  // Before the log is read, so that nothing happens unseen in between.
  using watch = until !== undefined && until <= nanosecondsNow() ? undefined : new DirectoryWatch(state);
  for (;;) {
    // Asked before the log is read: what has happened by that time is in there.
    const now = nanosecondsNow();
    for (const event of log.read()) {
      if (until !== undefined && event.timeNano > until) continue;
      if (since === undefined || event.timeNano >= since) yield event;
    }
    const left = until === undefined ? undefined : Number(until - now) / 1e6;
    if (watch === undefined || (left !== undefined && left <= 0)) return;
    await watch.next(left);
  }
}

/** Reads the log from file to file, across its being put aside. */
class LogReader implements Disposable {
  readonly #paths: { readonly current: string; readonly previous: string };
  #file: number | undefined;
  #position = 0;
  /** The beginning of a line whose end is not there yet. */
  #rest = Buffer.alloc(0);

  constructor(state: string, from: "beginning" | "end") {
    this.#paths = eventLogPaths(state);
    if (from === "beginning") this.#file = open(this.#paths.previous) ?? open(this.#paths.current);
    else {
      this.#file = open(this.#paths.current) ?? open(this.#paths.previous);
      if (this.#file !== undefined) this.#position = fstatSync(this.#file).size;
    }
  }

  /** What has come since the last call. */
  *read(): Generator<LoggedEvent> {
    for (;;) {
      // Looked for before the file is read to its end: what has a successor has been put aside, and is complete.
      const successor = this.#successor();
      if (this.#file !== undefined) yield* this.#readFile(this.#file);
      if (successor === undefined) return;
      this[Symbol.dispose]();
      this.#file = successor;
      this.#position = 0;
      this.#rest = Buffer.alloc(0);
    }
  }

  /** The file that comes after the one that is being read, opened; undefined when that is the last. */
  #successor(): number | undefined {
    const { current, previous } = this.#paths;
    if (this.#file === undefined) return open(current);
    if (isAt(current, this.#file)) return undefined;
    // Another one that is the previous now came in between.
    return isAt(previous, this.#file) ? open(current) : (open(previous) ?? open(current));
  }

  *#readFile(file: number): Generator<LoggedEvent> {
    const buffer = Buffer.alloc(64 << 10);
    for (;;) {
      const count = readSync(file, buffer, 0, buffer.length, this.#position);
      if (count === 0) return;
      this.#position += count;
      const bytes = Buffer.concat([this.#rest, buffer.subarray(0, count)]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      this.#rest = bytes.subarray(end);
      for (const line of bytes.toString("utf8", 0, end).split("\n")) {
        const event = parseEvent(line);
        if (event !== undefined) yield event;
      }
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function open(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isAt(path: string, file: number): boolean {
  const named = statSync(path, { throwIfNoEntry: false });
  const opened = fstatSync(file);
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}

/** Undefined for what is no event: the part of a line that a full disk has left. */
function parseEvent(line: string): LoggedEvent | undefined {
  let value: unknown;
  try {
    value = parseExactJson(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const event = value as Omit<LoggedEvent, "timeNano"> & { readonly timeNano?: number | bigint };
  if (typeof event.Action !== "string" || event.timeNano === undefined) return undefined;
  return { ...event, timeNano: BigInt(event.timeNano) };
}
