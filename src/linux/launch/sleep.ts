import { ptr } from "bun:ffi";
import { hostArchitecture } from "../arch.ts";
import { AT_EMPTY_PATH, CLOSE_RANGE_CLOEXEC, F_SETFD } from "../constants.ts";
import { systemCallError } from "../errno.ts";
import { createSealedMemfd } from "../fd.ts";
import { cString, libc } from "../libc.ts";
import { pollEntries } from "../poll.ts";
import { syscallNumber } from "../syscalls.ts";
import { encodePlan } from "./encode.ts";
import { type Step, words } from "./plan.ts";
import { stubDataAddress, stubExecutable } from "./stub.ts";

/** How a process of gocker's waits when there is nothing to do for it: as a plan of two steps instead of a runtime. */
export interface Sleep {
  /** What it waits for. */
  readonly wakes: readonly { readonly fd: number; readonly events: number }[];
  /** Milliseconds after which it wakes all the same. */
  readonly timeout?: number | undefined;
  /** A descriptor of gocker's binary. */
  readonly program: number;
  /** What gocker is called with then; it is called so while it sleeps, too. */
  readonly argv: readonly string[];
}

/**
 * The steps by which a process sleeps and then is gocker again, with the same number, children and descriptors. Whatever
 * ends the wait, it wakes: to look is never wrong. ppoll(2), execveat(2)
 */
export function sleepSteps({ wakes, timeout, program, argv }: Sleep): Step[] {
  const group = "process";
  const time = timeout === undefined ? 0 : new Uint8Array(new BigInt64Array(timespec(timeout)).buffer);
  return [
    {
      label: "Sleep until something happens",
      group,
      syscall: "ppoll",
      args: [pollEntries(wakes), wakes.length, time, 0, 0],
      onError: { tolerate: "any" },
    },
    {
      label: "Be gocker again",
      group,
      syscall: "execveat",
      args: [program, "", words(...argv, 0), words(0), AT_EMPTY_PATH],
    },
  ];
}

function timespec(milliseconds: number): [seconds: bigint, nanoseconds: bigint] {
  const whole = Math.max(0, Math.floor(milliseconds));
  return [BigInt(Math.floor(whole / 1000)), BigInt((whole % 1000) * 1_000_000)];
}

/**
 * Makes this process one that sleeps: a static program of a few kilobytes takes its place, with no other descriptors
 * than `kept` and the standard ones. Only for the main thread, as the children's parent.
 * @throws SystemCallError it could not; nothing has changed then but that descriptors close on execution
 */
export function fallAsleep(sleep: Sleep, kept: readonly number[]): never {
  const plan = encodePlan(sleepSteps(sleep), { architecture: hostArchitecture, base: stubDataAddress, statusFd: -1 });
  using stub = createSealedMemfd("gocker", stubExecutable(hostArchitecture, plan.bytes));
  const call = (name: "close_range" | "execveat", ...args: readonly number[]) => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = args;
    if (Number(libc.syscall(syscallNumber(name), a, b, c, d, e, 0)) < 0) throw systemCallError(name);
  };
  call("close_range", 3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC);
  for (const fd of new Set([...kept, sleep.program, ...sleep.wakes.map((wake) => wake.fd)])) {
    if (libc.fcntl(fd, F_SETFD, 0) < 0) throw systemCallError("fcntl");
  }
  const texts = sleep.argv.map(cString);
  const argv = new BigUint64Array([...texts.map((text) => BigInt(ptr(text))), 0n]);
  const nothing = new BigUint64Array(1);
  call("execveat", stub.number, ptr(nothing), ptr(argv), ptr(nothing), AT_EMPTY_PATH);
  throw new Error("a program was executed, and is not there");
}
