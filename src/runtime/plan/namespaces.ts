import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_PARENT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  SIGCHLD,
} from "../../linux/constants.ts";
import type { Slot, Step } from "../../linux/launch/plan.ts";
import type { NamespaceFile } from "../../linux/namespace.ts";
import type { Namespace, NamespaceType } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";

const group = "namespaces";

/** In the order in which they are joined: the process's own view of the host's files last. */
const flagsOfTypes = {
  user: CLONE_NEWUSER,
  network: CLONE_NEWNET,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
  pid: CLONE_NEWPID,
  mount: CLONE_NEWNS,
} as const satisfies Record<NamespaceType, number>;
const types = Object.keys(flagsOfTypes) as NamespaceType[];

/** A namespace that is there already. */
export interface JoinedNamespace {
  readonly type: NamespaceType;
  readonly path: string;
  /** Where its path stands in the document, for messages. */
  readonly property: string;
}

/** How a process gets into its namespaces. */
export interface NamespacePlan {
  /** CLONE_NEW… flags of the clone3 that makes the process. */
  readonly cloneFlags: number;
  /** Those that exist, in the order in which they are joined. */
  readonly joins: readonly JoinedNamespace[];
  /** CLONE_NEW… flags of those that the plan makes after the joins, as a joined or new user namespace must own them. */
  readonly lateFlags: number;
  /**
   * The plan goes on in a child of the process that was launched, because nobody enters a pid namespace himself, and so
   * that the launcher knows when there is a user namespace to map: it learns the child's number by a pipe (`adoptChild`
   * of linux/launch/child.ts).
   */
  readonly makesChild: boolean;
  /** A user namespace is new: the launcher maps its IDs (`writeIdMappings`), see `addUserNamespaceSetup`. */
  readonly mapsIds: boolean;
  /** A cgroup namespace is new: see {@link addCgroupNamespace}. */
  readonly makesCgroup: boolean;
  /** A time namespace is new: see `addTimeNamespace`. */
  readonly makesTime: boolean;
  /** Those in which the container is not gocker's neighbour. */
  readonly own: ReadonlySet<NamespaceType>;
}

export interface NamespaceFacts {
  /** See `namespaceAt` of linux/namespace.ts; "missing" for a path where nothing is, undefined for something else. */
  namespaceAt(path: string): NamespaceFile | "missing" | undefined;
}

/**
 * Decides which namespaces are made by whom and in which order. New ones belong to the user namespace that the process
 * which makes them is in: what is new is made behind a user namespace, joined or new, and what exists is joined with
 * gocker's rights before. A new user namespace cannot come with the process itself, which loses its rights in there when it
 * executes the stub while its IDs are not mapped yet. Without a user namespace all that is new comes with the process.
 * @throws InvalidDocumentError
 */
export function planNamespaces(namespaces: readonly Namespace[], facts: NamespaceFacts): NamespacePlan {
  const joined = new Map<NamespaceType, JoinedNamespace>();
  const seen = new Set<NamespaceType>();
  const own = new Set<NamespaceType>();
  let fresh = 0;
  for (const [index, { type, path }] of namespaces.entries()) {
    const property = `linux.namespaces[${index}]`;
    // The type comes from a document and may be anything.
    if (!types.includes(type)) throw new InvalidDocumentError(`${property}.type: unknown type ${type}`);
    if (seen.has(type)) throw new InvalidDocumentError(`${property}.type: ${type} is given twice`);
    seen.add(type);
    // runc and its callers write an empty path for a new one.
    if (path === undefined || path === "") {
      own.add(type);
      fresh |= flagsOfTypes[type];
    } else if (!isOwnNamespace(type, path, `${property}.path`, facts)) {
      own.add(type);
      joined.set(type, { type, path, property: `${property}.path` });
    }
  }
  const joins = types.flatMap((type) => joined.get(type) ?? []);
  const atOnce = fresh & ~(CLONE_NEWCGROUP | CLONE_NEWTIME);
  const mapsIds = (fresh & CLONE_NEWUSER) !== 0;
  const isLate = joined.has("user") || mapsIds;
  const lateFlags = isLate ? atOnce : 0;
  return {
    cloneFlags: isLate ? 0 : atOnce,
    joins,
    lateFlags,
    makesChild: joined.has("pid") || (lateFlags & (CLONE_NEWUSER | CLONE_NEWPID)) !== 0,
    mapsIds,
    makesCgroup: (fresh & CLONE_NEWCGROUP) !== 0,
    makesTime: (fresh & CLONE_NEWTIME) !== 0,
    own,
  };
}

/** Whether gocker is in the namespace of the path; there is nothing to join then, and its user namespace refuses it. */
function isOwnNamespace(type: NamespaceType, path: string, property: string, facts: NamespaceFacts): boolean {
  if (!path.startsWith("/")) throw new InvalidDocumentError(`${property}: ${path} is not absolute`);
  const found = facts.namespaceAt(path);
  if (found === "missing") throw new InvalidDocumentError(`${property}: ${path} does not exist`);
  if (found === undefined) throw new InvalidDocumentError(`${property}: ${path} is no namespace`);
  if (found.type === flagsOfTypes[type]) return found.isOwn;
  const actual = types.find((name) => flagsOfTypes[name] === found.type) ?? "different";
  throw new InvalidDocumentError(`${property}: ${path} is a ${actual} namespace, not a ${type} namespace`);
}

