import { CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, MOUNT_ATTR_RDONLY } from "../../linux/constants.ts";
import { pauseSteps, type Slot, type Step } from "../../linux/launch/plan.ts";
import type { LsmSupport } from "../../linux/lsm.ts";
import type { Process, RuntimeSpec } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import type { DirectoryRoot, RootFileSystem } from "../root.ts";
import { PlanBuilder, type PlanPart } from "./builder.ts";
import { addCgroupJoin } from "./cgroup-join.ts";
import { addConsole, addDefaultDevices, addDevices, addNullStdio, directoryOfNull } from "./devices.ts";
import { sealMounts } from "./file-systems.ts";
import { type HostTrees, stageAllTrees, type StagedTrees, takeNodes, takeSharedTrees } from "./host-trees.ts";
import type { MadeMounts, MountContext, MountFacts } from "./mount-context.ts";
import { addMounts, orderOfMounts } from "./mounts.ts";
import { addLabelledKeyring, hasLabels, openHostProc } from "./labels.ts";
import { addNamespaces, type NamespaceOptions, type PlannedNamespaces, planNamespaces } from "./namespaces.ts";
import { addLoopback } from "./network.ts";
import { type DeviceMove, planDeviceMoves } from "./network-devices.ts";
import { addRaisedLimits } from "./limits.ts";
import { addEarlyDeathSignal, addHiding, addOomScore, makeWorkingDirectory } from "./process.ts";
import { addProgram } from "./program.ts";
import { type HostRights, rightsOfRoot } from "./rights.ts";
import {
  addChrootSteps,
  addMoveSteps,
  addPivotSteps,
  addPropagationStep,
  addRootPropagation,
  addRootSteps,
  addHostRootSteps,
  addTakenRoot,
  takeRoot,
  isCutOff,
} from "./root-file-system.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { listenerOf } from "../seccomp/listener.ts";
import { addMaskedPaths, addReadonlyPaths, addSysctls, type PathKinds } from "./security.ts";
import { addAllProcessors, checkAffinity } from "./scheduler.ts";
import { refuseChangesOfHost, refuseUnsupported } from "./supported.ts";
import { addTerminal, terminalDescriptors } from "./terminal.ts";

/** A container as a list of system calls: what `--explain` prints and the launcher runs. */
export interface LaunchPlan {
  /** CLONE_NEW… flags of the clone3 that comes before the steps. */
  readonly namespaces: number;
  /** The first process makes another one, which is the container's, tells its number and leaves. */
  readonly tellsChild: boolean;
  readonly steps: readonly Step[];
  readonly parts: readonly PlanPart[];
  /** What gocker does at the pause {@link beforePivot}: no process inside can reach what is the host's. */
  readonly deviceMoves: readonly DeviceMove[];
  /** The container has no mount namespace of its own: its mounts are on the host, at {@link LaunchPlanInput.placeOfMounts}. */
  readonly hasHostMounts: boolean;
}

/** Everything that decides a plan. The same input makes the same plan. */
export interface LaunchPlanInput {
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly root: RootFileSystem;
  /** How the child joins its cgroup, before anything else. */
  readonly joinCgroup: readonly Step[];
  readonly facts: MountFacts & {
    readonly lastCapability: number;
    /** See `addRaisedLimits`. */
    hardLimit(resource: number): bigint;
    lsm(): LsmSupport;
    namespaceAt: NamespaceOptions["namespaceAt"];
    /** Whether gocker itself can look into a process that is hidden: see `addHiding`. */
    mayTrace(): boolean;
  };
  readonly seccomp: SeccompFilter | undefined;
  /** The host's root's, unless told. */
  readonly rights?: HostRights | undefined;
  /** See `deniesSetgroups`, of the user namespace that the container is in. */
  readonly setgroupsDenied?: boolean | undefined;
  /** Standard descriptors for `addStdioOwner`. */
  readonly givenStdio?: readonly number[] | undefined;
  /** See {@link NamespaceOptions.userNamespace}. */
  readonly userNamespace?: number | undefined;
  /** See {@link NamespaceOptions.opened}. */
  readonly openedNamespaces?: NamespaceOptions["opened"];
  /** See {@link NamespaceOptions.isBornInPidNamespace}. */
  readonly isBornInPidNamespace?: boolean | undefined;
  /** Where the terminal's master side goes; needed when `process.terminal` is set. */
  readonly terminalSocket?: number | undefined;
  /** Which of the descriptors 0, 1 and 2 are the host's null device. */
  readonly nullStdio: readonly number[];
  /** Process 1 is a reaper, and the program its child. */
  readonly reaper: boolean;
  readonly diesWithParent: boolean;
  /** See `IdentityInput.lifeline`. */
  readonly lifeline?: number | undefined;
  /**
   * The reading end of a pipe: the plan comes to the pause {@link beforePivot} and goes on when a byte is written to it.
   * For hooks, which see the container's namespaces and still the host's files, for devices that come into them; and
   * to the pause `filterInForce`, when the filter notifies.
   */
  readonly release?: number | undefined;
  /** The reading end of a FIFO: see `addWaitForStart`. Absent: the program is executed at once. */
  readonly startFifo?: number | undefined;
  /** False: the container's processes have the caller's keyring. */
  readonly newKeyring?: boolean;
  /** How many descriptors after the standard ones the program gets. */
  readonly preservedDescriptors?: number;
  /** A directory for the mounts of a container that has no mount namespace of its own. */
  readonly placeOfMounts?: string | undefined;
  /** Where the host has procfs and sysfs, when the root is not to be changed by pivot_root(2): see `addMoveSteps`. */
  readonly kernelMounts?: readonly string[] | undefined;
}

