import { openDirectory, openInDirectory } from "../linux/at.ts";
import { MOUNT_ATTR_RDONLY, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../linux/constants.ts";
import { copyContents, outlineContents } from "../linux/copy-tree.ts";
import { mountDetached } from "../linux/detached-mount.ts";
import { PlainDirectory } from "../linux/directory-tree.ts";
import type { OwnedFd } from "../linux/fd.ts";
import type { Allocator } from "../linux/launch/allocate.ts";
import { makeMappedNamespace } from "../linux/launch/mapped-namespace.ts";
import { checkIdMappings, hostIdOf, type IdMappings, writeIdMappings } from "../linux/user-namespace.ts";
import type { Mount } from "../oci/runtime-spec.ts";
import { GockerError, InvalidDocumentError } from "../util/errors.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import type { ContainerUsers } from "./users.ts";
import { attributesOf, type MountOptions, parseMountOptions } from "./mount-options.ts";
import { joinedDescriptors } from "./plan/cgroup-join.ts";

/** What mounts take that a launch plan cannot make. Open until disposal, when the process has been launched. */
export class PreparedMounts implements Disposable {
  /** The user namespaces whose mappings the mounts get, by their descriptors' numbers. */
  readonly userNamespaces = new Map<Mount, number>();
  /** Mounts of tmpfs that are in no tree and hold a copy of what they will cover. */
  readonly filled = new Map<Mount, number>();
  /** What bind mounts bring that no path of the host's leads to: directories that are in no tree. */
  readonly trees = new Map<Mount, number>();
  readonly #owned = new DisposableStack();

  /** All that the process of the plan needs to have open. */
  get descriptors(): number[] {
    return [...new Set([...this.userNamespaces.values(), ...this.filled.values(), ...this.trees.values()])];
  }

  own(file: OwnedFd): number {
    return this.#owned.use(file).number;
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

/**
 * Makes what these mounts take.
 * @param root the container's root directory, by a path of the host
 * @param of `users`: the container's user namespace, whose mappings stand for those that a mount does not have; `cgroup`:
 *   the container's, to which counts what is copied
 * @throws InvalidDocumentError mappings that contradict themselves, or are not those of a bind mount
 * @throws SystemCallError
 */
export async function prepareMounts(
  mounts: readonly Mount[],
  root: string,
  { users, cgroup }: { readonly users: ContainerUsers | undefined; readonly cgroup: Cgroup },
): Promise<PreparedMounts> {
  using cleanup = new DisposableStack();
  const prepared = cleanup.use(new PreparedMounts());
  const made = new Map<string, number>();
  for (let index = 0; index < mounts.length; index++) {
    const mount = mounts[index] as Mount;
    const options = parseMountOptions(mount.options ?? []);
    const mappings = mappingsOf(mount, options, `mounts[${index}]`, users);
    if (mappings === undefined && options.idMap !== undefined && users !== undefined) {
      prepared.userNamespaces.set(mount, users.namespace.number);
    }
    if (mappings !== undefined) {
      const key = JSON.stringify(mappings);
      const namespace = made.get(key) ?? prepared.own(await namespaceOf(mappings));
      made.set(key, namespace);
      prepared.userNamespaces.set(mount, namespace);
    }
    if (options.copyUp === true) {
      const tmpfs = await filledTmpfs(mount, options, { root, users, cgroup });
      prepared.filled.set(mount, prepared.own(tmpfs));
    }
  }
  cleanup.move();
  return prepared;
}

async function namespaceOf({ uids, gids }: IdMappings): Promise<OwnedFd> {
  return (await makeMappedNamespace((pid) => writeIdMappings(pid, uids, gids))).file;
}

/**
 * A tmpfs with a copy of what the root directory has at its place; an empty one where there is no directory. Itself it has
 * what its options say, and the directory's mode where they do not, as in runc.
 */
async function filledTmpfs(
  mount: Mount,
  options: MountOptions,
  {
    root,
    users,
    cgroup,
  }: { readonly root: string; readonly users: ContainerUsers | undefined; readonly cgroup: Cgroup },
): Promise<OwnedFd> {
  using directory = openDirectory(root);
  const found = openInDirectory(directory.number, mount.destination, O_PATH | O_DIRECTORY | O_CLOEXEC);
  using source = found === undefined ? undefined : new PlainDirectory(found);
  const data = mount.source === undefined ? [...options.data] : [`source=${mount.source}`, ...options.data];
  if (source !== undefined && !options.data.some((option) => option.startsWith("mode="))) {
    data.push(`mode=${(Number(source.stat.mode) & 0o7777).toString(8)}`);
  }
  if (users !== undefined) data.push(...ownerOptions(users, data));
  using cleanup = new DisposableStack();
  const tmpfs = cleanup.use(mountDetached("tmpfs", data, attributesOf(options) & ~MOUNT_ATTR_RDONLY));
  if (source !== undefined) await fill(tmpfs, source, mount.destination, cgroup);
  cleanup.move();
  return tmpfs;
}

/** The root of the container's user namespace, who would own a tmpfs that the plan made. tmpfs(5) */
function ownerOptions({ mappings }: ContainerUsers, given: readonly string[]): string[] {
  const owner = { uid: hostIdOf(0, mappings.uids) ?? 0, gid: hostIdOf(0, mappings.gids) ?? 0 };
  return Object.entries(owner)
    .filter(([name]) => !given.some((option) => option.startsWith(`${name}=`)))
    .map(([name, id]) => `${name}=${id}`);
}

/** What it takes is the container's: otherwise it could have more memory than its limit, at its maker's expense. */
async function fill(tmpfs: OwnedFd, source: PlainDirectory, destination: string, cgroup: Cgroup): Promise<void> {
  try {
    const extents = outlineContents(source, tmpfs);
    if (extents.length > 0) {
      const { allocate } = await import("../linux/launch/allocate.ts");
      await allocate(tmpfs, extents, allocatorOf(cgroup));
    }
    copyContents(source, tmpfs, true);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GockerError("COPY_FAILED", `mounts: tmpcopyup cannot copy what is at ${destination}: ${reason}`, {
      hint:
        cause instanceof Error && cause.name === "ProcessKilledError"
          ? "the container's limit of memory may be too small for it"
          : "size=… is how much the tmpfs can hold, nr_inodes=… how many files",
      cause,
    });
  }
}

function allocatorOf(cgroup: Cgroup): Allocator {
  const join = cgroup.joinSteps();
  return { join, descriptors: joinedDescriptors(join), intoCgroup: cgroup.cloneInto };
}

/** A mount's own mappings, checked. OCI runtime specification 1.2, config.md, "Mounts" */
function mappingsOf(
  mount: Mount,
  { idMap }: MountOptions,
  property: string,
  users: ContainerUsers | undefined,
): IdMappings | undefined {
  const { uidMappings: uids = [], gidMappings: gids = [] } = mount;
  if (uids.length === 0 && gids.length === 0) {
    if (idMap === undefined || users !== undefined) return undefined;
    throw new InvalidDocumentError(`${property}.options: ${idMap} needs uidMappings and gidMappings`, {
      hint: "those of the container stand for them, but it has no user namespace",
    });
  }
  checkIdMappings(uids, `${property}.uidMappings`);
  checkIdMappings(gids, `${property}.gidMappings`);
  return { uids, gids };
}
