import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new directory that is gone, with everything in it, when it goes out of scope. */
export class TemporaryDirectory implements Disposable {
  readonly path: string;

  constructor(purpose: string) {
    this.path = mkdtempSync(join(tmpdir(), `gocker-${purpose}-`));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Whether the tests run as root, for those that change owners or make devices: `test.skipIf(!isRoot)`. */
export const isRoot = process.getuid?.() === 0;
