import { type FSWatcher, watch } from "node:fs";

/** How long a change may stay unseen where the kernel does not tell of it (no inotify watch is left); in milliseconds. */
const longestPause = 500;

/** Tells when something changes in a directory: files are made, written to or renamed. inotify(7) */
export class DirectoryWatch implements Disposable {
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(path: string) {
    const changed = (): void => {
      this.#changed = true;
      this.#wake?.();
    };
    try {
      this.#watcher = watch(path, changed);
      // Without a watch there are the pauses.
      this.#watcher.on("error", changed);
    } catch (error) {
      if (!["EMFILE", "ENOSPC"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  }

  /** Returns when something has changed since the last call, or may have; at the latest after `milliseconds`. */
  async next(milliseconds: number = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#changed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, Math.min(milliseconds, longestPause));
      await promise;
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }
}
