import type { Process } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";
import { maskOfList } from "./number-list.ts";

const group = "process";

/** sched(7), linux/sched.h. SCHED_ISO has a number there and has never been made. */
const policies = new Map([
  ["SCHED_OTHER", 0],
  ["SCHED_FIFO", 1],
  ["SCHED_RR", 2],
  ["SCHED_BATCH", 3],
  ["SCHED_IDLE", 5],
  ["SCHED_DEADLINE", 6],
]);

/** sched_setattr(2), linux/sched.h */
const schedulerFlags = new Map([
  ["SCHED_FLAG_RESET_ON_FORK", 0x01],
  ["SCHED_FLAG_RECLAIM", 0x02],
  ["SCHED_FLAG_DL_OVERRUN", 0x04],
  ["SCHED_FLAG_KEEP_POLICY", 0x08],
  ["SCHED_FLAG_KEEP_PARAMS", 0x10],
  ["SCHED_FLAG_UTIL_CLAMP_MIN", 0x20],
  ["SCHED_FLAG_UTIL_CLAMP_MAX", 0x40],
]);
const utilClampFlags = 0x60;

/** `struct sched_attr`, as it was at first and with the two numbers that go with the flags for clamping. */
const attributesSize = 48;
const attributesSizeWithClamps = 56;

type Scheduler = NonNullable<Process["scheduler"]>;

/**
 * `process.scheduler`. While the process may still raise its priority: before it gives up CAP_SYS_NICE. sched_setattr(2)
 * @throws InvalidDocumentError
 */
export function addScheduler(builder: PlanBuilder, scheduler: Scheduler | undefined): void {
  if (scheduler === undefined) return;
  const { policy } = scheduler;
  const number = policies.get(policy);
  if (number === undefined) {
    const reason = policy === "SCHED_ISO" ? "Linux has no such policy yet" : "no policy of the scheduler";
    throw new InvalidDocumentError(`process.scheduler.policy: ${policy}: ${reason}`, {
      hint: [...policies.keys()].join(", "),
    });
  }
  const flags = flagsOf(scheduler["flags"]);
  const nice = numberOf(scheduler, "nice", -20, 19);
  const priority = numberOf(scheduler, "priority", 0, 99);
  const isRealTime = policy === "SCHED_FIFO" || policy === "SCHED_RR";
  if (priority !== 0 && !isRealTime) {
    throw new InvalidDocumentError(`process.scheduler.priority: only SCHED_FIFO and SCHED_RR have one, not ${policy}`);
  }
  if (priority === 0 && isRealTime) {
    throw new InvalidDocumentError(`process.scheduler.priority: ${policy} needs one from 1 to 99`);
  }
  const attributes = new DataView(
    new ArrayBuffer((flags & utilClampFlags) === 0 ? attributesSize : attributesSizeWithClamps),
  );
  attributes.setUint32(0, attributes.byteLength, true);
  attributes.setUint32(4, number, true);
  attributes.setBigUint64(8, BigInt(flags), true);
  attributes.setInt32(16, nice, true);
  attributes.setUint32(20, priority, true);
  deadlineTimes(scheduler).forEach((time, index) => attributes.setBigUint64(24 + index * 8, BigInt(time), true));
  builder.add({
    label: `Be scheduled by ${policy}, as process.scheduler has it`,
    group,
    syscall: "sched_setattr",
    args: [0, new Uint8Array(attributes.buffer), 0],
    ...(policy === "SCHED_DEADLINE" && { hints: hintsOfDeadline }),
  });
}

/** sched_setattr(2): its admission test is about all CPUs of the system. */
const hintsOfDeadline = {
  EPERM:
    "this process scheduler can't be used together with AllowedCPUs: with SCHED_DEADLINE, leave linux.resources.cpu.cpus out",
  EBUSY: "the system has not so much time left for it",
};

function flagsOf(flags: unknown): number {
  if (flags === undefined || flags === null) return 0;
  if (!Array.isArray(flags)) throw new InvalidDocumentError("process.scheduler.flags: no list");
  let bits = 0;
  for (const [index, flag] of (flags as unknown[]).entries()) {
    const bit = schedulerFlags.get(String(flag));
    if (bit === undefined) {
      throw new InvalidDocumentError(`process.scheduler.flags[${index}]: unknown flag ${String(flag)}`);
    }
    bits |= bit;
  }
  return bits;
}

/** A number of the scheduler, 0 when it is not given. */
function numberOf(scheduler: Scheduler, name: string, least: number, most: number): number {
  const value: unknown = scheduler[name] ?? 0;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new InvalidDocumentError(`process.scheduler.${name}: ${JSON.stringify(value)} is not from ${least} to ${most}`);
}

const timesOfDeadline = ["runtime", "deadline", "period"] as const;
/** sched(7): of each of them, but that a period may be left out. */
const leastTime = 1024;

