import { statSync } from "node:fs";
import { DamagedRecordError } from "./damaged-record.ts";
import type { ContainerStore } from "./records.ts";

/** What is known of a container whose record is damaged. */
export interface DeadContainer {
  readonly id: string;
  /** Empty when it has lost that, too. */
  readonly name: string;
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Those of the containers that could not be read whose record is damaged: they are there, and can be removed.
 * @param broken as `ContainerStore.list` tells of them
 */
export function deadContainers(containers: ContainerStore, broken: ReadonlyMap<string, unknown>): DeadContainer[] {
  return [...broken].flatMap(([id, error]): DeadContainer[] => {
    if (!(error instanceof DamagedRecordError)) return [];
    const stat = statSync(containers.directory(id), { throwIfNoEntry: false });
    // Removed meanwhile.
    if (stat === undefined) return [];
    // The directory is made with the container. Not every file system remembers when that was.
    const made = stat.birthtimeMs > 0 ? stat.birthtime : stat.ctime;
    return [{ id, name: containers.nameOf(id) ?? "", created: made.toISOString(), labels: {} }];
  });
}