/** See {@link LaunchPlanInput.release}. */
export const beforePivot = 1;

/**
 * The launch plan of a container. The order is that of runc's init (facts: standard_init_linux.go), with the reason for
 * each place beside it.
 * @throws InvalidDocumentError when the specification breaks its own rules
 */
export function buildLaunchPlan(input: LaunchPlanInput): LaunchPlan {
  const { spec, facts } = input;
  const { linux = {} } = spec;
  const process = spec.process ?? idle;
  if (process === idle && input.startFifo === undefined) throw new InvalidDocumentError("process: nothing to execute");
  refuseUnsupported(spec, () => facts.lsm());
  listenerOf(linux.seccomp);
  checkAffinity(process.execCPUAffinity);
  const builder = new PlanBuilder();

  if (input.diesWithParent) addEarlyDeathSignal(builder);
  // First, so that everything that follows is counted and the cgroup namespace has the container's cgroup as its root.
  addCgroupJoin(builder, input.joinCgroup);
  addAllProcessors(builder);
  const proc = hasLabels(process) ? openHostProc(builder) : undefined;
  const { namespaceAt } = facts;
  const namespaces = planNamespaces(linux.namespaces ?? [], {
    namespaceAt,
    userNamespace: input.userNamespace,
    opened: input.openedNamespaces,
    isBornInPidNamespace: input.isBornInPidNamespace,
  });
  refuseChangesOfHost(spec, namespaces.own);
  const deviceMoves = planDeviceMoves(linux.netDevices, namespaces.own);
  const hasUsers = namespaces.own.has("user");
  if (hasUsers && input.kernelMounts !== undefined) {
    // Its root could take away what lies over the host's.
    throw new InvalidDocumentError("linux.namespaces: --no-pivot cannot hold a container with a user namespace");
  }
  const { oomScoreAdj } = process;
  if (oomScoreAdj !== undefined) builder.about("process.oomScoreAdj", () => addOomScore(builder, oomScoreAdj));
  const rights = input.rights ?? rightsOfRoot;
  const { setgroupsDenied = false } = input;
  if (hasUsers) requireOwnMounts(namespaces);
  const taken = hasUsers && rights.isRoot ? takeFromHost(builder, input) : undefined;
  // In a pid namespace with others, some may have the same rights over the process that its maker has.
  const isVisible =
    hasUsers && !rights.isRoot && !(namespaces.own.has("pid") && (namespaces.made & CLONE_NEWPID) === 0);
  if (hasUsers && !rights.isRoot && !isVisible) addHiding(builder);
  addNamespaces(builder, namespaces, linux.timeOffsets, { isRoot: rights.isRoot, setgroupsDenied, isVisible });
  taken?.staged.arrive(builder);
  // Forgotten by who changes the user or is another process.
  if ((namespaces.tellsChild || hasUsers) && input.diesWithParent) addEarlyDeathSignal(builder);
  if ((namespaces.made & CLONE_NEWNET) !== 0) addLoopback(builder);
  const labels = proc === undefined ? undefined : { proc, lsm: facts.lsm() };
  if (input.newKeyring !== false) addLabelledKeyring(builder, `gocker.${input.id}`, process.selinuxLabel, labels);
  // Device nodes and mount points get exactly the modes that are asked for.
  builder.add({ label: "Let modes be as given", group: "file system", syscall: "umask", args: [0] });

  const trees = taken?.staged.trees ?? takeTrees(builder, input, rights);
  const hasHostMounts = !namespaces.own.has("mount");
  if (!hasHostMounts) addPropagationStep(builder, linux.rootfsPropagation);
  if (taken !== undefined) addTakenRoot(builder, taken.root);
  else if (hasHostMounts) addHostRootSteps(builder, input.root, input.placeOfMounts);
  else addRootSteps(builder, input.root);
  const fileSystems = addFileSystems(builder, input, process, { trees, own: namespaces.own });
  const kinds = kernelPaths(fileSystems.made, facts);

  if (input.release === undefined && deviceMoves.length > 0) {
    throw new InvalidDocumentError("linux.netDevices: only containers that are created and started have them");
  }
  if (input.release !== undefined) {
    // Before the settings of the kernel, some of which are a device's.
    for (const step of pauseSteps("Let network devices come, and hooks do their part", beforePivot, input.release))
      builder.add(step);
  }
  if (hasHostMounts) addChrootSteps(builder);
  else if (input.kernelMounts === undefined) addPivotSteps(builder);
  else addMoveSteps(builder, input.kernelMounts);
  addRootPropagation(builder, linux.rootfsPropagation);
  addNames(builder, spec);
  // After hostname and before the read-only paths, which cover the settings.
  const procOfContainer = fileSystems.made.get("/proc")?.mount;
  builder.about("linux.sysctl", () => addSysctls(builder, linux.sysctl ?? {}, procOfContainer));
  if (spec.root?.readonly === true) {
    builder.setMountAttributes({
      label: "Make the root directory read-only",
      group: "security",
      mount: builder.root,
      set: MOUNT_ATTR_RDONLY,
    });
  }
  builder.about("linux.readonlyPaths", () => addReadonlyPaths(builder, linux.readonlyPaths ?? [], kinds));
  builder.about("linux.maskedPaths", () => addMaskedPaths(builder, linux.maskedPaths ?? [], kinds, trees.cover));

  addProgram(builder, {
    process,
    isIdle: process === idle,
    directory: fileSystems.directory,
    seccomp: input.seccomp,
    lastCapability: facts.lastCapability,
    diesWithParent: input.diesWithParent,
    lifeline: input.lifeline,
    reaper: input.reaper,
    startFifo: input.startFifo,
    // `exec` and hooks look into it while it waits, and so do those who make its network. Others could who wait for nothing
    // but are in the same pid namespace.
    hidden: (input.startFifo !== undefined || (namespaces.made & CLONE_NEWPID) === 0) && facts.mayTrace(),
    isVisible,
    setgroupsDenied,
    givenStdio: input.givenStdio,
    release: input.release,
    preservedDescriptors: input.preservedDescriptors ?? 0,
    personality: linux.personality,
    memoryPolicy: linux.memoryPolicy,
    labels,
  });
  const { steps, parts } = builder;
  const { flags, tellsChild } = namespaces;
  return { namespaces: flags, tellsChild, steps, parts, deviceMoves, hasHostMounts };
}

