import { createInflateRaw, createZstdDecompress } from "node:zlib";
import { compressionError } from "./decompressor.ts";

/** How far one step of {@link NativeInflater} came. */
export interface InflateStep {
  /** Bytes taken of the input. */
  readonly consumed: number;
  /** Bytes written to the output. */
  readonly produced: number;
}

/**
 * The object behind a stream of node:zlib, with the interface that Node.js gives it. The streams themselves cannot work
 * while their last output is being used, and allocate a buffer for every piece; driven directly, one piece is inflated
 * in the thread pool while this thread takes the one before it, in two buffers for good. A unit test watches the
 * interface, the version of Bun is pinned.
 */
interface Handle {
  onerror: (message: string, errno: number, code: string) => void;
  write: HandleWrite;
  writeSync: HandleWrite;
  reset(): void;
  close(): void;
}

type HandleWrite = (
  flush: number,
  input: Uint8Array,
  inputOffset: number,
  inputLength: number,
  output: Uint8Array,
  outputOffset: number,
  outputLength: number,
) => void;

interface InflateHandle extends Handle {
  init(
    windowBits: number,
    level: number,
    memLevel: number,
    strategy: number,
    state: Uint32Array,
    callback: () => void,
    dictionary: undefined,
  ): void;
}

interface ZstdHandle extends Handle {
  init(parameters: Uint32Array, pledgedSize: undefined, state: Uint32Array, callback: () => void): void;
}

const formats = { deflate: "gzip", zstd: "zstd" } as const;

/** zlib.h's largest window, the level and memory level that say nothing when inflating, Z_NO_FLUSH and ZSTD_e_continue. */
const windowBits = 15;
const noLevel = -1;
const memoryLevel = 8;
const noFlush = 0;
/** "Not set", in the list of zstd's parameters. */
const unset = 0xffff_ffff;
const zstdParameters = 128;
const modes = { deflate: 6, zstd: 11 };

/** Inflates raw deflate or zstd, piece by piece, in the thread pool or here. */
export class NativeInflater implements Disposable {
  readonly #format: keyof typeof formats;
  readonly #handle: Handle;
  /** What the handle leaves: free bytes of the output, bytes of the input not taken. */
  readonly #state = new Uint32Array(2);
  #settle: (() => void) | undefined;
  #failure: string | undefined;

  constructor(format: keyof typeof formats) {
    this.#format = format;
    const done = () => this.#settle?.();
    if (format === "deflate") {
      const handle = new (handleClass<InflateHandle>(createInflateRaw()))(modes.deflate);
      handle.init(windowBits, noLevel, memoryLevel, 0, this.#state, done, undefined);
      this.#handle = handle;
    } else {
      const handle = new (handleClass<ZstdHandle>(createZstdDecompress()))(modes.zstd);
      handle.init(new Uint32Array(zstdParameters).fill(unset), undefined, this.#state, done);
      this.#handle = handle;
    }
    this.#handle.onerror = (message) => {
      this.#failure = message;
      this.#settle?.();
    };
  }

  /**
   * Inflates in the thread pool. The arrays must not be touched until the promise is settled, one step at a time.
   * It stops where the input or the space in the output ends, or the stream.
   * @throws InvalidDocumentError
   */
  async step(input: Uint8Array, inputOffset: number, output: Uint8Array, outputOffset: number): Promise<InflateStep> {
    const available = input.length - inputOffset;
    const room = output.length - outputOffset;
    await new Promise<void>((resolve) => {
      this.#settle = resolve;
      this.#handle.write(noFlush, input, inputOffset, available, output, outputOffset, room);
    });
    return this.#result(available, room);
  }

  /** As {@link step}, but in this thread: for pieces that are smaller than what going to the pool costs. */
  stepSync(input: Uint8Array, inputOffset: number, output: Uint8Array, outputOffset: number): InflateStep {
    const available = input.length - inputOffset;
    const room = output.length - outputOffset;
    this.#settle = undefined;
    this.#handle.writeSync(noFlush, input, inputOffset, available, output, outputOffset, room);
    return this.#result(available, room);
  }

  /** Begins a new stream. */
  reset(): void {
    this.#handle.reset();
  }

  [Symbol.dispose](): void {
    this.#handle.close();
  }

  #result(available: number, room: number): InflateStep {
    if (this.#failure !== undefined) throw compressionError(formats[this.#format], this.#failure);
    return { consumed: available - (this.#state[1] as number), produced: room - (this.#state[0] as number) };
  }
}

/** The class of a stream's handle. */
function handleClass<Kind>(stream: object): new (mode: number) => Kind {
  const handle = (stream as { _handle?: { constructor: unknown; close(): void } })._handle;
  if (handle === undefined) throw new Error("node:zlib of this version of Bun has no handle");
  handle.close();
  return handle.constructor as new (mode: number) => Kind;
}
