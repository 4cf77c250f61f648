import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  MOUNT_ATTR_RDONLY,
  PR_SET_PDEATHSIG,
  SIGKILL,
} from "../../linux/constants.ts";
import type { Slot, Step } from "../../linux/launch/plan.ts";
import type { NamespaceType, RuntimeSpec } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import type { RootFileSystem } from "../root.ts";
import { PlanBuilder } from "./builder.ts";
import { addConsole, addDefaultDevices, addDevices, addNullStdio, directoryOfNull } from "./devices.ts";
import {
  addMounts,
  type BindSources,
  isInProc,
  type MadeMounts,
  type MountFacts,
  takeSharedSources,
} from "./mounts.ts";
import { addLoopback } from "./network.ts";
import {
  addCloseOnExec,
  addExecution,
  addIdentity,
  addKeyring,
  addOomScore,
  addReaper,
  addRlimits,
  addSignalDefaults,
  openWorkingDirectory,
} from "./process.ts";
import { addPivotSteps, addPropagationStep, addRootPropagation, addRootSteps } from "./root-file-system.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { addMaskedPaths, addReadonlyPaths, addSysctls, type PathKinds } from "./security.ts";
import { refuseChangesOfHost, refuseUnsupported } from "./supported.ts";
import { addTerminal, addTerminalAsStdio, terminalDescriptors } from "./terminal.ts";

/** A container as a list of system calls: what `--explain` prints and the launcher runs. */
export interface LaunchPlan {
  /** CLONE_NEW… flags of the clone3 that comes before the steps. */
  readonly namespaces: number;
  readonly steps: readonly Step[];
}

/** Everything that decides a plan. The same input makes the same plan. */
export interface LaunchPlanInput {
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly root: RootFileSystem;
  /** How the child joins its cgroup, before anything else. */
  readonly joinCgroup: readonly Step[];
  readonly facts: MountFacts & { readonly lastCapability: number };
  readonly seccomp: SeccompFilter | undefined;
  /** Where the terminal's master side goes; needed when `process.terminal` is set. */
  readonly terminalSocket?: number | undefined;
  /** Which of the descriptors 0, 1 and 2 are the host's null device. */
  readonly nullStdio: readonly number[];
  /** Process 1 is a reaper, and the program its child. */
  readonly reaper: boolean;
  readonly diesWithParent: boolean;
}

const namespaceFlags: Partial<Record<NamespaceType, number>> = {
  mount: CLONE_NEWNS,
  pid: CLONE_NEWPID,
  uts: CLONE_NEWUTS,
  ipc: CLONE_NEWIPC,
  network: CLONE_NEWNET,
};

/**
 * The launch plan of a container. The order is that of runc's init (facts: standard_init_linux.go), with the reason for
 * each place beside it.
 * @throws InvalidDocumentError when the specification breaks its own rules
 */
export function buildLaunchPlan(input: LaunchPlanInput): LaunchPlan {
  const { spec, facts } = input;
  const { process, linux = {} } = spec;
  if (process === undefined) throw new InvalidDocumentError("process: nothing to execute");
  refuseUnsupported(spec);
  refuseChangesOfHost(spec, facts.cgroupView);
  const builder = new PlanBuilder();

  if (input.diesWithParent) addEarlyDeathSignal(builder);
  // First, so that everything that follows is counted and the cgroup namespace has the container's cgroup as its root.
  input.joinCgroup.forEach((step) => builder.add(step));
  const namespaces = addNamespaces(builder, spec);
  if ((namespaces & CLONE_NEWNET) !== 0) addLoopback(builder);
  addKeyring(builder, `gocker.${input.id}`);
  if (process.oomScoreAdj !== undefined) addOomScore(builder, process.oomScoreAdj);
  // Device nodes and mount points get exactly the modes that are asked for.
  builder.add({ label: "Let modes be as given", group: "file system", syscall: "umask", args: [0] });

  const sources = takeSharedSources(builder, spec.mounts ?? []);
  addPropagationStep(builder, linux.rootfsPropagation);
  addRootSteps(builder, input.root);
  const fileSystems = addFileSystems(builder, input, sources);
  const kinds = kernelPaths(fileSystems.made, facts);

  addPivotSteps(builder);
  addRootPropagation(builder, linux.rootfsPropagation);
  addNames(builder, spec);
  // After hostname and before the read-only paths, which cover the settings.
  addSysctls(builder, linux.sysctl ?? {}, fileSystems.made.get("/proc")?.mount);
  if (spec.root?.readonly === true) {
    builder.setMountAttributes({
      label: "Make the root directory read-only",
      group: "security",
      mount: builder.root,
      set: MOUNT_ATTR_RDONLY,
    });
  }
  addReadonlyPaths(builder, linux.readonlyPaths ?? [], kinds);
  addMaskedPaths(builder, linux.maskedPaths ?? [], kinds);

  addRlimits(builder, process.rlimits ?? []);
  addSignalDefaults(builder);
  builder.add({ label: "Begin a session", group: "process", syscall: "setsid", args: [] });
  if (process.terminal === true) addTerminalAsStdio(builder);
  builder.add({
    label: `Go to the working directory ${process.cwd}`,
    group: "process",
    syscall: "fchdir",
    args: [fileSystems.directory],
    path: process.cwd,
  });
  addCloseOnExec(builder);
  addIdentity(builder, {
    process,
    seccomp: input.seccomp,
    lastCapability: facts.lastCapability,
    diesWithParent: input.diesWithParent,
  });
  if (input.reaper) addReaper(builder, process.terminal === true);
  addExecution(builder, process);
  return { namespaces, steps: builder.steps };
}

