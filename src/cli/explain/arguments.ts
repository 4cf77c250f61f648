import { capabilityName } from "../../linux/capabilities.ts";
import { AT_FDCWD } from "../../linux/constants.ts";
import type { Argument, Step, Words } from "../../linux/launch/plan.ts";
import { signalName } from "../../linux/signals.ts";
import type { SyscallName } from "../../linux/syscalls.ts";
import * as names from "./names.ts";
import {
  bytesOrText,
  capabilityData,
  choice,
  device,
  flags,
  mountAttr,
  numbers32,
  octal,
  openHow,
  openMode,
} from "./structures.ts";

/** Shows one argument; `all` for those whose meaning hangs on another. Undefined: as any argument of its type. */
type Show = (argument: Argument, all: readonly Argument[]) => string | undefined;

/** A shower of numbers: slots, texts and bytes in its place are shown as such. */
function number(show: (value: number | bigint, all: readonly Argument[]) => string): Show {
  return (argument, all) =>
    typeof argument === "number" || typeof argument === "bigint" ? show(argument, all) : undefined;
}

function structure(show: (bytes: Uint8Array) => string): Show {
  return (argument) => (argument instanceof Uint8Array ? show(argument) : undefined);
}

const plain: Show = () => undefined;
const directory = number((value) => (Number(value) === AT_FDCWD ? "AT_FDCWD" : String(value)));
const mode = number(octal);
const bits = (table: names.Names) => number((value) => flags(value, table));
const oneOf = (table: names.Names) => number((value) => choice(value, table));
const openBits = number(openMode);
const signal = number((value) => signalName(Number(value)));
const capability = number((value) => capabilityName(Number(value)) ?? String(value));

const prctlArgument = number((value, [option]) => {
  const name = choice(option as number, names.prctlOptions);
  if (name === "PR_SET_PDEATHSIG") return signalName(Number(value));
  if (name === "PR_CAPBSET_DROP") return capabilityName(Number(value)) ?? String(value);
  return name === "PR_CAP_AMBIENT" ? choice(value, names.ambientOperations) : String(value);
});
const prctlSecondArgument: Show = (argument, all) =>
  choice(all[1] as number, names.ambientOperations) === "PR_CAP_AMBIENT_RAISE" ? capability(argument, all) : undefined;

const nodeMode = number((value) => {
  const type = Number(value) & 0o170000;
  const permissions = octal(Number(value) & 0o7777);
  return type === 0 ? permissions : `${choice(type, names.fileTypes)}|${permissions}`;
});

/** ioctl's third argument is whatever the second says. */
const ioctlArgument: Show = (argument, all) => {
  const request = choice(all[1] as number, names.ioctlRequests);
  if (request === "TIOCGPTPEER") return openBits(argument, all);
  if (request === "TIOCSWINSZ" && argument instanceof Uint8Array) {
    const [rows, columns] = new Uint16Array(argument.slice().buffer);
    return `{${rows} rows, ${columns} columns}`;
  }
  return argument instanceof Uint8Array && argument.length === 4 ? numbers32(argument) : undefined;
};

/** `struct sock_fprog`: a length and an address. seccomp(2) */
const filterProgram: Show = (argument) =>
  isWords(argument) ? `{${showArgument(argument.words[0] ?? 0)} instructions of BPF}` : undefined;

const resourceLimit: Show = (argument) => {
  if (!isWords(argument)) return undefined;
  const [soft, hard] = argument.words.map((value) =>
    value === 0xffff_ffff_ffff_ffffn ? "unlimited" : showArgument(value),
  );
  return `{soft=${soft}, hard=${hard}}`;
};

/** All zeros: SIG_DFL without flags. sigaction(2) */
const signalAction = structure((bytes) => (bytes.every((byte) => byte === 0) ? "SIG_DFL" : `{${bytes.length} bytes}`));
const signalSet = structure((bytes) => (bytes.every((byte) => byte === 0) ? "{no signals}" : "{all signals}"));

const environment: Show = (argument) => {
  if (!isWords(argument)) return undefined;
  const count = argument.words.filter((word) => typeof word === "string").length;
  return `{${count} variable${count === 1 ? "" : "s"}}`;
};

