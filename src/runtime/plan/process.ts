import {
  AT_FDCWD,
  CLOSE_RANGE_CLOEXEC,
  KEYCTL_JOIN_SESSION_KEYRING,
  O_CLOEXEC,
  O_WRONLY,
  PR_CAPBSET_DROP,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
  SIGCHLD,
  SIGKILL,
  TIOCSPGRP,
} from "../../linux/constants.ts";
import { capabilityMask, capabilityName, capabilityNumber } from "../../linux/capabilities.ts";
import { errnoReason, errnos } from "../../linux/errno.ts";
import { type OnError, signOfLife, statusDescriptor, words, type Slot, type Words } from "../../linux/launch/plan.ts";
import type { Capabilities, Process, Rlimit } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";
import { programCandidates } from "./exec-lookup.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { addSeccomp } from "./security.ts";

const group = "process";

/** getrlimit(2): the numbers are those of x86-64 and arm64. */
const rlimits = [
  ["RLIMIT_CPU", 0],
  ["RLIMIT_FSIZE", 1],
  ["RLIMIT_DATA", 2],
  ["RLIMIT_STACK", 3],
  ["RLIMIT_CORE", 4],
  ["RLIMIT_RSS", 5],
  ["RLIMIT_NPROC", 6],
  ["RLIMIT_NOFILE", 7],
  ["RLIMIT_MEMLOCK", 8],
  ["RLIMIT_AS", 9],
  ["RLIMIT_LOCKS", 10],
  ["RLIMIT_SIGPENDING", 11],
  ["RLIMIT_MSGQUEUE", 12],
  ["RLIMIT_NICE", 13],
  ["RLIMIT_RTPRIO", 14],
  ["RLIMIT_RTTIME", 15],
] as const;
const rlimitNumbers = new Map<string, number>(rlimits);

/** Until the user changes, which forgets it: prctl(2), PR_SET_PDEATHSIG. */
export function addEarlyDeathSignal(builder: PlanBuilder): void {
  builder.add({
    label: "Die when gocker dies, while being set up",
    group: "process",
    syscall: "prctl",
    args: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0],
  });
}

/**
 * What is in the process, and what it has open, is for the host's root alone from here until it executes anything: other
 * processes of the container can neither trace it nor open its descriptors by /proc (CVE-2016-9962). Those that have
 * CAP_SYS_PTRACE can, unless that is of another user namespace than gocker's. prctl(2), ptrace(2)
 */
export function addHiding(builder: PlanBuilder): void {
  builder.add({
    label: "Let nobody look into this process",
    group: "security",
    syscall: "prctl",
    args: [PR_SET_DUMPABLE, 0, 0, 0, 0],
  });
}

/** A keyring of the container's own, so that it sees no key of the caller's session. keyctl(2) */
export function addKeyring(builder: PlanBuilder, name: string): void {
  builder.add({
    label: "Begin a keyring of the container's own",
    group: "security",
    syscall: "keyctl",
    args: [KEYCTL_JOIN_SESSION_KEYRING, name],
    // A kernel without keys has none to leak.
    onError: { tolerate: ["ENOSYS"] },
  });
}

/** `process.oomScoreAdj`, by the host's /proc: before the root changes. */
export function addOomScore(builder: PlanBuilder, score: number): void {
  const path = "/proc/self/oom_score_adj";
  const file = builder.addFor("oom score", {
    label: "Open the out-of-memory score",
    group,
    syscall: "openat",
    args: [AT_FDCWD, path, O_WRONLY | O_CLOEXEC],
    path,
  });
  const bytes = Buffer.from(String(score));
  builder.add({ label: `Set it to ${score}`, group, syscall: "write", args: [file, bytes, bytes.length], path });
  builder.add({ label: "Close its file", group, syscall: "close", args: [file] });
}

