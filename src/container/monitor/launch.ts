import {
  AT_FDCWD,
  CLONE_INTO_CGROUP,
  CLONE_NEWPID,
  CLONE_PIDFD,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  O_CLOEXEC,
  O_RDONLY,
  SIGCHLD,
} from "../../linux/constants.ts";
import type { LaunchRequest } from "../../linux/launch/launch.ts";
import { fieldOf, slot, statusDescriptor, type Step, words } from "../../linux/launch/plan.ts";
import { sleepSteps } from "../../linux/launch/sleep.ts";
import { type ContainerProcessOptions, planContainer, planDescriptors } from "../../runtime/container-process.ts";
import type { LaunchPlan } from "../../runtime/plan/launch-plan.ts";
import type { NamespaceDescriptor } from "../../runtime/plan/namespaces.ts";
import { descriptorsOf, monitorName, monitorWords, type MonitorState } from "./state.ts";
import { wakesOf } from "./wakes.ts";

const group = "process";

/** A container to be launched with a monitor as its parent. */
export interface MonitoredLaunch {
  readonly container: ContainerProcessOptions;
  /** What the monitor has: descriptors that are open here. The one for the process stands for its number alone. */
  readonly monitor: MonitorState & { readonly descriptors: { readonly process: number } };
  /** The reading end of a pipe: the monitor ends, and the container with it, when gocker ends before it writes a byte. */
  readonly commitment: number;
  /** A pipe that the monitor reads while the container begins, which thus knows that it has one. */
  readonly lifeline: { readonly reader: number; readonly writer: number };
  /** The monitor has something to do from the beginning, and does not sleep until something happens. */
  readonly isAwake: boolean;
}

/**
 * A container's monitor, and by that the container: one process that holds nothing of gocker's, makes the container's
 * first process, and sleeps until something happens to it. So gocker need not be started twice, and a monitor that has
 * nothing to do costs next to nothing.
 * @returns what is to be launched: the monitor, whose status tells the number of the container's process, and how the
 *   launch went
 * @throws as `planContainer`
 */
export function planMonitored(request: MonitoredLaunch): LaunchRequest {
  const { container: given, monitor, commitment, lifeline } = request;
  const container = { ...given, lifeline: lifeline.writer };
  // The monitor is to be its parent: it enters a pid namespace for its child, instead of the child for a child of its own.
  const plan = planContainer({ ...container, isBornInPidNamespace: true });
  const nothing = monitor.descriptors.process;
  const kept = descriptorsOf(monitor);
  const theirs = [...planDescriptors(plan, container), ...container.stdio, ...intoCgroup(container)];
  return {
    // Others tell by it that the container has one.
    argv: [monitorName],
    namespaces: 0,
    steps: monitoredSteps({ ...request, container }, plan),
    stdio: [nothing, nothing, nothing],
    descriptors: [...new Set([...kept, commitment, lifeline.reader, lifeline.writer, ...theirs])].filter(
      (fd) => fd > 2,
    ),
  };
}

function intoCgroup({ cgroup }: ContainerProcessOptions): number[] {
  return cgroup.cloneInto === undefined ? [] : [cgroup.cloneInto];
}