/** What each system call's arguments are; those that are left out are plain. */
const signatures: Partial<Record<SyscallName, readonly Show[]>> = {
  unshare: [bits(names.cloneFlags)],
  setns: [plain, bits(names.cloneFlags)],
  clone: [
    number((value) =>
      [signalName(Number(value) & 0xff), flags(BigInt(value) & ~0xffn, names.cloneFlags)]
        .filter((part) => part !== "0")
        .join("|"),
    ),
  ],
  openat: [directory, plain, openBits, mode],
  openat2: [directory, plain, structure(openHow)],
  mkdirat: [directory, plain, mode],
  mknodat: [directory, plain, nodeMode, number(device)],
  symlinkat: [plain, directory],
  linkat: [directory, plain, directory, plain, bits(names.atFlags)],
  unlinkat: [directory, plain],
  fchownat: [directory, plain, plain, plain, bits(names.atFlags)],
  fchmodat: [directory, plain, mode],
  mount: [plain, plain, plain, bits(names.mountFlags)],
  umount2: [plain, bits(names.unmountFlags)],
  fsopen: [plain, bits(names.fsopenFlags)],
  fsconfig: [plain, oneOf(names.fsconfigCommands)],
  fspick: [directory, plain, bits(names.fspickFlags)],
  fsmount: [plain, bits(names.fsmountFlags), bits(names.mountAttributes)],
  statx: [directory, plain, bits(names.atFlags), bits(names.statxFields)],
  open_tree: [directory, plain, bits(names.openTreeFlags)],
  move_mount: [directory, plain, directory, plain, bits(names.moveMountFlags)],
  mount_setattr: [directory, plain, bits(names.atFlags), structure(mountAttr)],
  dup3: [plain, plain, openBits],
  fcntl: [plain, oneOf(names.fcntlCommands)],
  close_range: [
    plain,
    number((value) => (Number(value) === 0xffff_ffff ? "~0" : String(value))),
    bits(names.closeRangeFlags),
  ],
  ioctl: [plain, oneOf(names.ioctlRequests), ioctlArgument],
  umask: [mode],
  prctl: [oneOf(names.prctlOptions), prctlArgument, prctlSecondArgument],
  capset: [structure(() => "{version 3}"), structure(capabilityData)],
  setgroups: [plain, structure(numbers32)],
  prlimit64: [plain, oneOf(names.resources), resourceLimit],
  keyctl: [oneOf(names.keyctlOperations)],
  seccomp: [oneOf(names.seccompOperations), bits(names.seccompFlags), filterProgram],
  rt_sigaction: [signal, signalAction],
  rt_sigprocmask: [oneOf(names.signalMaskOperations), signalSet],
  execve: [plain, plain, environment],
  execveat: [directory, plain, plain, environment, bits(names.atFlags)],
  write: [plain, structure(bytesOrText)],
  sendmsg: [plain, () => "{a message}"],
};

/** Zeros that only fill up may be left out at the end, down to so many arguments: what a zero of prctl's second says counts. */
const fewest: Partial<Record<SyscallName, number>> = { prctl: 2, fsconfig: 1, clone: 1, prlimit64: 1, rt_sigaction: 1 };

/** A step's system call as one would write it in C, with names in place of numbers: `prctl(PR_SET_NO_NEW_PRIVS, 1)`. */
export function showCall(step: Step): string {
  const signature = signatures[step.syscall] ?? [];
  const args = [...step.args];
  const least = fewest[step.syscall] ?? args.length;
  while (args.length > least && args.at(-1) === 0) args.pop();
  const shown = args.map((argument, index) => signature[index]?.(argument, step.args) ?? showArgument(argument));
  const result = step.result === undefined ? "" : ` → ${step.result.name}`;
  return `${step.syscall}(${shown.join(", ")})${result}`;
}

function showArgument(argument: Argument): string {
  if (typeof argument === "string") return JSON.stringify(argument);
  if (typeof argument === "number" || typeof argument === "bigint") return String(argument);
  if (argument instanceof Uint8Array) return bytesOrText(argument);
  return argument.kind === "slot" ? `‹${argument.name}›` : showWords(argument);
}

/** argv and its like; the null pointer at the end goes without saying. */
function showWords({ words }: Words): string {
  const shown = (words.at(-1) === 0 ? words.slice(0, -1) : words).map((word) => showArgument(word));
  return `[${shown.join(", ")}]`;
}

function isWords(argument: Argument): argument is Words {
  return typeof argument === "object" && "kind" in argument && argument.kind === "words";
}