/** `process.rlimits`. prlimit(2) @throws InvalidDocumentError for an unknown or repeated limit */
export function addRlimits(builder: PlanBuilder, limits: readonly Rlimit[]): void {
  const seen = new Set<string>();
  for (const [index, { type, soft, hard }] of limits.entries()) {
    const number = rlimitNumbers.get(type);
    const property = `process.rlimits[${index}]`;
    if (number === undefined) throw new InvalidDocumentError(`${property}.type: unknown limit ${JSON.stringify(type)}`);
    if (seen.has(type)) throw new InvalidDocumentError(`${property}.type: ${type} is given twice`);
    seen.add(type);
    builder.add({
      label: `Limit ${type.slice("RLIMIT_".length).toLowerCase()} to ${limitText(soft)} (at most ${limitText(hard)})`,
      group,
      syscall: "prlimit64",
      args: [0, number, words(limitValue(soft), limitValue(hard)), 0],
    });
  }
}

/**
 * Raises hard limits to where {@link addRlimits} is to find them: nobody but the host's root may, who the process is no
 * more when it comes to that in a user namespace. getrlimit(2)
 * @param hardLimit of gocker, which the process has from it, by the number of the limit
 */
export function addRaisedLimits(
  builder: PlanBuilder,
  limits: readonly Rlimit[],
  hardLimit: (resource: number) => bigint,
): void {
  for (const { type, hard } of limits) {
    const number = rlimitNumbers.get(type);
    const value = limitValue(hard);
    if (number === undefined || value <= hardLimit(number)) continue;
    builder.add({
      label: `Let ${type.slice("RLIMIT_".length).toLowerCase()} be limited to ${limitText(hard)}`,
      group,
      syscall: "prlimit64",
      args: [0, number, words(value, value), 0],
    });
  }
}

/** -1 stands for "unlimited", and so does 2^64-1, which JSON's numbers round up. */
function isUnlimited(value: number): boolean {
  return value < 0 || value >= 2 ** 64;
}

function limitValue(value: number): bigint {
  return isUnlimited(value) ? 0xffff_ffff_ffff_ffffn : BigInt(value);
}

function limitText(value: number): string {
  return isUnlimited(value) ? "unlimited" : String(value);
}

const signalSetSize = 8;

/** The container's program starts with no signal blocked; each is at its default from the launch on. signal(7) */
export function addSignalDefaults(builder: PlanBuilder): void {
  addSignalMask(builder, "Block no signals", 0);
}

function addSignalMask(builder: PlanBuilder, label: string, fill: number): void {
  const setMask = 2;
  builder.add({
    label,
    group,
    syscall: "rt_sigprocmask",
    args: [setMask, new Uint8Array(signalSetSize).fill(fill), 0, signalSetSize],
  });
}