/** What a container has that can be created and not started: `process` is only needed for the latter. config.md, "Process" */
const idle: Process = { cwd: "/", user: { uid: 0, gid: 0 } };

function requireOwnMounts({ made }: PlannedNamespaces): void {
  if ((made & CLONE_NEWNS) !== 0) return;
  throw new InvalidDocumentError("linux.namespaces: with a user namespace the mount namespace must be a new one");
}

/** What a process takes of the host's mounts once it is in its own, of what it may reach itself. */
function takeTrees(builder: PlanBuilder, { spec, facts, root }: LaunchPlanInput, rights: HostRights): HostTrees {
  const isOff = isCutOff(spec.linux?.rootfsPropagation);
  const shared = takeSharedTrees(builder, spec.mounts ?? [], facts, { isCutOff: isOff, root });
  return rights.makesDevices ? shared : { ...shared, ...takeNodes(builder, spec) };
}

/** What only the host's root can do for a process that is in a user namespace soon. */
function takeFromHost(
  builder: PlanBuilder,
  { spec, root, facts }: LaunchPlanInput,
): { readonly root: DirectoryRoot; readonly staged: StagedTrees } {
  if (root.kind !== "directory") {
    throw new InvalidDocumentError("linux.namespaces: a user namespace needs a root directory that is there already");
  }
  addRaisedLimits(builder, spec.process?.rlimits ?? [], (resource) => facts.hardLimit(resource));
  const take = () => {
    takeRoot(builder, root);
    return builder.root;
  };
  return { root, staged: stageAllTrees(builder, spec, facts, { path: root.path, take }) };
}

