import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWTIME,
  CLONE_PARENT,
  O_CLOEXEC,
  O_RDONLY,
  SIGCHLD,
} from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import { type NamespaceFile, namespaceFlags } from "../../linux/namespace.ts";
import type { Linux, Namespace, NamespaceType } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";
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
  readonly path: string;
  /** Where its path stands in the document, for messages. */
  readonly property: string;
}

/** What becomes of `linux.namespaces`. */
export interface PlannedNamespaces {
  /** CLONE_NEW… flags of the clone3 by which the first process is made. */
  readonly flags: number;
  /** Those that exist, in the order in which they are joined. */
  readonly joins: readonly JoinedNamespace[];
  /** CLONE_NEW… flags of all that are new, whoever makes them. */
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
}

/**
 * Decides which namespaces are made by whom and in which order. All that is new comes with the process, but for that of
 * cgroups, which takes the cgroup that its maker is in by then, and that of clocks, which gets its offsets before anybody
 * is in it.
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
    if (!isNew && isGockers(type, path, property, options)) continue;
    if (type === "user") {
      throw new InvalidDocumentError("linux.namespaces: user is not supported yet");
    }
    own.add(type);
    if (isNew) made |= flagsOfTypes[type];
    else joined.set(type, { type, path, property });
  }
  // gocker's own, by its path, is none: the container's mounts would be made on the host, and its root changed.
  if (!own.has("mount")) {
    throw new InvalidDocumentError("linux.namespaces: a container needs a mount namespace of its own");
  }
  return {
    flags: made & ~(CLONE_NEWCGROUP | CLONE_NEWTIME),
    joins: types.flatMap((type) => joined.get(type) ?? []),
    made,
    tellsChild: joined.has("pid"),
    own,
  };
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
 * host's; and what belongs to a process and not to its children, such as a death signal, must come after it.
 * @throws InvalidDocumentError
 */
export function addNamespaces(
  builder: PlanBuilder,
  namespaces: readonly Namespace[],
  timeOffsets: Linux["timeOffsets"] = {},
  options: NamespaceOptions = {},
): PlannedNamespaces {
  const plan = planNamespaces(namespaces, options);
  addJoins(builder, plan.joins);
  if (plan.tellsChild) addChild(builder);
  if ((plan.made & CLONE_NEWCGROUP) !== 0) {
    builder.add({
      label: "See the container's cgroup as the root of all",
      group,
      syscall: "unshare",
      args: [CLONE_NEWCGROUP],
    });
  }
  if ((plan.made & CLONE_NEWTIME) !== 0) addTimeNamespace(builder, timeOffsets);
  else refuseTimeOffsets(timeOffsets, { isJoined: plan.own.has("time") });
  return plan;
}

/** All are opened before the first is joined, and none stays open: a process that waits for its start must not hold a way to what is the host's. */
function addJoins(builder: PlanBuilder, joins: readonly JoinedNamespace[]): void {
  const opened = joins.map((join) => ({ ...join, file: openNamespace(builder, join) }));
  // setns(2) refuses a namespace of another type with EINVAL: whatever the path leads to by now.
  for (const { type, path, property, file } of opened) {
    const label = `Join the ${type} namespace of ${property}`;
    builder.add({ label, group, syscall: "setns", args: [file, flagsOfTypes[type]], path });
  }
  for (const { type, file } of opened) {
    builder.add({ label: `Close the ${type} namespace's file`, group, syscall: "close", args: [file] });
  }
}

function openNamespace(builder: PlanBuilder, { type, path, property }: JoinedNamespace): Slot {
  return builder.addFor(`${type} namespace`, {
    label: `Open the ${type} namespace of ${property}`,
    group,
    syscall: "openat",
    args: [AT_FDCWD, path, O_RDONLY | O_CLOEXEC],
    path,
  });
}

/**
 * Who joins a pid namespace is not in it, only children are: the plan goes on in one, a sibling of its maker
 * (CLONE_PARENT), so that the launcher can wait for it. pid_namespaces(7)
 */
export function addChild(builder: PlanBuilder): void {
  builder.add({
    label: "Make a child, which is in the container's pid namespace",
    group,
    syscall: "clone",
    args: [CLONE_PARENT | SIGCHLD, 0, 0, 0, 0],
    onSuccess: { parent: "tells" },
  });
}