export interface AddNamespacesInput {
  readonly plan: NamespacePlan;
  /** The writing end of a pipe that the child's number goes to; needed when the plan makes one. */
  readonly pidDescriptor?: number | undefined;
}

/**
 * Joins and makes the namespaces that the process is not born into. To come first in a plan: paths are the host's. What
 * belongs to a process and not to its children (a death signal) must come after it. setns(2), unshare(2), clone(2)
 * @returns the directory of gocker's own /proc, for what later steps must write there about the process, and to be closed
 * by {@link closeHostProc} before the container's program or anything of it runs; undefined when nothing was opened as
 * nothing was to be done
 */
export function addNamespaces(builder: PlanBuilder, input: AddNamespacesInput): Slot | undefined {
  const { plan } = input;
  if (plan.joins.length === 0 && plan.lateFlags === 0) return undefined;
  const proc = openHostProc(builder);
  addJoins(builder, plan.joins);
  if (!plan.makesChild) {
    if (plan.lateFlags !== 0) {
      builder.add({ label: "Make the other namespaces", group, syscall: "unshare", args: [plan.lateFlags] });
    }
    return proc;
  }
  if (input.pidDescriptor === undefined) throw new RangeError("nobody is there to be told the child's number");
  builder.add({
    label: "Go on in a child, which is in the namespaces",
    group,
    syscall: "clone",
    // A child of gocker's too, which waits for it.
    args: [SIGCHLD | CLONE_PARENT | plan.lateFlags, 0, 0, 0, 0],
    onSuccess: { parent: "leaves" },
  });
  addPidReport(builder, proc, input.pidDescriptor);
  return proc;
}

/** gocker's own /proc, by descriptor: it stays that when the mount namespace is another. */
export function openHostProc(builder: PlanBuilder): Slot {
  return builder.addFor("proc of the host", {
    label: "Keep the host's /proc",
    group,
    syscall: "openat",
    args: [AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC],
    path: "/proc",
  });
}

/** Whoever can look into the process, which waits for its start, would come to the host's files by it. */
export function closeHostProc(builder: PlanBuilder, proc: Slot): void {
  builder.add({ label: "Close the host's /proc", group, syscall: "close", args: [proc] });
}

/** The process knows its number in its own pid namespace only; gocker's procfs has the one that gocker knows it by. */
function addPidReport(builder: PlanBuilder, proc: Slot, descriptor: number): void {
  const number = new Uint8Array(16);
  const length = builder.addFor("length of the number", {
    label: "Look up which number the host has for this process",
    group,
    syscall: "readlinkat",
    args: [proc, "self", number, number.length],
    path: "/proc/self",
  });
  builder.add({ label: "Tell gocker", group, syscall: "write", args: [descriptor, number, length] });
}

/**
 * All are opened before the first is joined. A user namespace to join may take away the rights that others need, or give
 * them: so the others are tried before and, where they were refused, again after it, as nsenter(1) does.
 */
function addJoins(builder: PlanBuilder, joins: readonly JoinedNamespace[]): void {
  const opened = joins.map((join) => ({ ...join, file: openNamespace(builder, join) }));
  const user = opened.find(({ type }) => type === "user");
  const others = opened.filter(({ type }) => type !== "user");
  for (const join of others) {
    const step = joinStep(join, join.file);
    if (user === undefined) {
      builder.add(step);
      continue;
    }
    builder.add({ ...step, onError: { tolerate: ["EPERM"], skip: 1 } });
    // What tells the second attempt that the first was successful.
    builder.add({ label: "It is done", group, syscall: "close", args: [join.file] });
  }
  if (user !== undefined) {
    builder.add(joinStep(user, user.file));
    for (const join of others) {
      const step = joinStep(join, join.file);
      builder.add({ ...step, label: `${step.label}, unless it is done`, onError: { tolerate: ["EBADF"] } });
    }
  }
  // A process that waits for its start must not hold a way to the host's.
  for (const { type, file } of opened) {
    builder.add({
      label: `Close the ${type} namespace's file`,
      group,
      syscall: "close",
      args: [file],
      ...(user !== undefined && { onError: { tolerate: ["EBADF"] } }),
    });
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

/** The kernel refuses one of another type with EINVAL: whatever the path leads to by now. */
function joinStep({ type, path, property }: JoinedNamespace, file: Slot): Step {
  return {
    label: `Join the ${type} namespace of ${property}`,
    group,
    syscall: "setns",
    args: [file, flagsOfTypes[type]],
    path,
  };
}

/** A cgroup namespace whose root is the cgroup that the process is in by now. cgroup_namespaces(7) */
export function addCgroupNamespace(builder: PlanBuilder): void {
  builder.add({
    label: "See the container's cgroup as the root of all",
    group,
    syscall: "unshare",
    args: [CLONE_NEWCGROUP],
  });
}
