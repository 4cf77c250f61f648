import { readdirSync } from "node:fs";
import { basename, dirname } from "node:path";

/** A file of a log that is not written to any more: `PATH.NUMBER`, or `PATH.NUMBER.gz`. */
export interface RotatedName {
  readonly number: number;
  readonly suffix: "" | ".gz";
}

/**
 * The rotated files of a log that are there at this moment, the newest first. A log may have many fewer than it may have:
 * to try them all would take time, and memory for each that is not there.
 * @param path of the file that is written to
 * @throws what node:fs throws
 */
export function rotatedNames(path: string): RotatedName[] {
  const begin = `${basename(path)}.`;
  const names = readdirSync(dirname(path)).flatMap((name): RotatedName[] => {
    const [, number, suffix] = /^(\d+)(\.gz)?$/.exec(name.startsWith(begin) ? name.slice(begin.length) : "") ?? [];
    return number === undefined ? [] : [{ number: Number(number), suffix: suffix === undefined ? "" : ".gz" }];
  });
  return names.sort((a, b) => a.number - b.number);
}
