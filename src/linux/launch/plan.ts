import type { ErrnoName } from "../errno.ts";
import type { SyscallName } from "../syscalls.ts";

/** Under which heading `--explain` shows a step. */
export type StepGroup = "namespaces" | "cgroup" | "file system" | "devices" | "security" | "process";

/**
 * A number that a step of the plan yields when it runs (a file descriptor, mostly) and later steps take as an
 * argument. Made by {@link slot}; belongs to one plan.
 */
export interface Slot {
  readonly kind: "slot";
  readonly name: string;
  /** The slot is a place in bytes that a system call fills: see {@link fieldOf}. */
  readonly field?: { readonly bytes: Uint8Array; readonly offset: number };
}

/** An array of 64-bit words in the child's memory, such as argv: texts, bytes and nested arrays become addresses. */
export interface Words {
  readonly kind: "words";
  readonly words: readonly (number | bigint | string | Uint8Array | Words)[];
}

/** An argument of a system call: a number, the address of a NUL-terminated text or of bytes, or a slot's value. */
export type Argument = number | bigint | string | Uint8Array | Slot | Words;

/** What happens when a step's system call fails. */
export interface OnError {
  /** The errors that are tolerated; "any" for all. Every other error ends the launch. */
  readonly tolerate: readonly ErrnoName[] | "any";
  /** How many of the steps after this one are left out when a tolerated error comes: 0 unless told. Not together with
   * {@link OnSuccess.skip}. */
  readonly skip?: number;
  /** Of "any" the errors on which {@link skip} is done, after all others the next step comes. Not with {@link report}. */
  readonly skipOn?: readonly ErrnoName[];
  /** A tolerated error is also reported to the launcher, which decides what it means in the end. */
  readonly report?: boolean;
}

/** What happens when a step's system call succeeds, other than going on. */
export interface OnSuccess {
  /** How many of the steps after this one are left out: by the child, where the parent `stays`. */
  readonly skip?: number;
  /**
   * For a step that makes a child, which goes on with the plan. The parent `leaves` (ends with 0), `tells` the launcher
   * the child's number and leaves, or `reaps`: it is the container's process 1 from then on, passes signals on and ends
   * as the child ends. Or it tells and `stays`: then the steps that the child leaves out are the parent's, and the last of
   * them must not come to an end.
   */
  readonly parent?: "leaves" | "tells" | "reaps" | "stays";
}

/** One system call of a launch plan. */
export interface Step {
  /** What the step does, in words, as `--explain` and errors show it: "Mount proc at /proc". */
  readonly label: string;
  readonly group: StepGroup;
  readonly syscall: SyscallName;
  /** At most six; missing ones are 0. */
  readonly args: readonly Argument[];
  /** Left out: any error ends the launch. */
  readonly onError?: OnError;
  readonly onSuccess?: OnSuccess;
  /** Where the result is kept for later steps. */
  readonly result?: Slot;
  /** The path (or other object) that the step is about, for error messages. */
  readonly path?: string;
  /** What to do about an error of the step's, by its name, where its own words do not tell. */
  readonly hints?: Readonly<Partial<Record<ErrnoName, string>>>;
}

/** A new slot. */
export function slot(name: string): Slot {
  return { kind: "slot", name };
}

/**
 * The eight bytes at `offset` of what a system call has written, as an argument of a later one. The kernel cuts it to the
 * argument's type: of a `umode_t`, the lowest two bytes count.
 */
export function fieldOf(name: string, bytes: Uint8Array, offset: number): Slot {
  return { kind: "slot", name, field: { bytes, offset } };
}

/** Stands for the number of the descriptor on which the launch is reported. */
export const statusDescriptor: Slot = slot("status");

/** Stand for the numbers just below and above it: where what a plan does not need any more ends and goes on. */
export const besideStatus = { below: slot("below status"), above: slot("above status") } as const;

/**
 * What a step may write to {@link statusDescriptor} without telling anything. That fails with EPIPE, or kills by SIGPIPE,
 * when nobody is there to read: gocker has died.
 */
export const signOfLife = new Uint8Array(new BigUint64Array([2n, 0n]).buffer);

/** What marks a {@link pauseSteps}' message, in place of a step's address. */
export const pauseMarker = 3n;

/**
 * Two steps: tell the launcher that the plan has come this far, and wait until it writes a byte (see
 * `LaunchStatus.reaches`). Whoever waits must die with the launcher: to read from a pipe that nobody can write to any
 * more is no error.
 * @param pause tells one from the others of a plan
 * @param release the reading end of a pipe, open in the process
 */
export function pauseSteps(label: string, pause: number, release: number): Step[] {
  const message = new Uint8Array(new BigUint64Array([pauseMarker, BigInt(pause)]).buffer);
  const answer = new Uint8Array(1);
  const group = "process";
  return [
    { label, group, syscall: "write", args: [statusDescriptor, message, message.length] },
    { label: "Wait until it is done", group, syscall: "read", args: [release, answer, answer.length] },
  ];
}

/** An array of words, see {@link Words}. A null pointer at its end, as argv wants it, is the caller's to add (0). */
export function words(...list: Words["words"]): Words {
  return { kind: "words", words: list };
}
