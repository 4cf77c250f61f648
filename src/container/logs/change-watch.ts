import { existsSync, type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";

/** Not every file system tells of changes that come from elsewhere (NFS, 9p); milliseconds. inotify(7) */
const longestWait = 1000;

/** Waits for something to happen in a directory, by inotify and, for those that do not tell, by the clock. */
export class ChangeWatch implements Disposable {
  readonly #directory: string;
  readonly #isOfInterest: (name: string) => boolean;
  #watcher: FSWatcher;
  /** The directory is not there yet: the one above it tells when it is. */
  #isAbove: boolean;
  #hasChanged = true;
  #wake: () => void = () => {};

  /**
   * @param directory one that is there, or will be made in one that is there
   * @param isOfInterest whether a change of the file of this name counts; each does when absent
   */
  constructor(directory: string, isOfInterest: (name: string) => boolean = () => true) {
    this.#directory = directory;
    this.#isOfInterest = isOfInterest;
    this.#isAbove = !existsSync(directory);
    this.#watcher = this.#watch();
  }

  #watch(): FSWatcher {
    const watcher = watch(this.#isAbove ? dirname(this.#directory) : this.#directory, (_, name) => {
      if (this.#isAbove && existsSync(this.#directory)) this.#comeDown();
      else if (name === null || this.#isOfInterest(name)) this.#change();
    });
    // The directory was removed: what that means whoever waits finds out.
    return watcher.on("error", () => this.#change());
  }

  #comeDown(): void {
    this.#watcher.close();
    this.#isAbove = false;
    this.#watcher = this.#watch();
    // What is in there by now nobody has told of.
    this.#change();
  }

  /** From here on, changes end the next {@link wait}. */
  reset(): void {
    // Bun begins to watch in a thread of its own: what was made meanwhile nobody has told of.
    if (this.#isAbove && existsSync(this.#directory)) this.#comeDown();
    this.#hasChanged = false;
  }

  /**
   * Watches anew: for who has found a change that he was not told of. A watcher of the runtime's may be deaf from its
   * beginning.
   */
  renew(): void {
    this.#watcher.close();
    this.#watcher = this.#watch();
  }

  /**
   * Resolves when something has changed since {@link reset}, at the signal, or after a second or so.
   * @returns whether it was told of a change
   */
  async wait(signal: AbortSignal, milliseconds = longestWait): Promise<boolean> {
    if (this.#hasChanged || signal.aborted) return this.#hasChanged;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(milliseconds, longestWait));
    this.#wake = resolve;
    signal.addEventListener("abort", this.#wake);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", this.#wake);
    }
    return this.#hasChanged;
  }

  #change(): void {
    this.#hasChanged = true;
    this.#wake();
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }
}
