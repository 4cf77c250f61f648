import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { logNumber } from "./log-number.ts";

/** A file of a log, opened for reading. */
export interface LogFile extends Disposable {
  /** Where it was when it was opened. */
  readonly path: string;
  readonly fd: number;
  readonly isCompressed: boolean;
  /** It is written to, as far as is known. */
  readonly isCurrent: boolean;
}

/**
 * Opens all files of a log, the oldest first. Its writer may put files aside meanwhile, and compress them, and none is
 * opened twice or left out for that: the one that is written to is opened first, and then the others in the direction in
 * which they move. Which of them are older than that one, should it have been put aside meanwhile, their times say
 * (`RotatedFiles`).
 * @param path of the file that is written to
 * @param maximum the greatest number of a rotated file
 * @returns without one that is current when there is none (any more)
 * @throws what node:fs throws
 */
export function openLogFiles(path: string, maximum: number): LogFile[] {
  return openFiles(path, maximum, -1n);
}

/** As {@link openLogFiles}, without those that are not newer than a time. */
function openFiles(path: string, maximum: number, after: bigint): LogFile[] {
  const current = openIfThere(path, { isCompressed: false, isCurrent: true });
  const byTime = new Map<bigint, LogFile>();
  for (let number = 1; number <= maximum; number++) {
    // A compressed file appears before the other one is removed.
    const file =
      openIfThere(`${path}.${number}`, { isCompressed: false, isCurrent: false }) ??
      openIfThere(`${path}.${number}.gz`, { isCompressed: true, isCurrent: false });
    if (file === undefined) continue;
    const { mtimeNs } = fstatSync(file.fd, { bigint: true });
    if (mtimeNs <= after) {
      // All that have greater numbers are older still.
      file[Symbol.dispose]();
      break;
    }
    if (byTime.has(mtimeNs)) file[Symbol.dispose]();
    else byTime.set(mtimeNs, file);
  }
  const end = current === undefined || isAt(path, current.fd) ? undefined : timeOf(current);
  const older: LogFile[] = [];
  for (const [time, file] of [...byTime].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (end === undefined || time < end) older.push(file);
    else file[Symbol.dispose]();
  }
  return current === undefined ? older : [...older, current];
}

/**
 * The files that came after one that was read and put aside, the oldest first. None when it was not put aside.
 * @param file still open
 * @throws what node:fs throws
 */
export function openFilesAfter(file: LogFile, path: string, maximum: number): LogFile[] {
  return isAt(path, file.fd) ? [] : openFiles(path, maximum, timeOf(file));
}

/**
 * How many files there were between two that are read one after the other: removed before they were opened. 0 where it
 * cannot be told.
 */
export function countMissing(before: LogFile, next: LogFile): number {
  return Math.max(0, logNumber(next.fd) - logNumber(before.fd) - 1);
}

/** The bytes that a file takes on the disk only because somebody has it open. */
export function heldBytes({ fd }: LogFile): number {
  const { nlink, size } = fstatSync(fd);
  return nlink === 0 ? size : 0;
}

function timeOf(file: LogFile): bigint {
  return fstatSync(file.fd, { bigint: true }).mtimeNs;
}

/** Whether the path names the open file. */
function isAt(path: string, fd: number): boolean {
  const opened = fstatSync(fd, { bigint: true });
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}

function openIfThere(path: string, kind: Pick<LogFile, "isCompressed" | "isCurrent">): LogFile | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY);
    return { ...kind, path, fd, [Symbol.dispose]: () => closeSync(fd) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
