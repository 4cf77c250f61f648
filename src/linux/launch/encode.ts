import type { Architecture } from "../arch.ts";
import { type ErrnoName, errnos } from "../errno.ts";
import { type SyscallName, syscallTable } from "../syscalls.ts";
import {
  type Argument,
  besideStatus,
  type OnError,
  type OnSuccess,
  type Slot,
  statusDescriptor,
  type Step,
  type Words,
} from "./plan.ts";

const headerSize = 64;
const stepSize = 64;
const flag = { tolerateAny: 1, report: 2, leave: 4, reap: 8, skipOnSuccess: 16, stay: 32 } as const;

/** Steps as the interpreter reads them (machine-code/x86_64.S), to be placed at the address they were encoded for. */
export interface EncodedPlan {
  readonly bytes: Uint8Array;
  /** The step that a report of the interpreter is about, by the address in the report. */
  stepAt(address: bigint): Step | undefined;
}

export interface EncodeOptions {
  readonly architecture: Architecture;
  /** Where in the child's memory the bytes will lie: a multiple of 16. */
  readonly base: number;
  /** The file descriptor that reports go to. */
  readonly statusFd: number;
  /**
   * Before every step comes a reading of the clock; the block of readings (see {@link timesMarker}) is written to the
   * status descriptor before the first step that executes a program.
   */
  readonly timed?: boolean;
}

/** In place of a step's address: the block of clock readings follows, its length in bytes in the result's place. */
export const timesMarker = 1n;

/** A clock reading is a struct timespec of two 64-bit words. */
export const timeSize = 16;

/**
 * Lays out a plan's steps, slots, texts and bytes one behind the other with absolute addresses.
 * @throws RangeError when a step has more than six arguments, three tolerated errors or 255 skipped steps
 */
export function encodePlan(steps: readonly Step[], options: EncodeOptions): EncodedPlan {
  return options.timed === true ? encodeTimed(steps, options) : encode(steps, options);
}

function encode(steps: readonly Step[], { architecture, base, statusFd }: EncodeOptions): EncodedPlan {
  const numbers = syscallTable(architecture);
  const memory = new PlanMemory(base, statusFd, steps.length);
  for (let index = 0; index < steps.length; index++) {
    const step = steps[index] as Step;
    writeStep(memory, headerSize + index * stepSize, step, numbers, 1);
  }
  return {
    bytes: memory.finish(),
    stepAt: (address) => steps[(Number(address) - base - headerSize) / stepSize],
  };
}

/** The readings come before the steps, so that one that leaves others out still has its own. */
function encodeTimed(steps: readonly Step[], { architecture, base, statusFd }: EncodeOptions): EncodedPlan {
  const numbers = syscallTable(architecture);
  const number = (name: SyscallName) => numbers.get(name) as number;
  const operations: (Step | undefined)[] = [];
  const firstExecution = steps.findIndex(({ syscall }) => syscall === "execve" || syscall === "execveat");
  const reports = firstExecution < 0 ? 0 : 1;
  const memory = new PlanMemory(base, statusFd, steps.length * 2 + reports);
  const times = memory.reserve(16 + steps.length * timeSize);
  writeNumber(memory, times, Number(timesMarker));
  writeNumber(memory, times + 8, steps.length * timeSize);
  const place = (step: Step | undefined) => headerSize + (operations.push(step) - 1) * stepSize;
  steps.forEach((step, index) => {
    const clockMonotonic = 1;
    const reading = base + times + 16 + index * timeSize;
    writeCall(memory, place(step), number("clock_gettime"), [clockMonotonic, reading]);
    if (index === firstExecution) {
      writeCall(memory, place(undefined), number("write"), [statusFd, base + times, 16 + steps.length * timeSize]);
    }
    writeStep(memory, place(step), step, numbers, 2);
  });
  return {
    bytes: memory.finish(),
    stepAt: (address) => operations[(Number(address) - base - headerSize) / stepSize],
  };
}

/**
 * The bytes of a plan while it is written, with what has a place already.
 *
 * This and what works on it run once, in a process that has just started, and are never compiled to machine code: so
 * numbers are two halves of 32 bits instead of a BigInt, fields are not `#private` and loops make no closures. Written
 * the usual way it takes four times as long, which is a millisecond.
 */
