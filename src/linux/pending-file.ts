import { renameSync, unlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { linkAt, openDirectory } from "./at.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_WRONLY } from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";

/** open(2), "O_TMPFILE": a file without a name, which is gone with its last descriptor. */
const unnamed = 0o20000000 | O_DIRECTORY;
const create = 0o100;

/**
 * A file that gets its name when it is whole: until then what has that name stays as it is, and however this process ends
 * nothing is left (but on a file system where every file has a name, and the process is killed).
 */
export class PendingFile implements Disposable {
  readonly #path: string;
  readonly #file: OwnedFd;
  /** Absent once it has its own. */
  #temporary: string | undefined;

  private constructor(path: string, file: OwnedFd, temporary: string | undefined) {
    this.#path = path;
    this.#file = file;
    this.#temporary = temporary;
  }

  /** @throws SystemCallError */
  static create(path: string, mode: number): PendingFile {
    const directory = dirname(path);
    const fd = libc.openat(AT_FDCWD, directory, O_WRONLY | unnamed | O_CLOEXEC, mode);
    if (fd >= 0) return new PendingFile(path, new OwnedFd(fd), undefined);
    const number = errno();
    if (number !== errnos.EOPNOTSUPP && number !== errnos.EISDIR) throw systemCallError("open", { path }, number);
    const temporary = temporaryName(path);
    const named = libc.openat(AT_FDCWD, temporary, O_WRONLY | create | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (named < 0) throw systemCallError("open", { path });
    return new PendingFile(path, new OwnedFd(named), temporary);
  }

  get descriptor(): number {
    return this.#file.number;
  }

  /** Gives it its name, whatever had that before. @throws SystemCallError, or an error of node:fs */
  finish(): void {
    if (this.#temporary === undefined) {
      // There is no call that puts a file without a name in the place of another.
      const temporary = temporaryName(this.#path);
      using directory = openDirectory(dirname(temporary));
      linkAt(this.#file.number, directory.number, Buffer.from(basename(temporary)).toString("latin1"));
      this.#temporary = temporary;
    }
    renameSync(this.#temporary, this.#path);
    this.#temporary = undefined;
  }

  [Symbol.dispose](): void {
    this.#file.close();
    if (this.#temporary !== undefined) unlinkSync(this.#temporary);
  }
}

/** Beside the file, as `writeFileAtomic` names what is not whole. */
function temporaryName(path: string): string {
  return `${dirname(path)}/.${basename(path)}-${process.pid}.new`;
}
