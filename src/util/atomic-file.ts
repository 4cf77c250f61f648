import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** How {@link writeFileAtomic} writes. */
export interface AtomicWriteOptions {
  /** Permission bits of a new file: 0600 unless told. */
  readonly mode?: number;
  /** Survive a loss of power: fsync of the file before, and of its directory after the rename. */
  readonly durable?: boolean;
}

let counter = 0;

/**
 * Writes a file so that others see either what was there before or all of the new content, never a part. The new
 * content is prepared beside the file, under a name that begins with `.` and ends in `.new`.
 */
export function writeFileAtomic(path: string, content: Uint8Array | string, options: AtomicWriteOptions = {}): void {
  const directory = dirname(path);
  const temporary = `${directory}/.${process.pid}-${counter++}-${Math.random().toString(36).slice(2, 10)}.new`;
  try {
    const fd = openSync(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      options.mode ?? 0o600,
    );
    try {
      writeFully(fd, typeof content === "string" ? Buffer.from(content) : content);
      if (options.durable === true) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (options.durable === true) syncDirectoryOf(directory);
}

/** Removes what {@link writeFileAtomic} has prepared in a directory for processes that were killed meanwhile. */
export function sweepPrepared(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    const pid = /^\.(\d+)-\d+-[0-9a-z]*\.new$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(`${directory}/${name}`, { force: true });
  }
}

/** Writes all of the bytes, however many calls it takes. */
export function writeFully(fd: number, bytes: Uint8Array, position?: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += writeSync(fd, bytes, done, bytes.length - done, position === undefined ? null : position + done);
  }
}

function syncDirectoryOf(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