class PlanMemory {
  readonly base: number;
  readonly statusFd: number;
  bytes: Uint8Array;
  words: Uint32Array;
  /** Where the next text or block goes: a multiple of 16. */
  end: number;
  readonly slots = new Map<Slot, number>();
  /** Addresses of arguments that several steps share, such as the environment of every attempt to execute. */
  readonly placed = new Map<Uint8Array | Words, number>();
  /** Addresses of texts: a plan has the same path many times. */
  readonly texts = new Map<string, number>();

  constructor(base: number, statusFd: number, count: number) {
    this.base = base;
    this.statusFd = statusFd;
    this.end = headerSize + count * stepSize;
    this.bytes = new Uint8Array(roundUp(this.end * 2, 0x1_0000));
    this.words = new Uint32Array(this.bytes.buffer);
    writeNumber(this, 0, base + headerSize);
    writeNumber(this, 8, base + this.end);
    writeNumber(this, 16, statusFd);
  }

  /** Room for so many bytes, all zero. */
  reserve(length: number): number {
    const offset = this.end;
    this.end = roundUp(offset + length, 16);
    if (this.end > this.bytes.length) {
      const larger = new Uint8Array(roundUp(this.end * 2, 0x1_0000));
      larger.set(this.bytes);
      this.bytes = larger;
      this.words = new Uint32Array(larger.buffer);
    }
    return offset;
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.end);
  }
}

type Numbers = ReturnType<typeof syscallTable>;

/** @param stride how many operations a step of the plan has become: what one that skips steps has to leave out */
function writeStep(memory: PlanMemory, offset: number, step: Step, numbers: Numbers, stride: 1 | 2): void {
  // Each once: to look for a property that is not there takes long in code that has just begun to run.
  const { args, onError, onSuccess, result } = step;
  const skip = (onSuccess?.skip ?? onError?.skip ?? 0) * stride;
  if (args.length > 6) throw new RangeError(`${step.label}: more than six arguments`);
  if (skip > 255) throw new RangeError(`${step.label}: skips more than 255 steps`);
  let indirect = 0;
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] as Argument;
    const at = offset + 8 + index * 8;
    // Most are small numbers, and a call costs more than all of this.
    if (typeof argument === "number" && argument >= 0 && argument <= 0xffff_ffff) memory.words[at >> 2] = argument;
    else writeValue(memory, at, argument);
    if (isSlot(argument) && offsetFromStatus(argument) === undefined) indirect |= 1 << index;
  }
  if (result !== undefined) writeNumber(memory, offset + 56, slotAddress(memory, result));
  const flags = onError === undefined && onSuccess === undefined ? 0 : flagsOf(onError, onSuccess);
  const { words } = memory;
  words[offset >> 2] = (numbers.get(step.syscall) as number) | (indirect << 16) | (flags << 24);
  words[(offset >> 2) + 1] = (onError === undefined ? 0 : toleratedNumbers(step, onError)) | (skip << 24);
}

function writeCall(memory: PlanMemory, offset: number, number: number, args: readonly number[]): void {
  memory.words[offset >> 2] = number;
  args.forEach((argument, index) => writeNumber(memory, offset + 8 + index * 8, argument));
}

/** Writes the 64 bits that stand for an argument: the number itself, or the address of what it points to. */
function writeValue(memory: PlanMemory, offset: number, argument: Argument): void {
  if (typeof argument === "number") writeNumber(memory, offset, argument);
  else if (typeof argument === "string") writeNumber(memory, offset, placeText(memory, argument));
  else if (typeof argument === "bigint") {
    memory.words[offset >> 2] = Number(argument & 0xffff_ffffn);
    memory.words[(offset >> 2) + 1] = Number((argument >> 32n) & 0xffff_ffffn);
  } else if (isSlot(argument)) writeSlot(memory, offset, argument);
  else writeNumber(memory, offset, placeOnce(memory, argument));
}

