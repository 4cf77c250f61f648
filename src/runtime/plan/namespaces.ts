import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_PARENT,
  O_CLOEXEC,
  O_RDONLY,
  SIGCHLD,
} from "../../linux/constants.ts";
import type { Slot, Step } from "../../linux/launch/plan.ts";
import { type NamespaceFile, namespaceFlags } from "../../linux/namespace.ts";
import type { Linux, Namespace, NamespaceType } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";
import { addVisibility } from "./process.ts";
import { type HostRights, rightsOfRoot } from "./rights.ts";
import { addTimeNamespace, refuseTimeOffsets } from "./time-namespace.ts";

const group = "namespaces";

/** In the order in which they are joined: paths are others once the mount namespace is another. */
const flagsOfTypes = {
  user: namespaceFlags.user,
  ipc: namespaceFlags.ipc,
  uts: namespaceFlags.uts,
  network: namespaceFlags.net,
  pid: namespaceFlags.pid,
  cgroup: namespaceFlags.cgroup,
  time: namespaceFlags.time,
  mount: namespaceFlags.mnt,
} as const satisfies Record<NamespaceType, number>;
const types = Object.keys(flagsOfTypes) as NamespaceType[];

/** A namespace that is there already. */
export interface JoinedNamespace {
  readonly type: NamespaceType;
  /** A path of the host; or a descriptor of gocker's, open in the process under the same number. */
  readonly at: { readonly path: string; readonly property: string } | NamespaceDescriptor;
}

/** A namespace that gocker has open. */
export interface NamespaceDescriptor {
  readonly descriptor: number;
  /** Whose it is, in words; absent for one that was made for the container. */
  readonly whose?: string;
  /** gocker itself is in it: there is nothing to join. */
  readonly isOwn?: boolean;
  /** It was made for the container, whose specification asks for a new one. */
  readonly isNew?: boolean;
}

/** What becomes of `linux.namespaces`. */
export interface PlannedNamespaces {
  /** CLONE_NEW… flags of the clone3 by which the first process is made. */
  readonly flags: number;
  /** Those that exist, in the order in which they are joined. */
  readonly joins: readonly JoinedNamespace[];
  /** CLONE_NEW… flags of those that the root of the container's user namespace makes, so that they are that one's. */
  readonly flagsOfRoot: number;
  /** CLONE_NEW… flags of all that the plan makes, whoever does. */
  readonly made: number;
  /** The plan goes on in a child: nobody enters a pid namespace himself. */
  readonly tellsChild: boolean;
  /** Those in which the container is not where gocker is. */
  readonly own: ReadonlySet<NamespaceType>;
}

/** What can be known of the host beforehand. */
export interface NamespaceOptions {
  /** See `namespaceAt` of linux/namespace.ts. Left out: the kernel alone says, when it is too late for a good message. */
  readonly namespaceAt?: ((path: string) => NamespaceFile | "missing" | undefined) | undefined;
  /**
   * A new user namespace with its IDs mapped, as a descriptor. It is made before the process, and not by it: one that is
   * in a user namespace whose IDs are not mapped yet loses all its rights as it executes anything.
   */
  readonly userNamespace?: number | undefined;
  /** Those that were opened before, in place of what the paths of their types say. */
  readonly opened?: ReadonlyMap<NamespaceType, NamespaceDescriptor> | undefined;
  /** Who makes the process has entered the pid namespace to join before: it is born there, and needs no child. */
  readonly isBornInPidNamespace?: boolean | undefined;
}

/**
 * Decides which namespaces are made by whom and in which order. A new namespace belongs to the user namespace that its
 * maker is in: with one of the container's own, what exists is joined with gocker's rights, then that, and all others are
 * made by its root. Without one all that is new comes with the process, but for that of cgroups, which takes the cgroup
 * that its maker is in by then, and that of clocks, which gets its offsets before anybody is in it.
 * @throws InvalidDocumentError
 */
