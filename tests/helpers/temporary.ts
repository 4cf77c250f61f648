import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new directory that is gone, with everything in it, when it goes out of scope. */
export class TemporaryDirectory implements Disposable {
  readonly path: string;

  constructor(purpose: string) {
    this.path = mkdtempSync(join(tmpdir(), `gocker-${purpose}-`));
  }

  /** What this process has open below the directory: other descriptors may belong to tests that ran before. */
  openFiles(): string[] {
    return readdirSync("/proc/self/fd").flatMap((descriptor) => {
      try {
        const path = readlinkSync(`/proc/self/fd/${descriptor}`);
        return path.startsWith(this.path) ? [path] : [];
      } catch {
        // The descriptor of this very readdir is closed by now.
        return [];
      }
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Whether the tests run as root, for those that change owners or make devices: `test.skipIf(!isRoot)`. */
export const isRoot = process.getuid?.() === 0;