function writeSlot(memory: PlanMemory, offset: number, argument: Slot): void {
  const difference = offsetFromStatus(argument);
  writeNumber(memory, offset, difference === undefined ? slotAddress(memory, argument) : memory.statusFd + difference);
}

/** Of those slots whose value is known beforehand. */
function offsetFromStatus(argument: Slot): number | undefined {
  if (argument === statusDescriptor) return 0;
  if (argument === besideStatus.below) return -1;
  return argument === besideStatus.above ? 1 : undefined;
}

function isSlot(argument: Argument): argument is Slot {
  return typeof argument === "object" && (argument as Partial<Slot>).kind === "slot";
}

/** A whole number as 64 bits, in two's complement. */
function writeNumber({ words }: PlanMemory, offset: number, value: number): void {
  words[offset >> 2] = value;
  // The upper half is zero already, and nearly always stays so.
  if (value < 0 || value > 0xffff_ffff) words[(offset >> 2) + 1] = Math.floor(value / 0x1_0000_0000);
}

function slotAddress(memory: PlanMemory, slot: Slot): number {
  let address = memory.slots.get(slot);
  if (address === undefined) {
    const { field } = slot;
    address = field === undefined ? memory.base + memory.reserve(8) : placeOnce(memory, field.bytes) + field.offset;
    memory.slots.set(slot, address);
  }
  return address;
}

function placeOnce(memory: PlanMemory, argument: Uint8Array | Words): number {
  let address = memory.placed.get(argument);
  if (address === undefined) {
    address = argument instanceof Uint8Array ? placeBytes(memory, argument) : placeWords(memory, argument);
    memory.placed.set(argument, address);
  }
  return address;
}

function placeWords(memory: PlanMemory, { words }: Words): number {
  const offset = memory.reserve(words.length * 8);
  for (let index = 0; index < words.length; index++) {
    writeValue(memory, offset + index * 8, words[index] as Words["words"][number]);
  }
  return memory.base + offset;
}

function placeBytes(memory: PlanMemory, bytes: Uint8Array): number {
  const offset = memory.reserve(bytes.length);
  memory.bytes.set(bytes, offset);
  return memory.base + offset;
}

const utf8 = new TextEncoder();

function placeText(memory: PlanMemory, text: string): number {
  const known = memory.texts.get(text);
  if (known !== undefined) return known;
  if (text.includes("\0")) {
    throw new RangeError(`text with a NUL cannot be given to the kernel: ${JSON.stringify(text)}`);
  }
  // A character is at most three bytes of UTF-8.
  const most = text.length * 3 + 1;
  const offset = memory.reserve(most);
  const { written } = utf8.encodeInto(text, memory.bytes.subarray(offset, offset + most));
  memory.end = roundUp(offset + written + 1, 16);
  memory.texts.set(text, memory.base + offset);
  return memory.base + offset;
}

/** @param multiple a power of two */
function roundUp(value: number, multiple: number): number {
  return (value + multiple - 1) & -multiple;
}

/** Up to three error numbers, a byte each. */
function toleratedNumbers({ label }: Step, { tolerate, skipOn }: OnError): number {
  const listed = tolerate === "any" ? skipOn : tolerate;
  if (listed === undefined) return 0;
  if (listed.length > 3) throw new RangeError(`${label}: tolerates more than three errors`);
  let numbers = 0;
  for (let index = 0; index < listed.length; index++) numbers |= errnos[listed[index] as ErrnoName] << (index * 8);
  return numbers;
}

function flagsOf(onError: OnError | undefined, onSuccess: OnSuccess | undefined): number {
  let flags = 0;
  if (onError?.tolerate === "any") flags |= flag.tolerateAny;
  if (onError?.report === true) flags |= flag.report;
  if (onSuccess?.parent === "stays") flags |= flag.stay | flag.report;
  else if (onSuccess?.skip !== undefined) flags |= flag.skipOnSuccess;
  if (onSuccess?.parent === "leaves") flags |= flag.leave;
  if (onSuccess?.parent === "tells") flags |= flag.leave | flag.report;
  if (onSuccess?.parent === "reaps") flags |= flag.reap;
  return flags;
}
