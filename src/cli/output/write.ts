import { writeSync } from "node:fs";

/** The reader of the stream has gone (`gocker images | head -1`): nothing is left to do, and nothing to report. */
export class OutputClosedError extends Error {
  override readonly name = "OutputClosedError";
}

/**
 * Writes to standard output: results only.
 * @throws {OutputClosedError} nobody reads any more
 */
export function writeOutput(text: string | Uint8Array): void {
  writeAll(1, text);
}

/**
 * Writes what is no message of gocker's own to one of its outputs: what a container wrote there.
 * @throws {OutputClosedError} nobody reads any more
 */
export function writeStream(descriptor: 1 | 2, bytes: Uint8Array): void {
  writeAll(descriptor, bytes);
}

/** Writes to standard error. Nobody to read it is no reason to fail: there is nowhere left to say so. */
export function writeError(text: string): void {
  try {
    writeAll(2, text);
  } catch (error) {
    if (!(error instanceof OutputClosedError)) throw error;
  }
}

/**
 * Writes all bytes to a descriptor, whatever it is. `process.stdout` would do that too, but to touch it costs nine
 * milliseconds, and it sets the descriptor's file (which other processes share) to non-blocking.
 */
function writeAll(descriptor: number, text: string | Uint8Array): void {
  let bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE" || code === "EBADF")
        throw new OutputClosedError("nobody reads the output", { cause: error });
      // Somebody who shares the pipe made it non-blocking, and it is full: wait for its reader.
      if (code !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
  }
}
