import { mountTarget } from "./mount-target.ts";
import type { MountOption, VolumesFrom } from "./options.ts";
import type { RecordedMount } from "./record.ts";
import type { ContainerStore } from "./records.ts";

/**
 * The mounts that a container gets: the user's, and those of the containers that `--volumes-from` names where it has no
 * other. Of several containers with a mount at one place the last one counts. File systems in memory are not shared, and
 * volumes without a name give way to what is inherited.
 * @throws NotFoundError there is no such container; UsageError its ID fits several
 */
export function withInherited(
  own: readonly MountOption[],
  from: readonly VolumesFrom[],
  containers: Pick<ContainerStore, "resolve" | "read">,
): MountOption[] {
  if (from.length === 0) return [...own];
  const inherited = new Map<string, MountOption>();
  for (const { container, readOnly } of from) {
    for (const mount of containers.read(containers.resolve(container)).mounts) {
      const option = optionOf(mount, readOnly);
      if (option !== undefined) inherited.set(mountTarget(option.target), option);
    }
  }
  const kept = own.filter((mount) => !(isAnonymous(mount) && inherited.has(mountTarget(mount.target))));
  for (const { target } of kept) inherited.delete(mountTarget(target));
  return [...inherited.values(), ...kept];
}

function isAnonymous(mount: MountOption): boolean {
  return mount.type === "volume" && mount.name === undefined;
}

function optionOf(mount: RecordedMount, readOnly: boolean): MountOption | undefined {
  const { type, destination: target, name, source } = mount;
  const access = { target, readOnly: readOnly || mount.readOnly };
  if (type === "volume" && name !== undefined) {
    return {
      ...access,
      type,
      name,
      anonymous: mount.anonymous === true,
      // What its first container was not filled with, or has removed since, does not come back.
      noCopy: true,
      mustExist: true,
      ...(mount.subpath !== undefined && { subpath: mount.subpath }),
    };
  }
  if (type !== "bind" || source === undefined) return undefined;
  return {
    ...access,
    type,
    source,
    createSource: false,
    recursive: mount.recursive ?? true,
    ...(mount.propagation !== undefined && { propagation: mount.propagation }),
  };
}
