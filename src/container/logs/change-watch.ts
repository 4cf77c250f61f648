import { existsSync, type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";

/** Not every file system tells of changes that come from elsewhere (NFS, 9p); milliseconds. inotify(7) */
const longestWait = 1000;

/** Waits for something to happen in a directory, by inotify and, for those that do not tell, by the clock. */
export class ChangeWatch implements Disposable {
  readonly #watcher: FSWatcher;
  #hasChanged = true;
  #wake: () => void = () => {};

  /** @param directory one that is there, or will be made in one that is there */
  constructor(directory: string) {
    this.#watcher = watch(existsSync(directory) ? directory : dirname(directory), () => this.#change());
    // The directory was removed: what that means whoever waits finds out.
    this.#watcher.on("error", () => this.#change());
  }

  /** From here on, changes end the next {@link wait}. */
  reset(): void {
    this.#hasChanged = false;
  }

  /** Resolves when something has changed since {@link reset}, at the signal, or after a second or so. */
  async wait(signal: AbortSignal, milliseconds = longestWait): Promise<void> {
    if (this.#hasChanged || signal.aborted) return;
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
  }

  #change(): void {
    this.#hasChanged = true;
    this.#wake();
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }
}