/** What the process may do, as masks of capability bits. */
interface CapabilityMasks {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

function capabilityMasks(capabilities: Capabilities | undefined): CapabilityMasks {
  return {
    bounding: capabilityMask(capabilities?.bounding ?? []),
    effective: capabilityMask(capabilities?.effective ?? []),
    permitted: capabilityMask(capabilities?.permitted ?? []),
    inheritable: capabilityMask(capabilities?.inheritable ?? []),
    ambient: capabilityMask(capabilities?.ambient ?? []),
  };
}

/** A `struct __user_cap_header_struct` of version 3 and its two `struct __user_cap_data_struct`. capset(2) */
function addCapset(builder: PlanBuilder, label: string, masks: Omit<CapabilityMasks, "bounding" | "ambient">): void {
  const version3 = 0x2008_0522;
  const half = (mask: bigint, high: boolean) => Number((high ? mask >> 32n : mask) & 0xffff_ffffn);
  const data = new Uint32Array(
    [false, true].flatMap((high) => [
      half(masks.effective, high),
      half(masks.permitted, high),
      half(masks.inheritable, high),
    ]),
  );
  builder.add({
    label,
    group: "security",
    syscall: "capset",
    args: [new Uint8Array(new Uint32Array([version3, 0]).buffer), new Uint8Array(data.buffer)],
  });
}

export interface IdentityInput {
  readonly process: Process;
  readonly seccomp: SeccompFilter | undefined;
  /** The number of the newest capability that the kernel knows. */
  readonly lastCapability: number;
  /** The container is killed when the thread that made it ends. */
  readonly diesWithParent: boolean;
  /** Adds what comes after the change of user and before the filter, which need not permit it. */
  readonly beforeFilter?: (builder: PlanBuilder) => void;
  /** See `addListenerHandover`. */
  readonly release?: number | undefined;
}

/**
 * Gives up what the container's user must not have. The order: the bounding set while CAP_SETPCAP is there; the groups
 * before the user, who could not change them; the filter as late as the rights to set it allow, so that it must permit
 * as little as possible of what comes before the program.
 */
export function addIdentity(builder: PlanBuilder, input: IdentityInput): void {
  const { user, noNewPrivileges } = input.process;
  const masks = capabilityMasks(input.process.capabilities);
  builder.add({ label: "Set the file mode mask", group, syscall: "umask", args: [user.umask ?? 0o022] });
  if (noNewPrivileges === true) {
    builder.add({
      label: "Refuse privileges by setuid programs",
      group: "security",
      syscall: "prctl",
      args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0],
    });
  }
  for (let number = 0; number <= input.lastCapability; number++) {
    if ((masks.bounding & (1n << BigInt(number))) !== 0n) continue;
    builder.add({
      label: `Give up ${capabilityName(number) ?? `capability ${number}`} for good`,
      group: "security",
      syscall: "prctl",
      args: [PR_CAPBSET_DROP, number, 0, 0, 0],
    });
  }
  const gids = user.additionalGids ?? [];
  const shown = gids.length > mostShown ? [...gids.slice(0, mostShown), "…"] : gids;
  builder.about("process.user.additionalGids", () =>
    builder.add({
      label: `Set the supplementary groups (${shown.join(", ") || "none"})`,
      group,
      syscall: "setgroups",
      args: [gids.length, gids.length === 0 ? 0 : new Uint8Array(new Uint32Array(gids).buffer)],
    }),
  );
  const { uid, gid } = user;
  builder.add({ label: `Become group ${gid}`, group, syscall: "setresgid", args: [gid, gid, gid] });
  if (uid !== 0) {
    builder.add({
      label: "Keep capabilities over the change of user",
      group: "security",
      syscall: "prctl",
      args: [PR_SET_KEEPCAPS, 1, 0, 0, 0],
    });
  }
  builder.add({ label: `Become user ${uid}`, group, syscall: "setresuid", args: [uid, uid, uid] });
  if (input.diesWithParent) {
    // After the change of user, which forgets it.
    builder.add({
      label: "Die when gocker dies",
      group,
      syscall: "prctl",
      args: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0],
    });
    // The kernel tells nothing of a parent that was dead before it was asked to.
    builder.add({
      label: "Make sure that gocker lives",
      group,
      syscall: "write",
      args: [statusDescriptor, signOfLife, signOfLife.length],
    });
  }
  addFilterAndCapabilities(builder, masks, input);
}

/** Of a list, in a label. */
const mostShown = 32;