/** Runtime, deadline and period in nanoseconds. sched(7): they grow in this order, and no period means the deadline */
function deadlineTimes(scheduler: Scheduler): number[] {
  if (scheduler.policy !== "SCHED_DEADLINE") {
    const given = timesOfDeadline.find((name) => numberOf(scheduler, name, 0, Number.MAX_SAFE_INTEGER) !== 0);
    if (given === undefined) return [0, 0, 0];
    throw new InvalidDocumentError(`process.scheduler.${given}: only SCHED_DEADLINE has one`);
  }
  const [runtime, deadline, period] = timesOfDeadline.map((name) => timeOf(scheduler, name)) as [
    number,
    number,
    number,
  ];
  if (runtime > deadline) throw noDeadline(`runtime (${runtime}) must be <= deadline (${deadline})`);
  if (period !== 0 && deadline > period) throw noDeadline(`deadline (${deadline}) must be <= period (${period})`);
  return [runtime, deadline, period];
}

function timeOf(scheduler: Scheduler, name: (typeof timesOfDeadline)[number]): number {
  const value: unknown = scheduler[name];
  const isPeriod = name === "period";
  if (value === undefined && !isPeriod) throw noDeadline(`requires \`${name}\``);
  if (value === 0 && !isPeriod) throw noDeadline(`${name} must be greater than 0`);
  if (value === undefined || value === 0) return 0;
  const most = Number.MAX_SAFE_INTEGER;
  if (typeof value === "number" && Number.isInteger(value) && value >= leastTime && value <= most) return value;
  throw noDeadline(`${name} (${JSON.stringify(value)}) must be between ${leastTime} and ${most}`);
}

/** What the kernel would call an invalid argument, in crun's words. */
function noDeadline(reason: string): InvalidDocumentError {
  return new InvalidDocumentError(`process.scheduler: sched_setattr: \`SCHED_DEADLINE\` ${reason}`);
}

/** ioprio_set(2) */
const ioClasses = new Map([
  ["IOPRIO_CLASS_RT", 1],
  ["IOPRIO_CLASS_BE", 2],
  ["IOPRIO_CLASS_IDLE", 3],
]);
const ioClassShift = 13;

/** `process.ioPriority`. While the process may still raise it. ioprio_set(2) @throws InvalidDocumentError */
export function addIoPriority(builder: PlanBuilder, ioPriority: Process["ioPriority"]): void {
  if (ioPriority === undefined) return;
  const { class: name } = ioPriority;
  // Where it is 0, callers leave it out.
  const priority = (ioPriority.priority as number | undefined) ?? 0;
  const number = ioClasses.get(name);
  if (number === undefined) {
    throw new InvalidDocumentError(`process.ioPriority.class: unknown class ${name}`, {
      hint: [...ioClasses.keys()].join(", "),
    });
  }
  if (!Number.isInteger(priority) || priority < 0 || priority > 7) {
    throw new InvalidDocumentError(`process.ioPriority.priority: ${priority} is not from 0 to 7`);
  }
  const whoProcess = 1;
  builder.add({
    label: `Read and write by ${name}, priority ${priority}`,
    group,
    syscall: "ioprio_set",
    args: [whoProcess, 0, (number << ioClassShift) | priority],
  });
}

type Affinity = Process["execCPUAffinity"];

/** The CPUs that an `exec` runs on until it has joined the container's cgroup. @throws InvalidDocumentError */
export function addInitialAffinity(builder: PlanBuilder, affinity: Affinity): void {
  addAffinity(builder, affinity?.initial, "initial");
}

/** The CPUs that an `exec` runs on from then on: all that the cgroup has where it says nothing. @throws InvalidDocumentError */
export function addFinalAffinity(builder: PlanBuilder, affinity: Affinity): void {
  if (affinity === undefined) addAllProcessors(builder);
  else addAffinity(builder, affinity.final, "final");
}

/**
 * Lets the process run on all CPUs that its cgroup has, whichever the caller has kept gocker to. After it has joined: the
 * kernel leaves out what the cgroup does not have. sched_setaffinity(2), cpuset(7)
 */
export function addAllProcessors(builder: PlanBuilder): void {
  const mask = new Uint8Array(cpus.most / 8).fill(0xff);
  builder.add({
    label: "Run on all CPUs that the cgroup has",
    group,
    syscall: "sched_setaffinity",
    args: [0, mask.length, mask],
  });
}

/**
 * Refuses lists that no `exec` could follow, when the container is made already.
 * @throws InvalidDocumentError
 */
export function checkAffinity(affinity: Affinity): void {
  for (const name of ["initial", "final"] as const) {
    const list = affinity?.[name] ?? "";
    if (list !== "") cpuMask(list, `process.execCPUAffinity.${name}`);
  }
}

/** sched_setaffinity(2): EINVAL when the process may run on none of them. An empty list stands for none given. */
function addAffinity(builder: PlanBuilder, list: string | undefined, name: "initial" | "final"): void {
  if (list === undefined || list === "") return;
  const property = `process.execCPUAffinity.${name}`;
  const mask = cpuMask(list, property);
  builder.add({
    label: `Run on the CPUs ${list} of ${property}`,
    group,
    syscall: "sched_setaffinity",
    args: [0, mask.length, mask],
  });
}

/** What the kernel can be built for at most on x86-64, arm64 has less. */
const cpus = { name: "CPU", most: 8192 };

/**
 * A list such as `0-3,7` as the kernel's mask of CPUs.
 * @param property where the list stands, for messages
 * @throws InvalidDocumentError
 */
export function cpuMask(list: string, property: string): Uint8Array {
  return maskOfList(list, property, cpus);
}
