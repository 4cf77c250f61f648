import { ConflictError, errorMessage } from "../util/errors.ts";
import { shortId } from "../util/ids.ts";
import { volumesOf } from "./recorded-mounts.ts";
import type { ContainerStore } from "./records.ts";
import type { VolumeUsers } from "./volumes.ts";

/** Whose volumes count, and what becomes of records that cannot be read: see {@link volumeUsers}. */
export interface VolumeUsersOptions {
  /** A container that does not count. */
  readonly except?: string;
  /** Told of containers whose record cannot be read. Without it that is an error: any volume may be that container's. */
  readonly onBroken?: (id: string, error: unknown) => void;
}

/**
 * Which containers have a volume, by their records. They are read when it is asked for the first time, and not again.
 * @returns a function that throws ConflictError when a record cannot be read
 */
export function volumeUsers(containers: ContainerStore, options: VolumeUsersOptions = {}): VolumeUsers {
  let users: Map<string, string[]> | undefined;
  return (name) => (users ??= readUsers(containers, options)).get(name) ?? [];
}

function readUsers(
  containers: ContainerStore,
  { except, onBroken = refuse }: VolumeUsersOptions,
): Map<string, string[]> {
  const users = new Map<string, string[]>();
  const records = containers.list((id, error) => {
    if (id !== except) onBroken(id, error);
  });
  for (const { id, mounts } of records) {
    if (id === except) continue;
    for (const name of volumesOf(mounts)) users.set(name, [...(users.get(name) ?? []), id]);
  }
  return users;
}

function refuse(id: string, cause: unknown): never {
  throw new ConflictError(`cannot tell which volumes the container ${shortId(id)} has: ${errorMessage(cause)}`, {
    hint: "remove that container first, or use the version of gocker that made it",
    cause,
  });
}