export function planNamespaces(namespaces: readonly Namespace[], options: NamespaceOptions = {}): PlannedNamespaces {
  const joined = new Map<NamespaceType, JoinedNamespace>();
  const seen = new Set<NamespaceType>();
  const own = new Set<NamespaceType>();
  let made = 0;
  for (const [index, { type, path }] of namespaces.entries()) {
    if (seen.has(type)) throw new InvalidDocumentError(`linux.namespaces: ${type} is given twice`);
    seen.add(type);
    // The type comes from a document and may be anything.
    if (!types.includes(type)) throw new InvalidDocumentError(`linux.namespaces[${index}].type: unknown type ${type}`);
    const property = `linux.namespaces[${index}].path`;
    // runc and its callers write an empty path for a new one.
    const isNew = path === undefined || path === "";
    const given = options.opened?.get(type);
    const opened = isNew === (given?.isNew === true) ? given : undefined;
    if (!isNew && (opened?.isOwn ?? isGockers(type, path, property, options))) continue;
    own.add(type);
    if (type === "pid" && !isNew && options.isBornInPidNamespace === true) continue;
    if (opened !== undefined) joined.set(type, { type, at: opened });
    else if (!isNew) joined.set(type, { type, at: { path, property } });
    else if (type === "user") joined.set(type, { type, at: { descriptor: descriptorOf(options) } });
    else made |= flagsOfTypes[type];
  }
  const plain = made & ~(CLONE_NEWCGROUP | CLONE_NEWTIME);
  const flagsOfRoot = joined.has("user") ? plain : 0;
  return {
    flags: plain & ~flagsOfRoot,
    joins: types.flatMap((type) => joined.get(type) ?? []),
    flagsOfRoot,
    made,
    tellsChild: joined.has("pid") || (flagsOfRoot & CLONE_NEWPID) !== 0,
    own,
  };
}

function descriptorOf({ userNamespace }: NamespaceOptions): number {
  if (userNamespace !== undefined) return userNamespace;
  throw new RangeError("a new user namespace is made, and mapped, before the plan");
}

/** Whether gocker is in the namespace of the path: there is nothing to join then, and its user namespace refuses it. */
function isGockers(type: NamespaceType, path: string, property: string, { namespaceAt }: NamespaceOptions): boolean {
  if (!path.startsWith("/")) throw new InvalidDocumentError(`${property}: ${path} is not absolute`);
  if (namespaceAt === undefined) return false;
  const found = namespaceAt(path);
  if (found === "missing") throw new InvalidDocumentError(`${property}: ${path} does not exist`);
  if (found === undefined) throw new InvalidDocumentError(`${property}: ${path} is no namespace`);
  if (found.type === flagsOfTypes[type]) return found.isOwn;
  const actual = types.find((name) => flagsOfTypes[name] === found.type) ?? "different";
  throw new InvalidDocumentError(`${property}: ${path} is a namespace of the type ${actual}, not ${type}`);
}

/**
 * Joins and makes the namespaces of a container that its first process is not born into. Early in a plan: paths are the
 * host's; and what belongs to a process and not to its children, such as a death signal, must come after it. What takes
 * the host's rights comes before, where the container has a user namespace: the process is its root from here on.
 * @throws InvalidDocumentError
 */
export function addNamespaces(
  builder: PlanBuilder,
  plan: PlannedNamespaces,
  timeOffsets: Linux["timeOffsets"] = {},
  { isRoot, ...root }: RootOfNamespace & Pick<HostRights, "isRoot"> = rightsOfRoot,
): void {
  const makesTime = (plan.made & CLONE_NEWTIME) !== 0;
  const addTime = () => builder.about("linux.timeOffsets", () => addTimeNamespace(builder, timeOffsets));
  if (!makesTime) refuseTimeOffsets(timeOffsets, { isJoined: plan.own.has("time") });
  // The clocks are the host's root's to offset, or else that of the container's user namespace.
  if (makesTime && isRoot) addTime();
  addJoins(builder, plan.joins);
  if (plan.own.has("user")) addRootOfNamespace(builder, root);
  if (makesTime && !isRoot) addTime();
  if (plan.tellsChild) addChild(builder, plan.flagsOfRoot);
  else if (plan.flagsOfRoot !== 0) {
    builder.add({ label: "Make the other namespaces", group, syscall: "unshare", args: [plan.flagsOfRoot] });
  }
  if ((plan.made & CLONE_NEWCGROUP) !== 0) {
    builder.add({
      label: "See the container's cgroup as the root of all",
      group,
      syscall: "unshare",
      args: [CLONE_NEWCGROUP],
    });
  }
}

