import { statSync } from "node:fs";
import { InvalidDocumentError } from "../util/errors.ts";
import { readIfThere } from "../util/read-if-there.ts";

/** What gocker remembers of a volume: `volume.json` in its directory. */
export interface VolumeRecord {
  readonly version: 1;
  readonly name: string;
  /** Nobody gave it a name: removed with the container that it was made for, if that was started with `--rm`. */
  readonly anonymous: boolean;
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What is mounted in it while it is used, as the user said it: see `volumeSource`. Absent: it is a directory. */
  readonly options?: Readonly<Record<string, string>>;
}

/** The label by which Docker marks what `prune` takes: volumes that nobody gave a name. */
const anonymousLabel = "com.docker.volume.anonymous";

/** The labels of a volume as they are shown and filtered by. */
export function shownLabels({ anonymous, labels }: Pick<VolumeRecord, "anonymous" | "labels">): Record<string, string> {
  return { ...(anonymous && { [anonymousLabel]: "" }), ...labels };
}

/**
 * Reads the record of a volume.
 * @param place the volume's directory
 * @returns undefined when there is no such volume
 * @throws InvalidDocumentError the record is nothing of gocker's
 */
export function readVolumeRecord(place: string, name: string): VolumeRecord | undefined {
  const path = `${place}/volume.json`;
  const text = readIfThere(path);
  // A power cut can take what was not forced to the disk; the volume's files are worth more than what was known of it.
  if (text === undefined || text === "") return recordOf(place, name);
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch (error) {
    throw new InvalidDocumentError(`${path} is no JSON document`, { cause: error });
  }
  if (!isRecord(record)) {
    throw new InvalidDocumentError(`${path} is nothing of a volume that this version of gocker understands`);
  }
  return record;
}

function recordOf(place: string, name: string): VolumeRecord | undefined {
  const found = statSync(`${place}/_data`, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) return undefined;
  return { version: 1, name, anonymous: false, created: found.birthtime.toISOString(), labels: {} };
}

function isRecord(value: unknown): value is VolumeRecord {
  if (typeof value !== "object" || value === null) return false;
  const { version, name, created, labels } = value as Partial<VolumeRecord>;
  return version === 1 && typeof name === "string" && typeof created === "string" && typeof labels === "object";
}
