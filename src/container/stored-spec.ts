import { type BigIntStats, closeSync, fstatSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { parseRuntimeSpec } from "../oci/runtime-spec-parse.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { InvalidDocumentError, NotFoundError } from "../util/errors.ts";
import { cgroupPathIn, usualCgroupPath } from "./cgroup-path.ts";
import { shortId } from "../util/ids.ts";
import { serialiseSpec } from "./serialise-spec.ts";

/**
 * The specification of a container as it was made.
 * @param directory the container's
 * @throws NotFoundError it is gone, or was not made whole; InvalidDocumentError
 */
export function readStoredSpec(id: string, directory: string): RuntimeSpec {
  try {
    return parseRuntimeSpec(readFileSync(`${directory}/config.json`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new NotFoundError(`container ${shortId(id)} has no specification`, { cause: error });
  }
}

/**
 * Where a container's cgroup is, or was. Of one without a specification that can be read it is where it is as a rule:
 * it was not made whole, or a loss of power, which specifications are not written for, has taken it.
 * @param directory the container's
 */
export function cgroupPathOf(id: string, directory: string): string {
  try {
    return cgroupPathIn(id, readStoredSpec(id, directory));
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof InvalidDocumentError) return usualCgroupPath(id);
    throw error;
  }
}

/** Writes the specification of a new container. @param directory the container's @returns see {@link storedVersion} */
export function createStoredSpec(directory: string, spec: RuntimeSpec): string {
  const file = openSync(`${directory}/config.json`, "wx");
  try {
    writeFileSync(file, serialiseSpec(spec));
    return versionOf(fstatSync(file, { bigint: true }));
  } finally {
    closeSync(file);
  }
}

/** What tells a specification on the disk from one that it is exchanged for. @param directory the container's */
export function storedVersion(directory: string): string {
  return versionOf(statSync(`${directory}/config.json`, { bigint: true }));
}

function versionOf({ ino, mtimeNs }: BigIntStats): string {
  return `${ino}:${mtimeNs}`;
}

/** Exchanges the specification of a container that exists. @param directory the container's */
export function writeStoredSpec(directory: string, spec: RuntimeSpec): void {
  // The one before is on the disk, and must not be exchanged for one that is not.
  writeFileAtomic(`${directory}/config.json`, serialiseSpec(spec), { durable: true });
}