function addEarlyDeathSignal(builder: PlanBuilder): void {
  builder.add({
    label: "Die when gocker dies, while being set up",
    group: "process",
    syscall: "prctl",
    args: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0],
  });
}

/** The flags of clone3, and a step for the cgroup namespace: it takes the cgroup that its maker is in by then. */
function addNamespaces(builder: PlanBuilder, spec: RuntimeSpec): number {
  let flags = 0;
  const seen = new Set<NamespaceType>();
  for (const { type, path } of spec.linux?.namespaces ?? []) {
    if (seen.has(type)) throw new InvalidDocumentError(`linux.namespaces: ${type} is given twice`);
    seen.add(type);
    if (path !== undefined) {
      throw new InvalidDocumentError(`linux.namespaces: joining a ${type} namespace by its path is not supported yet`);
    }
    if (type === "cgroup") {
      builder.add({
        label: "See the container's cgroup as the root of all",
        group: "namespaces",
        syscall: "unshare",
        args: [CLONE_NEWCGROUP],
      });
      continue;
    }
    const flag = namespaceFlags[type];
    if (flag === undefined) throw new InvalidDocumentError(`linux.namespaces: ${type} is not supported yet`);
    flags |= flag;
  }
  if ((flags & CLONE_NEWNS) === 0)
    throw new InvalidDocumentError("linux.namespaces: a container needs a mount namespace");
  return flags;
}

/** What later steps need of the container's file systems. */
interface FileSystems {
  readonly directory: Slot;
  readonly made: MadeMounts;
}

function addFileSystems(builder: PlanBuilder, input: LaunchPlanInput, sources: BindSources): FileSystems {
  const { spec, facts } = input;
  const process = spec.process as NonNullable<RuntimeSpec["process"]>;
  const own = spec.linux?.devices ?? [];
  const all = spec.mounts ?? [];
  // Last: a mount whose target leads to /proc by a link ends up below it and is hidden, instead of putting its own files
  // in the place of the kernel's (CVE-2025-52881).
  const mounts = all.filter((mount) => !isInProc(mount));
  const made: MadeMounts = new Map();
  // Devices come right after /dev, so that a mount over one of them finds it.
  const devIndex = mounts.findLastIndex((mount) => mount.destination === "/dev");
  addMounts(builder, mounts.slice(0, devIndex + 1), { facts, made, sources });
  const dev = made.get("/dev")?.mount;
  if (dev !== undefined) addDefaultDevices(builder, dev, own);
  // A directory of the host's at /dev has its own devices, and any made there would be made on the host.
  const isForeign = devIndex >= 0 && dev === undefined;
  addDevices(builder, isForeign ? own.filter(({ path }) => splitPath(path)[0] !== "dev") : own, dev);
  addMounts(builder, mounts.slice(devIndex + 1), { facts, made, sources });
  addMounts(builder, all.filter(isInProc), { facts, made, sources });
  if (input.nullStdio.length > 0) addNullStdio(builder, directoryOfNull(builder, dev), input.nullStdio);
  if (process.terminal === true) addTerminalSteps(builder, input, dev, made.get("/dev/pts")?.mount);
  const directory = openWorkingDirectory(builder, process.cwd, (path) => facts.resolveTarget(path));
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
