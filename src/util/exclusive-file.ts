import { writeFileSync } from "node:fs";
import { UsageError } from "./errors.ts";

/** Writes a new file that the user named. @throws UsageError when it exists or cannot be made */
export function writeFileExclusive(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: "wx" });
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
