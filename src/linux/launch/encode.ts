import type { Architecture } from "../arch.ts";
import { errnos } from "../errno.ts";
import { syscallNumber } from "../syscalls.ts";
import { type Argument, type Slot, statusDescriptor, type Step, type Words } from "./plan.ts";

const headerSize = 64;
const stepSize = 64;
const flag = { tolerateAny: 1, report: 2, leave: 4, reap: 8, skipOnSuccess: 16 } as const;

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
  const operations =
    options.timed === true ? interleaveClock(steps) : steps.map((step) => ({ step, skip: skipOf(step) }));
  return new Encoder(operations, options).encode();
}

/** A step in its place: a clock reading, the report of all readings, or a step of the plan itself. */
interface Operation {
  readonly step: Step | "report times";
  readonly skip: number;
  /** The clock reading before the plan's step of this index. */
  readonly clock?: number;
}

function skipOf(step: Step): number {
  return step.onSuccess?.skip ?? step.onError?.skip ?? 0;
}

/** The readings come before the steps, so that one that leaves others out still has its own. */
function interleaveClock(steps: readonly Step[]): Operation[] {
  const operations: Operation[] = [];
  let reported = false;
  steps.forEach((step, index) => {
    operations.push({ step, skip: 0, clock: index });
    if (!reported && (step.syscall === "execve" || step.syscall === "execveat")) {
      operations.push({ step: "report times", skip: 0 });
      reported = true;
    }
    operations.push({ step, skip: skipOf(step) * 2 });
  });
  return operations;
}

/**
 * Numbers are written as two halves of 32 bits and never as a BigInt: this runs once in a process that has just
 * started, where a thousand BigInts take milliseconds.
 */
class Encoder {
  readonly #operations: readonly Operation[];
  readonly #options: EncodeOptions;
  readonly #slots = new Map<Slot, number>();
  /** Addresses of arguments that several steps share, such as the environment of every attempt to execute. */
  readonly #placed = new Map<Uint8Array | Words, number>();
  readonly #readings: number;
  #memory: Buffer;
  #words: Uint32Array;
  /** Where the next text or block goes: a multiple of 16. */
  #end: number;
  #timesOffset = 0;

  constructor(operations: readonly Operation[], options: EncodeOptions) {
    this.#operations = operations;
    this.#options = options;
    this.#readings = options.timed === true ? operations.filter(({ clock }) => clock !== undefined).length : 0;
    this.#end = headerSize + operations.length * stepSize;
    this.#memory = Buffer.alloc(roundUp(this.#end * 2, 0x1_0000));
    this.#words = wordsOf(this.#memory);
  }

  encode(): EncodedPlan {
    const { base, statusFd } = this.#options;
    this.#writeNumber(0, base + headerSize);
    this.#writeNumber(8, base + this.#end);
    this.#writeNumber(16, statusFd);
    if (this.#readings > 0) this.#placeTimes();
    this.#operations.forEach((operation, index) => {
      const offset = headerSize + index * stepSize;
      if (operation.step === "report times") this.#encodeTimesReport(offset);
      else if (operation.clock !== undefined) this.#encodeClock(offset, operation.clock);
      else this.#encodeStep(offset, operation.step, operation.skip);
    });
    return { bytes: this.#memory.subarray(0, this.#end), stepAt: (address) => this.#stepAt(Number(address)) };
  }

