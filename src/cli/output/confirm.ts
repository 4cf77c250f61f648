import { readSome } from "../../linux/fd.ts";
import { writeOutput } from "./write.ts";

/**
 * Asks whether to go on, as Docker does, and waits for a line on standard input: `y` and `Y` mean yes, all else no.
 * @param warning what will be done, in lines
 */
export async function confirm(warning: string): Promise<boolean> {
  writeOutput(`${warning}\nAre you sure you want to continue? [y/N] `);
  let line = "";
  // One by one: what follows the line is not ours to read.
  const byte = new Uint8Array(1);
  while (!line.endsWith("\n")) {
    const bytes = readSome(0, byte);
    if (bytes.length === 0) break;
    line += String.fromCharCode(bytes[0] as number);
  }
  return line.trim().toLowerCase() === "y";
}