/**
 * All are opened before the first is joined. A user namespace to join may take away the rights that others need, or give
 * them: so the others are tried before and, where they were refused, again after it, as nsenter(1) does. None stays open:
 * a process that waits for its start must not hold a way to what is the host's.
 */
function addJoins(builder: PlanBuilder, joins: readonly JoinedNamespace[]): void {
  const opened = joins.map((join) => ({ join, file: openNamespace(builder, join) }));
  const user = opened.find(({ join }) => join.type === "user");
  const others = opened.filter((one) => one !== user);
  for (const { join, file } of others) {
    const step = joinStep(join, file);
    if (user === undefined) {
      builder.add(step);
      continue;
    }
    builder.add({ ...step, onError: { tolerate: ["EPERM"], skip: 1 } });
    // What tells the second attempt that the first was successful.
    builder.add({ label: "It is done", group, syscall: "close", args: [file] });
  }
  if (user !== undefined) {
    builder.add(joinStep(user.join, user.file));
    for (const { join, file } of others) {
      const step = joinStep(join, file);
      builder.add({ ...step, label: `${step.label}, unless it is done`, onError: { tolerate: ["EBADF"] } });
    }
  }
  for (const { join, file } of opened) {
    builder.add({
      label: `Close the ${join.type} namespace's file`,
      group,
      syscall: "close",
      args: [file],
      ...(user !== undefined && { onError: { tolerate: ["EBADF"] } }),
    });
  }
}

function openNamespace(builder: PlanBuilder, { type, at }: JoinedNamespace): Slot | number {
  if ("descriptor" in at) return at.descriptor;
  return builder.addFor(`${type} namespace`, {
    label: `Open the ${type} namespace of ${at.property}`,
    group,
    syscall: "openat",
    args: [AT_FDCWD, at.path, O_RDONLY | O_CLOEXEC],
    path: at.path,
  });
}

/** setns(2) refuses a namespace of another type with EINVAL: whatever the path leads to by now. */
function joinStep({ type, at }: JoinedNamespace, file: Slot | number): Step {
  const isOpen = "descriptor" in at;
  const whose = isOpen ? at.whose : at.property;
  return {
    label: whose === undefined ? `Enter the ${type} namespace that was made` : `Join the ${type} namespace of ${whose}`,
    group,
    syscall: "setns",
    args: [file, flagsOfTypes[type]],
    ...(!isOpen && { path: at.path }),
  };
}

/** How a process becomes the root of a user namespace. */
export interface RootOfNamespace {
  /** See `deniesSetgroups`: the process keeps the groups that its caller has anyhow. */
  readonly setgroupsDenied?: boolean;
  /** See `addVisibility`. */
  readonly isVisible?: boolean;
}

/**
 * Becomes the root of the user namespace that the process has entered: until then it is nobody in there, to whom none of
 * its files belong. user_namespaces(7)
 */
export function addRootOfNamespace(
  builder: PlanBuilder,
  { setgroupsDenied = false, isVisible = false }: RootOfNamespace,
): void {
  // While the process may still give them up; what is not mapped would stay.
  if (!setgroupsDenied) builder.add({ label: "Leave the host's groups", group, syscall: "setgroups", args: [0, 0] });
  builder.add({ label: "Become the namespace's group 0", group, syscall: "setresgid", args: [0, 0, 0] });
  builder.add({ label: "Become the namespace's root", group, syscall: "setresuid", args: [0, 0, 0] });
  if (isVisible) addVisibility(builder);
}

/**
 * Who joins a pid namespace is not in it, only children are: the plan goes on in one, a sibling of its maker
 * (CLONE_PARENT), so that the launcher can wait for it. pid_namespaces(7)
 * @param flags CLONE_NEW… of what is made with it
 */
export function addChild(builder: PlanBuilder, flags = 0): void {
  builder.add({
    label: `Make a child, which is in the container's ${flags === 0 ? "pid namespace" : "namespaces"}`,
    group,
    syscall: "clone",
    args: [CLONE_PARENT | SIGCHLD | flags, 0, 0, 0, 0],
    onSuccess: { parent: "tells" },
  });
}