/** What later steps need of the container's file systems. */
interface FileSystems {
  readonly directory: Slot;
  readonly made: MadeMounts;
}

function addFileSystems(
  builder: PlanBuilder,
  input: LaunchPlanInput,
  process: Process,
  { trees, own }: Pick<MountContext, "trees" | "own">,
): FileSystems {
  const { spec, facts } = input;
  const devices = spec.linux?.devices ?? [];
  const mounts = orderOfMounts(spec.mounts ?? [], facts);
  const made: MadeMounts = new Map();
  // Devices come right after /dev, so that a mount over one of them finds it, and before it becomes read-only.
  const devIndex = mounts.findLastIndex(({ destination, options = [] }) => {
    return destination === "/dev" && !options.includes("remount");
  });
  const given = spec.mounts ?? [];
  const context: MountContext = { facts, made, mounted: new Map(), trees, own, order: mounts, given, sealed: [] };
  addMounts(builder, mounts.slice(0, devIndex + 1), context);
  const dev = made.get("/dev")?.mount;
  if (dev !== undefined) addDefaultDevices(builder, dev, devices, trees.devices);
  // A directory of the host's at /dev has its own devices, and any made there would be made on the host.
  const isForeign = devIndex >= 0 && dev === undefined;
  const placed = isForeign ? devices.filter(({ path }) => splitPath(path)[0] !== "dev") : devices;
  builder.about("linux.devices", () => addDevices(builder, placed, dev, trees.devices));
  addMounts(builder, mounts.slice(devIndex + 1), context);
  // Who is not the host's root cannot change the mode of its null device.
  if (input.nullStdio.length > 0 && !own.has("user") && input.rights?.makesDevices !== false)
    addNullStdio(builder, directoryOfNull(builder, dev), input.nullStdio);
  if (process.terminal === true) addTerminalSteps(builder, input, dev, made.get("/dev/pts")?.mount);
  const directory = builder.about("process.cwd", () =>
    makeWorkingDirectory(builder, process.cwd, (path) => facts.resolveTarget(path)),
  );
  sealMounts(builder, context.sealed);
  return { directory, made };
}

/**
 * What is known beforehand of paths to cover: those in a procfs or sysfs that the plan itself mounted are the same in
 * every one of this kernel's, and no image can put anything else there. gocker's own may be missing or reduced
 * (proc(5), `subset=pid`): it tells nothing then.
 */
function kernelPaths(made: MadeMounts, facts: MountFacts): PathKinds {
  const isWhole = { proc: facts.kernelPath("/proc/sys"), sysfs: facts.kernelPath("/sys/kernel") };
  const known = (["proc", "sysfs"] as const).flatMap((type) => {
    const place = type === "proc" ? "/proc" : "/sys";
    return made.get(place)?.type === type && isWhole[type] === "directory" ? [`${place}/`] : [];
  });
  return (path) => {
    if (!known.some((place) => path.startsWith(place))) return "unknown";
    return facts.kernelPath(path) ?? "missing";
  };
}

function addTerminalSteps(
  builder: PlanBuilder,
  input: LaunchPlanInput,
  dev: Slot | undefined,
  devpts: Slot | undefined,
): void {
  const { process } = input.spec;
  if (input.terminalSocket === undefined) {
    throw new InvalidDocumentError("process.terminal: nobody is there to take the terminal");
  }
  addTerminal(builder, {
    devpts,
    socket: input.terminalSocket,
    owner: process?.user.uid ?? 0,
    size: process?.consoleSize,
    plainOutput: input.startFifo !== undefined,
  });
  if (dev !== undefined) addConsole(builder, dev, terminalDescriptors.container);
}

function addNames(builder: PlanBuilder, { hostname, domainname }: RuntimeSpec): void {
  if (hostname !== undefined) {
    const length = Buffer.byteLength(hostname);
    builder.add({
      label: `Name the host ${hostname}`,
      group: "namespaces",
      syscall: "sethostname",
      args: [hostname, length],
    });
  }
  if (domainname !== undefined) {
    const length = Buffer.byteLength(domainname);
    builder.add({
      label: `Name its domain ${domainname}`,
      group: "namespaces",
      syscall: "setdomainname",
      args: [domainname, length],
    });
  }
}
