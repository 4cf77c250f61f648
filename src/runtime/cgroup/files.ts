import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY, O_WRONLY } from "../../linux/constants.ts";
import { systemCallError } from "../../linux/errno.ts";
import { errno, libc } from "../../linux/libc.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import { hintFor } from "./errors.ts";

/** More than any control file has but the lists of processes, which are read until their end. */
const readBuffer = Buffer.allocUnsafe(16384);

/** A file descriptor that closes at the end of its scope, or when its owner says so. */
export class ControlFile implements Disposable {
  readonly path: string;
  #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** Opens a control file for writing. Throws SystemCallError. */
  static forWriting(path: string): ControlFile {
    return new ControlFile(path, open(path, O_WRONLY));
  }

  /** Opens a control file for reading. Throws SystemCallError. */
  static forReading(path: string): ControlFile {
    return new ControlFile(path, open(path, O_RDONLY));
  }

  /** Opens a cgroup's directory. Throws SystemCallError. */
  static directory(path: string): ControlFile {
    return new ControlFile(path, open(path, O_RDONLY | O_DIRECTORY));
  }

  get fd(): number {
    return this.#fd;
  }

  /** Gives the kernel one value; each write is one command to it. Throws SystemCallError. */
  write(value: string): void {
    const bytes = Buffer.from(value);
    if (Number(libc.write(this.#fd, bytes, bytes.length)) === -1) {
      const number = errno();
      throw systemCallError("write", { path: this.path, step: `write "${value}"`, hint: hintFor(number) }, number);
    }
  }

  /** The whole text from its beginning, as it is now. Throws SystemCallError. */
  readAgain(): string {
    const SEEK_SET = 0;
    if (Number(libc.syscall(syscallNumber("lseek"), this.#fd, 0, SEEK_SET, 0, 0, 0)) === -1) {
      throw systemCallError("lseek", { path: this.path });
    }
    return readText(this.#fd, this.path);
  }

  [Symbol.dispose](): void {
    if (this.#fd === -1) return;
    libc.close(this.#fd);
    this.#fd = -1;
  }
}

function open(path: string, flags: number): number {
  const fd = libc.openat(AT_FDCWD, path, flags | O_CLOEXEC, 0);
  if (fd === -1) {
    const number = errno();
    throw systemCallError("openat", { path, hint: hintFor(number) }, number);
  }
  return fd;
}

/** The text of an open control file from where reading stands. @param path for errors. Throws SystemCallError. */
export function readText(fd: number, path: string): string {
  let text = "";
  for (;;) {
    const length = Number(libc.read(fd, readBuffer, readBuffer.length));
    if (length === -1) throw systemCallError("read", { path });
    if (length === 0) return text;
    text += readBuffer.toString("latin1", 0, length);
  }
}

/** Writes one value to a control file. Throws SystemCallError. */
export function writeControl(path: string, value: string): void {
  using file = ControlFile.forWriting(path);
  file.write(value);
}

/** A control file's text without the newline at its end. Throws SystemCallError. */
export function readControl(path: string): string {
  using file = ControlFile.forReading(path);
  return readText(file.fd, path).trimEnd();
}

/** Whether the cgroup or the control file is there and may be read. */
export function exists(path: string): boolean {
  const fd = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd === -1) return false;
  libc.close(fd);
  return true;
}
