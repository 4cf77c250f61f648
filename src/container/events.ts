import { closeSync, constants, fstatSync, openSync, readSync, renameSync, statSync } from "node:fs";
import { nanosecondsNow } from "../linux/clock.ts";
import { FileLock } from "../linux/lock.ts";
import { writeFully } from "../util/atomic-file.ts";
import { GockerError } from "../util/errors.ts";
import { stringifyExact } from "../util/exact-json.ts";
import type { ContainerRecord } from "./record.ts";

export type EventType = "container" | "image" | "network" | "volume";

/** Something that has just happened. */
export interface NewEvent {
  readonly type: EventType;
  /** Docker's word for it: `create`, `start`, `die`, `pull`, `exec_create: sh -c true` … */
  readonly action: string;
  /** Of whom it happened to: a container's or an image's ID, a volume's or a network's name. */
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** From this size on the log is put aside, and a new one begun; in bytes. */
const largestLog = 4 << 20;

/** How long to wait for somebody who is just putting the log aside, which is a rename's time; in milliseconds. */
const longestWait = 1_000;

/**
 * Where events are: a line of JSON for each, in the form of Docker's API. One of before is kept beside it.
 * @param state gocker's state directory
 */
export function eventLogPaths(state: string): { readonly current: string; readonly previous: string } {
  return { current: `${state}/events.jsonl`, previous: `${state}/events.jsonl.1` };
}

/**
 * An event of a container with Docker's attributes: its labels, its image, its name.
 * @param more what belongs to this action: `exitCode` and `execDuration` of `die`, `signal` of `kill`, `oldName` …
 */
export function containerEvent(
  record: Pick<ContainerRecord, "id" | "name" | "image" | "labels">,
  action: string,
  more: Readonly<Record<string, string>> = {},
): NewEvent {
  const { id, name, image, labels } = record;
  return { type: "container", action, id, attributes: { ...labels, ...more, image: image.reference, name } };
}

/** The end of a container of which hardly more is known than that it was there. */
export function deadEvent({ id, name }: Pick<ContainerRecord, "id" | "name">): NewEvent {
  return { type: "container", action: "destroy", id, attributes: { name } };
}

/**
 * The events of the volumes of a container that begins to run or has ended, one for each place, with Docker's attributes.
 * Volumes that nothing has to be mounted in are told of, too: that they are in use is what the events say.
 */
export function volumeEvents(
  { id: container, mounts }: Pick<ContainerRecord, "id" | "mounts">,
  action: "mount" | "unmount",
): NewEvent[] {
  return mounts.flatMap(({ type, name, destination, readOnly }): NewEvent[] => {
    if (type !== "volume" || name === undefined) return [];
    const place = { destination, "read/write": String(!readOnly), propagation: "" };
    const attributes = { driver: "local", container, ...(action === "mount" && place) };
    return [{ type: "volume", action, id: name, attributes }];
  });
}

/**
 * Appends an event to the log, with the time that it is now. Takes microseconds; many may do it at once.
 *
 * The file's own lock is shared by those who append and exclusive for who puts the file aside. So a file that has been
 * put aside is complete, and a follower that has read it to its end misses nothing.
 * @param state gocker's state directory, which exists
 * @throws GockerError, or an error of node:fs: the event is lost, and what it tells of has happened all the same
 */
export function appendEvent(state: string, event: NewEvent): void {
  const { current } = eventLogPaths(state);
  const size = append(current, event);
  if (size >= largestLog) putAside(state, largestLog);
}

/** @returns how large the log is now; in bytes */
function append(path: string, event: NewEvent): number {
  using _lock = lockShared(path);
  const fd = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW);
  try {
    // What a full disk has cut off spoils no line but its own.
    const begin = endsInLine(fd) ? "" : "\n";
    writeFully(fd, Buffer.from(`${begin}${formatEvent(event, nanosecondsNow())}\n`));
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}

function lockShared(path: string): FileLock {
  const deadline = performance.now() + longestWait;
  do {
    const lock = FileLock.tryAcquire(path, "shared");
    if (lock !== undefined) return lock;
    Bun.sleepSync(1);
  } while (performance.now() < deadline);
  throw new GockerError("EVENTS", `cannot write to ${path}: another process does not let go of it`);
}

function endsInLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  readSync(fd, last, 0, 1, size - 1);
  return last[0] === 0x0a;
}

/**
 * Puts the log aside when it is large: in place of the one that was before. Whoever is appending keeps it from that; who
 * appends next does it then.
 */
export function putAside(state: string, from: number): void {
  const { current, previous } = eventLogPaths(state);
  using lock = FileLock.tryAcquire(current, "exclusive");
  // Another one may have done it since.
  if (lock !== undefined && statSync(current).size >= from) renameSync(current, previous);
}

/**
 * Docker's JSON of an event. `status`, `id` and `from` are the form of before 2016, which many programs still read.
 * @param time in nanoseconds since 1970
 */
export function formatEvent({ type, action, id, attributes }: NewEvent, time: bigint): string {
  const hasOldForm = type === "container" || type === "image";
  const { image } = attributes;
  return stringifyExact({
    ...(hasOldForm && { status: action, id }),
    ...(type === "container" && image !== undefined && { from: image }),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: "local",
    time: Number(time / 1_000_000_000n),
    timeNano: time,
  });
}
