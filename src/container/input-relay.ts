import { errnos } from "../linux/errno.ts";
import {
  bytesInPipe,
  createPipe,
  enlargePipe,
  type FdPair,
  openFileFlags,
  readSome,
  seekBack,
  setOpenFileFlags,
  writePatiently,
} from "../linux/fd.ts";
import { SystemCallError } from "../util/errors.ts";
import { readOwnInput } from "./own-input.ts";

/** What gocker's standard input is: each is read in its own way. */
export type InputKind = "file" | "terminal" | "stream";

/** For files: what is read at once, and what the container can be behind. */
const largePiece = 1024 * 1024;

/**
 * A pipe for the container in the place of gocker's standard input, and what fills it. A descriptor of a file could be
 * opened anew inside, for writing, whatever the caller opened it for.
 */
export class InputRelay implements Disposable {
  readonly #kind: InputKind;
  readonly #pipe: FdPair;
  readonly #flags: number;
  #stop: (() => void) | undefined;
  #open = true;
  /** Bytes of a file that were read and are not in the pipe. */
  #behind = 0;
  #failure: Error | undefined;

  constructor(kind: InputKind) {
    this.#kind = kind;
    this.#flags = openFileFlags(0);
    this.#pipe = createPipe();
    if (kind === "file") enlargePipe(this.#pipe.writer.number, largePiece);
  }

  /** The container's end. */
  get descriptor(): number {
    return this.#pipe.reader.number;
  }

  /** The container has its end: fills the pipe until the input ends, or nobody has the container's end any more. */
  start(): void {
    // A file's is kept, to see what was not read.
    if (this.#kind !== "file") this.#pipe.reader.close();
    void this.#copy();
  }

  /** The container has ended. @throws what kept input from it */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #copy(): Promise<void> {
    const writer = () => (this.#open ? this.#pipe.writer.number : undefined);
    try {
      for await (const chunk of this.#chunks()) await writePatiently(writer, chunk, (count) => (this.#behind -= count));
    } catch (error) {
      // The container reads no more, or has ended; or the terminal is gone.
      const isGone = error instanceof SystemCallError && error.errno === errnos.EPIPE;
      if (this.#open && !isGone && this.#kind !== "terminal") this.#failure = error as Error;
    } finally {
      // The end of the container's input.
      this.#open = false;
      this.#pipe.writer.close();
    }
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    if (this.#kind === "file") {
      const buffer = new Uint8Array(largePiece);
      for (let bytes = readSome(0, buffer); bytes.length > 0; bytes = readSome(0, buffer)) {
        this.#behind = bytes.length;
        yield bytes;
      }
    } else {
      const input = await readOwnInput(this.#kind);
      this.#stop = () => input.stop();
      yield* input.chunks;
    }
  }

  /** Reading ends, and the input is left to others who share it: at the place up to which the container read a file. */
  [Symbol.dispose](): void {
    this.#open = false;
    this.#stop?.();
    if (this.#kind === "file") seekBack(0, this.#behind + bytesInPipe(this.#pipe.reader.number));
    this.#pipe[Symbol.dispose]();
    setOpenFileFlags(0, this.#flags);
  }
}
