import { duplicate } from "../linux/fd.ts";

/** gocker's own standard input, where that is no file, as it comes. */
export interface OwnInput {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Nothing more is wanted; what is waited for ends. */
  stop(): void;
}

/**
 * Reads gocker's standard input.
 * @param kind what it is: each is read in its own way
 */
export async function readOwnInput(kind: "terminal" | "stream"): Promise<OwnInput> {
  if (kind === "terminal") {
    // Its streams alone read a terminal that others may not find in non-blocking mode.
    const { ReadStream } = await import("node:tty");
    const typed = new ReadStream(0);
    typed.unref();
    return { chunks: typed as AsyncIterable<Uint8Array>, stop: () => void typed.destroy() };
  }
  // The stream closes what it reads from.
  const reader = Bun.file(duplicate(0).release()).stream().getReader();
  const all = async function* (): AsyncGenerator<Uint8Array> {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  };
  return { chunks: all(), stop: () => void reader.cancel().catch(() => {}) };
}