function addFilterAndCapabilities(builder: PlanBuilder, masks: CapabilityMasks, input: IdentityInput): void {
  const setFinal = () => {
    addCapset(builder, "Keep only the container's capabilities", masks);
    // gocker may have been given some, which would outlast everything else where they are also inheritable.
    builder.add({
      label: "Clear the ambient capabilities",
      group: "security",
      syscall: "prctl",
      args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0],
    });
    for (let number = 0; number <= input.lastCapability; number++) {
      if ((masks.ambient & (1n << BigInt(number))) === 0n) continue;
      builder.add({
        label: `Raise ambient capability ${capabilityName(number) ?? number}`,
        group: "security",
        syscall: "prctl",
        args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0],
        // One that is not permitted and inheritable too cannot be: runc, whose own specification asks for such, goes on.
        onError: { tolerate: ["EPERM"], report: true },
      });
    }
  };
  if (input.seccomp === undefined || input.process.noNewPrivileges === true) {
    setFinal();
    input.beforeFilter?.(builder);
    if (input.seccomp !== undefined) addSeccomp(builder, input.seccomp, input.release);
    return;
  }
  if (input.process.user.uid !== 0) {
    // Without no_new_privs a filter takes CAP_SYS_ADMIN, which the change of user took out of the effective set.
    const admin = masks.permitted | masks.inheritable | (1n << BigInt(capabilityNumber("CAP_SYS_ADMIN") as number));
    addCapset(builder, "Take back what setting a filter needs", { ...masks, effective: admin, permitted: admin });
  }
  input.beforeFilter?.(builder);
  addSeccomp(builder, input.seccomp, input.release);
  setFinal();
}

/** `process.cwd`, made when it is missing, while the root may still be written to. */
export function makeWorkingDirectory(builder: PlanBuilder, cwd: string, resolve: (path: string) => string): Slot {
  if (!cwd.startsWith("/")) throw new InvalidDocumentError(`process.cwd: ${cwd} is not absolute`);
  return builder.openTarget(group, cwd, "directory", { createAt: resolve(cwd) });
}

/** `process.cwd` of a process that enters a container, which has it already. */
export function openWorkingDirectory(builder: PlanBuilder, cwd: string): Slot {
  if (!cwd.startsWith("/")) throw new InvalidDocumentError(`process.cwd: ${cwd} is not absolute`);
  const hints = { ENOENT: "process.cwd: chdir to a directory that is not there" };
  return builder.openTarget(group, cwd, "directory", { create: false, hints });
}

/** A child that becomes the program while process 1 goes on as its reaper. */
export function addReaper(builder: PlanBuilder, terminal: boolean): void {
  addSignalMask(builder, "Take signals one by one", 0xff);
  builder.add({
    label: "Make a child for the program, and reap as process 1",
    group,
    syscall: "clone",
    args: [SIGCHLD, 0, 0, 0, 0],
    onSuccess: { parent: "reaps" },
  });
  builder.add({ label: "Lead a process group", group, syscall: "setpgid", args: [0, 0] });
  if (terminal) {
    const firstChild = new Uint8Array(new Int32Array([2]).buffer);
    builder.add({
      label: "Bring it to the terminal's foreground",
      group,
      syscall: "ioctl",
      args: [0, TIOCSPGRP, firstChild],
    });
  }
  addSignalMask(builder, "Block no signals", 0);
}

/**
 * Descriptors that are not the program's close as it starts. CVE-2024-21626: none is left to leave the root by.
 * @param preserved how many after the standard ones are the program's too
 */
export function addCloseOnExec(builder: PlanBuilder, preserved = 0): void {
  builder.add({
    label: "Close every other file when the program starts",
    group: "security",
    syscall: "close_range",
    args: [3 + preserved, 0xffff_ffff, CLOSE_RANGE_CLOEXEC],
  });
}

/**
 * The container is made: its maker may leave. It waits until somebody opens the FIFO for writing, and holds nothing
 * meanwhile but its program's own descriptors: what the plan used is closed, and nothing of gocker's was ever here.
 * poll(2): a FIFO that nobody has had open for writing yet is not at its end.
 * @param fifo the reading end, above what is preserved
 * @param preserved how many descriptors after the standard ones are the program's
 */
