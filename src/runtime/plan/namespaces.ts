import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUTS,
  CLONE_PARENT,
  O_CLOEXEC,
  O_RDONLY,
  SIGCHLD,
} from "../../linux/constants.ts";
import type { Linux, Namespace, NamespaceType } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";
import { addTimeNamespace, refuseTimeOffsets } from "./time-namespace.ts";

const group = "namespaces";

const flags: Partial<Record<NamespaceType, number>> = {
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  network: CLONE_NEWNET,
  pid: CLONE_NEWPID,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
  mount: CLONE_NEWNS,
};

/** What became of `linux.namespaces`. */
export interface PlannedNamespaces {
  /** CLONE_NEW… flags of the clone3 by which the first process is made. */
  readonly flags: number;
  /** The plan goes on in a child: see {@link addChild}. */
  readonly tellsChild: boolean;
}

/**
 * The namespaces of a container: new ones come with its first process, but for that of cgroups, which takes the cgroup that
 * its maker is in by then, and that of clocks, which gets its offsets before anybody is in it; others are joined by their paths, that of mounts last, since paths are others from there on.
 * @throws InvalidDocumentError
 */
export function addNamespaces(
  builder: PlanBuilder,
  namespaces: readonly Namespace[],
  timeOffsets: Linux["timeOffsets"] = {},
): PlannedNamespaces {
  let cloned = 0;
  const joined = new Map<NamespaceType, { readonly path: string; readonly where: string }>();
  const seen = new Set<NamespaceType>();
  for (const [index, { type, path }] of namespaces.entries()) {
    if (seen.has(type)) throw new InvalidDocumentError(`linux.namespaces: ${type} is given twice`);
    seen.add(type);
    const flag = flags[type];
    if (flag === undefined) throw new InvalidDocumentError(`linux.namespaces: ${type} is not supported yet`);
    const where = `linux.namespaces[${index}].path`;
    if (path === undefined || path === "") cloned |= flag;
    else if (path.startsWith("/")) joined.set(type, { path, where });
    else throw new InvalidDocumentError(`${where}: ${path} is not absolute`);
  }
  if (!seen.has("mount")) throw new InvalidDocumentError("linux.namespaces: a container needs a mount namespace");
  for (const [type, flag] of Object.entries(flags)) {
    const namespace = joined.get(type as NamespaceType);
    if (namespace !== undefined) addJoinByPath(builder, { type, flag, ...namespace });
  }
  const tellsChild = joined.has("pid");
  if (tellsChild) addChild(builder);
  if ((cloned & CLONE_NEWCGROUP) !== 0) {
    builder.add({
      label: "See the container's cgroup as the root of all",
      group,
      syscall: "unshare",
      args: [CLONE_NEWCGROUP],
    });
  }
  if ((cloned & CLONE_NEWTIME) !== 0) addTimeNamespace(builder, timeOffsets);
  else refuseTimeOffsets(timeOffsets, { isJoined: joined.has("time") });
  return { flags: cloned & ~(CLONE_NEWCGROUP | CLONE_NEWTIME), tellsChild };
}

/** setns(2) refuses a namespace of another type with EINVAL. */
function addJoinByPath(
  builder: PlanBuilder,
  namespace: { readonly type: string; readonly flag: number; readonly path: string; readonly where: string },
): void {
  const { type, flag, path, where } = namespace;
  const file = builder.addFor(path, {
    label: `Open the ${type} namespace of ${where}`,
    group,
    syscall: "openat",
    args: [AT_FDCWD, path, O_RDONLY | O_CLOEXEC],
    path,
  });
  builder.add({ label: `Join the ${type} namespace of ${where}`, group, syscall: "setns", args: [file, flag], path });
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
