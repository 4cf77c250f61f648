import { writeSome } from "../../linux/fd.ts";
import { pollEvent } from "../../linux/poll.ts";
import { ByteQueue } from "../../util/byte-queue.ts";
import { SystemCallError } from "../../util/errors.ts";

/** What may wait for a container that does not read: from there on those who give input have to wait, too. */
const mostWaiting = 64 * 1024;

/** The way of what clients give to the container's standard input or terminal. Nothing here waits. */
export class InputQueue {
  readonly #descriptor: number;
  readonly #close: () => void;
  readonly #waiting = new ByteQueue();
  #ends = false;
  #open = true;

  /**
   * @param descriptor a pipe's writing end, or a terminal's master side
   * @param close what is done once nothing more comes, or nobody reads any more
   */
  constructor(descriptor: number, close: () => void) {
    this.#descriptor = descriptor;
    this.#close = close;
  }

  get takesMore(): boolean {
    return this.#open && this.#waiting.length < mostWaiting;
  }

  /** For poll(2); undefined when there is nothing to write. */
  get wanted(): { readonly fd: number; readonly events: number } | undefined {
    return this.#waiting.length > 0 ? { fd: this.#descriptor, events: pollEvent.writable } : undefined;
  }

  add(bytes: Uint8Array): void {
    if (!this.#open || this.#ends || bytes.length === 0) return;
    this.#waiting.add(bytes);
    this.flush();
  }

  /** No more comes after what waits. */
  end(): void {
    this.#ends = true;
    this.flush();
  }

  /** Writes what can be written. */
  flush(): void {
    if (!this.#open) return;
    try {
      this.#waiting.drain((bytes) => writeSome(this.#descriptor, bytes));
    } catch (error) {
      // The container reads no more.
      if (!(error instanceof SystemCallError)) throw error;
      this.#waiting.clear();
      this.#ends = true;
    }
    if (!this.#ends || this.#waiting.length > 0) return;
    this.#open = false;
    this.#close();
  }
}