function monitoredSteps(
  { container, monitor, commitment, lifeline, isAwake }: MonitoredLaunch,
  plan: LaunchPlan,
): Step[] {
  const { cloneInto } = container.cgroup;
  const kept = descriptorsOf(monitor);
  const theirs = [...planDescriptors(plan, container), ...container.stdio, ...intoCgroup(container)];
  const given = [...new Set([...theirs, lifeline.writer])];
  const others = given.filter((fd) => fd > 2 && !kept.includes(fd));

  const pidfd = new Uint8Array(8);
  const number = fieldOf("pidfd", pidfd, 0);
  const count = slot("bytes read");
  const flags = BigInt(plan.namespaces | CLONE_PIDFD) | (cloneInto === undefined ? 0n : CLONE_INTO_CGROUP);
  // `struct clone_args`: the child has a copy of this memory, and so needs no stack of its own. clone(2)
  const request = words(flags, pidfd, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, cloneInto ?? 0);

  const stays: Step[] = [
    step("Let the launch be told of by the container alone", "close", [statusDescriptor]),
    ...others.map((fd) => step("Leave to the container what is its own", "close", [fd])),
    ...returnSteps(container),
    step("Keep hold of the container's process", "dup3", [number, monitor.descriptors.process, 0]),
    step("Keep it once", "close", [number]),
    step("Be in no directory of the caller's", "chdir", ["/"]),
    { ...step("Wait until the container is on record", "read", [commitment, new Uint8Array(1), 1]), result: count },
    // To read nothing is no error, but to map nothing is one: gocker has died. mmap(2), EINVAL
    step("Go on if it is", "mmap", [0, count, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0]),
    step("Wait once", "close", [commitment]),
    step("Let the container begin without", "close", [lifeline.reader]),
    ...sleepSteps({
      wakes: wakesOf(monitor.descriptors),
      timeout: isAwake ? 0 : undefined,
      program: monitor.descriptors.program,
      argv: monitorWords(monitor),
    }),
  ];
  return [
    step("Leave gocker's session", "setsid", []),
    ...entrySteps(container),
    {
      ...step("Make the container's first process", "clone3", [request, 88]),
      onSuccess: { parent: "stays", skip: stays.length },
    },
    ...stays,
    ...container.stdio.map((fd, target) => step(`Connect descriptor ${target}`, "dup3", [fd, target, 0])),
    ...[...kept, commitment, lifeline.reader].map((fd) => step("Leave to the monitor what is its own", "close", [fd])),
    ...container.stdio
      .filter((fd) => fd > 2)
      .filter(isFirst)
      .map((fd) => step("Have it once", "close", [fd])),
    ...intoCgroup(container).map((fd) => step("Close the cgroup's directory", "close", [fd])),
    ...leaveSteps(container),
    ...plan.steps,
  ];
}

/** A pid namespace of another container's that the container's first process is born into. */
function pidNamespaceOf({ openedNamespaces }: ContainerProcessOptions): NamespaceDescriptor | undefined {
  const opened = openedNamespaces?.get("pid");
  return opened?.isOwn === true ? undefined : opened;
}

const ownPidNamespace = slot("the monitor's pid namespace");

/** Who enters a pid namespace does it for his children alone. pid_namespaces(7) */
function entrySteps(container: ContainerProcessOptions): Step[] {
  const namespace = pidNamespaceOf(container);
  if (namespace === undefined) return [];
  const path = "/proc/self/ns/pid";
  return [
    {
      ...step("Remember the pid namespace to come back to", "openat", [AT_FDCWD, path, O_RDONLY | O_CLOEXEC]),
      result: ownPidNamespace,
      path,
    },
    step(`Have a child in the pid namespace of ${namespace.whose}`, "setns", [namespace.descriptor, CLONE_NEWPID]),
  ];
}

/** A process whose children would be elsewhere cannot have threads, which the monitor's program has. clone(2) */
function returnSteps(container: ContainerProcessOptions): Step[] {
  if (pidNamespaceOf(container) === undefined) return [];
  return [
    step("Have further children here", "setns", [ownPidNamespace, CLONE_NEWPID]),
    step("Have come back", "close", [ownPidNamespace]),
  ];
}

function leaveSteps(container: ContainerProcessOptions): Step[] {
  const namespace = pidNamespaceOf(container);
  if (namespace === undefined) return [];
  return [ownPidNamespace, namespace.descriptor].map((fd) => step("Keep no way to a pid namespace", "close", [fd]));
}

function isFirst(fd: number, index: number, all: readonly number[]): boolean {
  return all.indexOf(fd) === index;
}

function step(label: string, syscall: Step["syscall"], args: Step["args"]): Step {
  return { label, group, syscall, args };
}
