import { existsSync, mkdirSync, renameSync } from "node:fs";
import { openDirectory } from "../linux/at.ts";
import { removeTreeAt } from "../linux/remove-tree.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { newContainerId } from "../util/ids.ts";
import type { VolumeRecord } from "./volume-record.ts";

/** What to tell of a volume that is about to be made. */
export type NewVolume = Pick<VolumeRecord, "name" | "anonymous" | "labels" | "options">;

/**
 * Makes a volume's directory, unless there is one of that name. It appears by a rename when it is whole.
 * @param volumes the directory of all volumes
 * @param write `durable`: what is told of it survives a loss of power
 * @returns whether it was made
 */
export function makeVolume(volumes: string, volume: NewVolume, write: { readonly durable: boolean }): boolean {
  const place = `${volumes}/${volume.name}`;
  if (existsSync(place)) return false;
  const temporary = `.new-${newContainerId()}`;
  const made = `${volumes}/${temporary}`;
  mkdirSync(made, { mode: 0o700 });
  try {
    mkdirSync(`${made}/_data`, { mode: 0o755 });
    const record: VolumeRecord = { version: 1, ...volume, created: new Date().toISOString() };
    writeFileAtomic(`${made}/volume.json`, `${JSON.stringify(record)}\n`, write);
    renameSync(made, place);
    return true;
  } catch (error) {
    using parent = openDirectory(volumes);
    removeTreeAt(parent.number, temporary);
    // Somebody else was faster: the volume is there.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST" && code !== "ENOTEMPTY") throw error;
    return false;
  }
}
