import { GockerError } from "../../util/errors.ts";
import { type FromWorker, readError, type ToWorker } from "./messages.ts";
import type { UnpackedLayer } from "./pipeline.ts";

/** Where the worker's module is. A relative name would be looked up in the current directory, whose owner nobody knows. */
const module = Bun.isStandaloneExecutable
  ? "/$bunfs/root/image/layer/worker.js"
  : new URL("./worker.ts", import.meta.url).href;

/** What happens to a {@link LayerThread} at any time. */
export interface LayerThreadEvents {
  /** The bytes of an array that was written were used up: it is the owner's again. */
  consumed(bytes: Uint8Array<ArrayBuffer>): void;
  /** {@link LayerThread.failure} is set. */
  failed(): void;
}

/**
 * The owner's side of a layer's Worker. Whatever ends the Worker early, an error in it or its death, becomes the
 * rejection of everything that waits for it.
 */
export class LayerThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #events: LayerThreadEvents;
  readonly #finished = Promise.withResolvers<UnpackedLayer>();
  readonly #aborted = Promise.withResolvers<void>();
  #failure: Error | undefined;

  constructor(directory: string, events: LayerThreadEvents) {
    this.#events = events;
    // A failure is told by `failed` too, and nobody needs to wait for the end before that.
    this.#finished.promise.catch(() => {});
    this.#worker = new Worker(module, { name: "layer" });
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => this.#take(event.data);
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#die(`it failed: ${event.message}`);
    });
    this.#worker.addEventListener("close", () => this.#die("it ended"));
    this.#send({ kind: "start", directory });
  }

  /** Why the thread can do no more. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Hands over the first `length` bytes of an array, whose memory belongs to the thread until it comes back. */
  write(bytes: Uint8Array<ArrayBuffer>, length: number): void {
    this.#send({ kind: "write", bytes, length }, [bytes.buffer]);
  }

  /** Says that everything was written. */
  async finish(): Promise<UnpackedLayer> {
    this.#send({ kind: "finish" });
    return await this.#finished.promise;
  }

  /** Ends the thread. Settles when it writes nothing to the layer's directory any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Ending it by force could take away memory that the thread pool is still filling.
    this.#send({ kind: "abort" });
    await this.#aborted.promise;
    this.#worker.terminate();
  }

  #send(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #take(message: FromWorker): void {
    switch (message.kind) {
      case "consumed":
        this.#events.consumed(message.bytes);
        return;
      case "finished":
        this.#finished.resolve(message.layer);
        return;
      case "failed":
        this.#fail(readError(message.error));
        return;
      case "aborted":
        this.#aborted.resolve();
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#finished.reject(this.#failure);
    this.#events.failed();
  }

  /** The thread is gone, so there is nothing left of it to wait for. */
  #die(reason: string): void {
    this.#fail(new GockerError("WORKER", `the thread that unpacks a layer broke: ${reason}`));
    this.#aborted.resolve();
  }
}
