import {
  AT_FDCWD,
  CLOSE_RANGE_CLOEXEC,
  KEYCTL_JOIN_SESSION_KEYRING,
  O_CLOEXEC,
  O_WRONLY,
  PR_SET_DUMPABLE,
  PR_SET_PDEATHSIG,
  SIGCHLD,
  SIGKILL,
  TIOCSPGRP,
} from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";

const group = "process";

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

/**
 * Who is not root could look into a process that has become another user no more, and neither enter it nor run hooks in
 * it. As long as it has a pid namespace for itself nobody else can either. prctl(2), ptrace(2)
 */
export function addVisibility(builder: PlanBuilder): void {
  builder.add({
    label: "Let its maker look into this process",
    group,
    syscall: "prctl",
    args: [PR_SET_DUMPABLE, 1, 0, 0, 0],
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

/**
 * Gives pipes and sockets that are standard descriptors to the program's user, as `giveStdio` does, by the root of the
 * container's user namespace: who is not the host's root can give to nobody else. What is not its own stays as it is.
 */
export function addStdioOwner(builder: PlanBuilder, descriptors: readonly number[], uid: number): void {
  if (uid === 0) return;
  const keepGroup = 0xffff_ffff;
  for (const descriptor of descriptors) {
    builder.add({
      label: `Give descriptor ${descriptor} to the user`,
      group,
      syscall: "fchown",
      args: [descriptor, uid, keepGroup],
      onError: { tolerate: ["EPERM", "EINVAL"] },
    });
  }
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
