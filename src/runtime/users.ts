import type { OwnedFd } from "../linux/fd.ts";
import { factsOfNamespace, makeMappedNamespace, openNamespace } from "../linux/launch/mapped-namespace.ts";
import { namespaceAt } from "../linux/namespace.ts";
import { checkIdMappings, hostIdOf, type IdMappings, type IdRange } from "../linux/user-namespace.ts";
import type { RuntimeSpec, User } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";
import { checkHostDevices } from "./host-devices.ts";
import { mapIds, ownCaller } from "./id-mapping.ts";
import { hostDevices } from "./plan/devices.ts";
import { defaultIdMappings } from "./subordinate-ids.ts";

/** The user namespace of a container, with its mappings. Open until disposal, when the process has been launched. */
export interface ContainerUsers extends Disposable {
  readonly namespace: OwnedFd;
  /** It was made for this container, which does not join it by a path. */
  readonly isNew: boolean;
  readonly mappings: IdMappings;
  /** See `deniesSetgroups`. */
  readonly setgroupsDenied: boolean;
}

/**
 * Makes or opens the user namespace of a specification that has one.
 * @returns undefined when the path is that of gocker's own
 * @throws InvalidDocumentError mappings that contradict themselves or leave out who is needed; SystemCallError
 */
export async function prepareUsers(spec: RuntimeSpec): Promise<ContainerUsers | undefined> {
  const { namespaces = [], uidMappings = [], gidMappings = [], devices = [] } = spec.linux ?? {};
  const index = namespaces.findIndex(({ type }) => type === "user");
  if (index < 0) {
    const name = uidMappings.length > 0 ? "uidMappings" : "gidMappings";
    throw new InvalidDocumentError(`linux.${name}: there is no user namespace in linux.namespaces that has them`);
  }
  const { path = "" } = namespaces[index] ?? {};
  if (path !== "") return joinedUsers(spec, path, `linux.namespaces[${index}].path`);
  const hasNone = uidMappings.length + gidMappings.length === 0;
  const caller = ownCaller();
  const mappings = hasNone ? defaultIdMappings(caller) : { uids: uidMappings, gids: gidMappings };
  checkIdMappings(mappings.uids, "linux.uidMappings");
  checkIdMappings(mappings.gids, "linux.gidMappings");
  checkUsers(spec, mappings);
  checkHostDevices(hostDevices(devices));
  const { file, setgroupsDenied } = await makeMappedNamespace((pid) => mapIds(pid, mappings, caller));
  return checkedGroups(spec, withNamespace(file, { isNew: true, mappings, setgroupsDenied }));
}

async function joinedUsers(spec: RuntimeSpec, path: string, property: string): Promise<ContainerUsers | undefined> {
  // What is no namespace is the plan's to refuse.
  const found = namespaceAt(path);
  if (found === undefined || found === "missing" || found.isOwn) return undefined;
  using cleanup = new DisposableStack();
  const namespace = cleanup.use(openNamespace(path));
  const facts = await factsOfNamespace(namespace);
  if (facts === undefined) throw new InvalidDocumentError(`${property}: ${path} cannot be entered`);
  checkUsers(spec, facts.mappings);
  checkHostDevices(hostDevices(spec.linux?.devices ?? []));
  cleanup.move();
  return checkedGroups(spec, withNamespace(namespace, { isNew: false, ...facts }));
}

function withNamespace(
  namespace: OwnedFd,
  facts: Pick<ContainerUsers, "isNew" | "mappings" | "setgroupsDenied">,
): ContainerUsers {
  return { namespace, ...facts, [Symbol.dispose]: () => namespace.close() };
}

function checkedGroups({ process }: RuntimeSpec, users: ContainerUsers): ContainerUsers {
  using cleanup = new DisposableStack();
  cleanup.use(users);
  if (process !== undefined && users.setgroupsDenied) refuseGroups(process.user);
  cleanup.move();
  return users;
}

/**
 * For a user namespace in which nobody may set groups: the process has those of gocker's caller, mapped or not.
 * @throws InvalidDocumentError it is to have others
 */
export function refuseGroups({ additionalGids = [] }: User): void {
  if (additionalGids.length === 0) return;
  throw new InvalidDocumentError(
    "process.user.additionalGids: nobody can set groups in a user namespace that a user has made with only itself in it",
    { hint: "leave them out; or map a range of groups, which newgidmap does for those of /etc/subgid" },
  );
}

function checkUsers({ process }: RuntimeSpec, mappings: IdMappings): void {
  for (const [name, ranges] of [
    ["uidMappings", mappings.uids],
    ["gidMappings", mappings.gids],
  ] as const) {
    if (hostIdOf(0, ranges) !== undefined) continue;
    throw new InvalidDocumentError(`linux.${name}: the container's ID 0 is not mapped, which sets it up`);
  }
  if (process !== undefined) checkMappedUser(process.user, mappings);
}

/**
 * Refuses a user that a user namespace does not have: the change to it would fail with EINVAL, which says nothing.
 * @throws InvalidDocumentError
 */
export function checkMappedUser(user: User, { uids, gids }: IdMappings): void {
  const check = (id: number, ranges: readonly IdRange[], property: string, name: string) => {
    if (hostIdOf(id, ranges) !== undefined) return;
    throw new InvalidDocumentError(`process.user.${property}: ${id} is not in linux.${name}`);
  };
  check(user.uid, uids, "uid", "uidMappings");
  check(user.gid, gids, "gid", "gidMappings");
  user.additionalGids?.forEach((gid, index) => check(gid, gids, `additionalGids[${index}]`, "gidMappings"));
}