  #stepAt(address: number): Step | undefined {
    const operation = this.#operations[(address - this.#options.base - headerSize) / stepSize];
    return operation === undefined || operation.step === "report times" ? undefined : operation.step;
  }

  #encodeStep(offset: number, step: Step, skip: number): void {
    const { args } = step;
    if (args.length > 6) throw new RangeError(`${step.label}: more than six arguments`);
    if (skip > 255) throw new RangeError(`${step.label}: skips more than 255 steps`);
    let indirect = 0;
    for (let index = 0; index < args.length; index++) {
      const argument = args[index] as Argument;
      if (isSlot(argument) && argument !== statusDescriptor) indirect |= 1 << index;
      this.#writeValue(offset + 8 + index * 8, argument);
    }
    const [first = 0, second = 0, third = 0] = toleratedNumbers(step);
    this.#words[offset / 4] =
      (syscallNumber(step.syscall, this.#options.architecture) | (indirect << 16) | (flagsOf(step) << 24)) >>> 0;
    this.#words[offset / 4 + 1] = (first | (second << 8) | (third << 16) | (skip << 24)) >>> 0;
    if (step.result !== undefined) this.#writeNumber(offset + 56, this.#slotAddress(step.result));
  }

  #placeTimes(): void {
    this.#timesOffset = this.#end;
    const length = this.#readings * timeSize;
    this.#reserve(16 + length);
    this.#writeNumber(this.#timesOffset, Number(timesMarker));
    this.#writeNumber(this.#timesOffset + 8, length);
  }

  #encodeClock(offset: number, index: number): void {
    const clockMonotonic = 1;
    this.#words[offset / 4] = syscallNumber("clock_gettime", this.#options.architecture);
    this.#writeNumber(offset + 8, clockMonotonic);
    this.#writeNumber(offset + 16, this.#options.base + this.#timesOffset + 16 + index * timeSize);
  }

  #encodeTimesReport(offset: number): void {
    this.#words[offset / 4] = syscallNumber("write", this.#options.architecture);
    this.#writeNumber(offset + 8, this.#options.statusFd);
    this.#writeNumber(offset + 16, this.#options.base + this.#timesOffset);
    this.#writeNumber(offset + 24, 16 + this.#readings * timeSize);
  }

  /** Writes the 64 bits that stand for an argument: the number itself, or the address of what it points to. */
  #writeValue(offset: number, argument: Argument): void {
    if (typeof argument === "number") return this.#writeNumber(offset, argument);
    if (argument === statusDescriptor) return this.#writeNumber(offset, this.#options.statusFd);
    if (typeof argument === "string") return this.#writeNumber(offset, this.#placeText(argument));
    if (typeof argument === "bigint") {
      this.#words[offset / 4] = Number(argument & 0xffff_ffffn);
      this.#words[offset / 4 + 1] = Number((argument >> 32n) & 0xffff_ffffn);
      return;
    }
    this.#writeNumber(offset, isSlot(argument) ? this.#slotAddress(argument) : this.#placeOnce(argument));
  }

  /** A whole number as 64 bits, in two's complement. */
  #writeNumber(offset: number, value: number): void {
    this.#words[offset / 4] = value;
    this.#words[offset / 4 + 1] = Math.floor(value / 0x1_0000_0000);
  }

  #placeOnce(argument: Uint8Array | Words): number {
    let address = this.#placed.get(argument);
    if (address === undefined) {
      address = argument instanceof Uint8Array ? this.#placeBytes(argument) : this.#placeWords(argument);
      this.#placed.set(argument, address);
    }
    return address;
  }

  #placeWords({ words }: Words): number {
    const offset = this.#reserve(words.length * 8);
    words.forEach((word, index) => this.#writeValue(offset + index * 8, word));
    return this.#options.base + offset;
  }

  #slotAddress(slot: Slot): number {
    let address = this.#slots.get(slot);
    if (address === undefined) {
      address = this.#options.base + this.#reserve(8);
      this.#slots.set(slot, address);
    }
    return address;
  }

  #placeBytes(bytes: Uint8Array): number {
    const offset = this.#reserve(bytes.length);
    this.#memory.set(bytes, offset);
    return this.#options.base + offset;
  }

  #placeText(text: string): number {
    if (text.includes("\0")) {
      throw new RangeError(`text with a NUL cannot be given to the kernel: ${JSON.stringify(text)}`);
    }
    const offset = this.#reserve(Buffer.byteLength(text) + 1);
    this.#memory.write(text, offset);
    return this.#options.base + offset;
  }

  /** Room for so many bytes, all zero. */
  #reserve(length: number): number {
    const offset = this.#end;
    this.#end = roundUp(offset + length, 16);
    if (this.#end > this.#memory.length) {
      const larger = Buffer.alloc(roundUp(this.#end * 2, 0x1_0000));
      larger.set(this.#memory);
      this.#memory = larger;
      this.#words = wordsOf(larger);
    }
    return offset;
  }
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function wordsOf(memory: Buffer): Uint32Array {
  return new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4);
}

function toleratedNumbers({ label, onError }: Step): number[] {
  if (onError === undefined || onError.tolerate === "any") return [];
  if (onError.tolerate.length > 3) throw new RangeError(`${label}: tolerates more than three errors`);
  return onError.tolerate.map((name) => errnos[name]);
}

function isSlot(argument: Argument): argument is Slot {
  return typeof argument === "object" && "kind" in argument && argument.kind === "slot";
}

function flagsOf({ onError, onSuccess }: Step): number {
  let flags = 0;
  if (onError?.tolerate === "any") flags |= flag.tolerateAny;
  if (onError?.report === true) flags |= flag.report;
  if (onSuccess?.skip !== undefined) flags |= flag.skipOnSuccess;
  if (onSuccess?.parent === "leaves") flags |= flag.leave;
  if (onSuccess?.parent === "reaps") flags |= flag.reap;
  return flags;
}
