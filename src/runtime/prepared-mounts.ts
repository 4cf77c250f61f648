import type { OwnedFd } from "../linux/fd.ts";
import { makeMappedNamespace } from "../linux/launch/mapped-namespace.ts";
import { checkIdMappings } from "../linux/user-namespace.ts";
import type { Mount } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";
import { parseMountOptions } from "./mount-options.ts";

/** What mounts take that a launch plan cannot make. Open until disposal, when the process has been launched. */
export class PreparedMounts implements Disposable {
  /** The user namespaces whose mappings the mounts get, by their descriptors' numbers. */
  readonly userNamespaces = new Map<Mount, number>();
  readonly #owned = new DisposableStack();

  /** All that the process of the plan needs to have open. */
  get descriptors(): number[] {
    return [...new Set(this.userNamespaces.values())];
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
 * @throws InvalidDocumentError mappings that contradict themselves, or are not those of a bind mount
 * @throws SystemCallError
 */
export function prepareMounts(mounts: readonly Mount[]): PreparedMounts {
  using cleanup = new DisposableStack();
  const prepared = cleanup.use(new PreparedMounts());
  const made = new Map<string, number>();
  for (let index = 0; index < mounts.length; index++) {
    const mount = mounts[index] as Mount;
    const mappings = mappingsOf(mount, `mounts[${index}]`);
    if (mappings === undefined) continue;
    const key = JSON.stringify(mappings);
    const namespace = made.get(key) ?? prepared.own(makeMappedNamespace(mappings.uids, mappings.gids));
    made.set(key, namespace);
    prepared.userNamespaces.set(mount, namespace);
  }
  cleanup.move();
  return prepared;
}

/** A mount's own mappings, checked. OCI runtime specification 1.2, config.md, "Mounts" */
function mappingsOf(mount: Mount, property: string) {
  const { uidMappings: uids = [], gidMappings: gids = [] } = mount;
  const { idMap } = parseMountOptions(mount.options ?? []);
  if (uids.length === 0 && gids.length === 0) {
    if (idMap === undefined) return undefined;
    throw new InvalidDocumentError(`${property}.options: ${idMap} needs uidMappings and gidMappings`, {
      hint: "those of the container stand for them, but it has no user namespace",
    });
  }
  checkIdMappings(uids, `${property}.uidMappings`);
  checkIdMappings(gids, `${property}.gidMappings`);
  return { uids, gids };
}