export function addWaitForStart(builder: PlanBuilder, fifo: number, preserved: number): void {
  const pollIn = 1;
  builder.add({
    label: "Live on when gocker leaves",
    group,
    syscall: "prctl",
    args: [PR_SET_PDEATHSIG, 0, 0, 0, 0],
  });
  // It keeps its number: the program's limits, which hold by now, may not permit any other.
  const first = 3 + preserved;
  if (first < fifo) {
    builder.add({ label: "Close what is below it", group, syscall: "close_range", args: [first, fifo - 1, 0] });
  }
  // The status descriptor is among these, opened after the FIFO as it was: that it closes tells that all is ready.
  builder.add({
    label: "Close what is above it, and tell that all is ready",
    group,
    syscall: "close_range",
    args: [fifo + 1, 0xffff_ffff, 0],
  });
  builder.add({
    label: "Wait to be started",
    group,
    syscall: "ppoll",
    args: [new Uint8Array(new Uint32Array([fifo, pollIn]).buffer), 1, 0, 0, signalSetSize],
  });
}

/**
 * Executes `process.args`. A name without a slash is tried in each directory of the container's PATH: what fails is
 * reported, and the launcher says which failure matters. execve(2), execvp(3)
 * @param plan.file executed instead of what the first of them names
 * @param plan.isAlone nobody listens to reports any more: the process itself says what has failed
 * @throws InvalidDocumentError when there is nothing to execute
 */
export function addExecution(
  builder: PlanBuilder,
  process: Process,
  { file, isAlone = false }: { readonly file?: string | undefined; readonly isAlone?: boolean } = {},
): void {
  const candidates = file === undefined ? programCandidates(process) : [file];
  const argv = words(...(process.args ?? []), 0);
  const envp = words(...(process.env ?? []), 0);
  candidates.forEach((path, index) => {
    const isLast = index === candidates.length - 1 && !isAlone;
    builder.add({
      label: `Execute ${path}`,
      group,
      syscall: "execve",
      args: [path, argv, envp],
      path,
      ...(!isLast && { onError: isAlone ? { tolerate: "any" } : { tolerate: "any", report: true } }),
    });
  });
  if (isAlone) addExecutionFailure(builder, candidates.slice(0, mostExplained), [argv, envp]);
}

/** The errors that an execution ends with for reasons of its own, and how a shell's exit code tells of them. */
const executionErrors = [
  ["ENOEXEC", 126],
  ["EACCES", 126],
  ["E2BIG", 126],
  ["ETXTBSY", 126],
  ["EPERM", 126],
  ["ENOENT", 127],
] as const;

/** As many as are left out by one step, with what comes after them. */
const mostExplained = 64;

/**
 * Says on standard error why the program cannot be executed, in runc's words, and ends as a shell would. That it is there
 * and may be executed was looked at when the container was made; what is wrong with its contents only the kernel says, when
 * it is tried. So it is tried again for each reason, the most telling of them first. execve(2)
 */
function addExecutionFailure(builder: PlanBuilder, candidates: readonly string[], [argv, envp]: [Words, Words]): void {
  const program = argv.words[0] as string;
  const attempt = (path: string, onError: OnError): void =>
    builder.add({
      label: `Why can ${path} not be executed?`,
      group,
      syscall: "execve",
      args: [path, argv, envp],
      onError,
    });
  for (const [error, exitCode] of executionErrors) {
    candidates.forEach((path, index) => {
      attempt(path, { tolerate: "any", skipOn: [error], skip: candidates.length - index });
    });
    // No file has no name: what a filter permits here is the execution, and hardly anything else.
    attempt("", { tolerate: "any", skip: 2 });
    addLastWords(builder, `exec ${program}: ${errnoReason(errnos[error])}`, exitCode);
  }
  addLastWords(builder, `exec ${program}: cannot be executed`, 126);
}

function addLastWords(builder: PlanBuilder, sentence: string, exitCode: number): void {
  const bytes = Buffer.from(`${sentence}\n`);
  builder.add({
    label: `Say on standard error: ${sentence}`,
    group,
    syscall: "write",
    args: [2, bytes, bytes.length],
    onError: { tolerate: "any" },
  });
  builder.add({ label: `End with ${exitCode}`, group, syscall: "exit_group", args: [exitCode] });
}

/** Whether a failed step was the attempt to execute the container's program. */
export function isExecution(step: { readonly syscall: string }): boolean {
  return step.syscall === "execve";
}
