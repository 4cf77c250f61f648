import { errnos } from "../errno.ts";
import { syscallNumber } from "../syscalls.ts";
import type { Architecture } from "../arch.ts";
import type { Argument, Slot, Step, Words } from "./plan.ts";

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
  /** Where in the child's memory the bytes will lie. */
  readonly base: number;
  /** The file descriptor that reports go to. */
  readonly statusFd: number;
  /**
   * After every step comes a reading of the clock; the block of readings (see {@link timesMarker}) is written to the
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
  const operations = options.timed === true ? interleaveClock(steps) : steps.map((step) => ({ step, skip: skipOf(step) }));
  return new Encoder(operations, options).encode();
}

/** A step in its place: a clock reading, the report of all readings, or a step of the plan itself. */
interface Operation {
  readonly step: Step | "report times";
  readonly skip: number;
  /** The clock reading after the plan's step of this index. */
  readonly clock?: number;
}

function skipOf(step: Step): number {
  return step.onSuccess?.skip ?? step.onError?.skip ?? 0;
}

function interleaveClock(steps: readonly Step[]): Operation[] {
  const operations: Operation[] = [];
  let reported = false;
  steps.forEach((step, index) => {
    if (!reported && (step.syscall === "execve" || step.syscall === "execveat")) {
      operations.push({ step: "report times", skip: 0 });
      reported = true;
    }
    const skip = skipOf(step);
    operations.push({ step, skip: skip === 0 ? 0 : skip * 2 + 1 }, { step, skip: 0, clock: index });
  });
  return operations;
}

class Encoder {
  readonly #operations: readonly Operation[];
  readonly #options: EncodeOptions;
  readonly #chunks: Uint8Array[] = [];
  readonly #slots = new Map<Slot, number>();
  /** Addresses of arguments that several steps share, such as the environment of every attempt to execute. */
  readonly #placed = new Map<Uint8Array | Words, number>();
  readonly #steps = new Map<bigint, Step>();
  readonly #timesAddress: number;
  #end: number;

  constructor(operations: readonly Operation[], options: EncodeOptions) {
    this.#operations = operations;
    this.#options = options;
    this.#end = options.base + headerSize + operations.length * stepSize;
    const readings = operations.filter((operation) => operation.clock !== undefined).length;
    this.#timesAddress = this.#end;
    if (readings > 0) {
      const block = new BigUint64Array(2 + (readings * timeSize) / 8);
      block[0] = timesMarker;
      block[1] = BigInt(readings * timeSize);
      this.#place(new Uint8Array(block.buffer));
    }
  }

  encode(): EncodedPlan {
    const { base, statusFd } = this.#options;
    const head = Buffer.alloc(headerSize + this.#operations.length * stepSize);
    head.writeBigUInt64LE(BigInt(base + headerSize), 0);
    head.writeBigUInt64LE(BigInt(base + head.length), 8);
    head.writeBigUInt64LE(BigInt(statusFd), 16);
    this.#operations.forEach((operation, index) => {
      const offset = headerSize + index * stepSize;
      if (operation.step === "report times") this.#encodeTimesReport(head, offset);
      else if (operation.clock !== undefined) this.#encodeClock(head, offset, operation.clock);
      else {
        this.#encodeStep(head, offset, operation.step, operation.skip);
        this.#steps.set(BigInt(base + offset), operation.step);
      }
    });
    const bytes = Buffer.concat([head, ...this.#chunks]);
    const found = this.#steps;
    return { bytes, stepAt: (address) => found.get(address) };
  }

  #encodeStep(head: Buffer, offset: number, step: Step, skip: number): void {
    if (step.args.length > 6) throw new RangeError(`${step.label}: more than six arguments`);
    if (skip > 255) throw new RangeError(`${step.label}: skips more than 255 steps`);
    head.writeUInt16LE(syscallNumber(step.syscall, this.#options.architecture), offset);
    let indirect = 0;
    step.args.forEach((argument, index) => {
      if (isSlot(argument)) indirect |= 1 << index;
      head.writeBigUInt64LE(this.#value(argument), offset + 8 + index * 8);
    });
    head[offset + 2] = indirect;
    head[offset + 3] = flagsOf(step);
    if (step.onError !== undefined && step.onError.tolerate !== "any") {
      if (step.onError.tolerate.length > 3) throw new RangeError(`${step.label}: tolerates more than three errors`);
      step.onError.tolerate.forEach((name, index) => (head[offset + 4 + index] = errnos[name]));
    }
    head[offset + 7] = skip;
    if (step.result !== undefined) head.writeBigUInt64LE(BigInt(this.#slotAddress(step.result)), offset + 56);
  }

  #encodeClock(head: Buffer, offset: number, index: number): void {
    const clockMonotonic = 1n;
    head.writeUInt16LE(syscallNumber("clock_gettime", this.#options.architecture), offset);
    head.writeBigUInt64LE(clockMonotonic, offset + 8);
    head.writeBigUInt64LE(BigInt(this.#timesAddress + 16 + index * timeSize), offset + 16);
  }

  #encodeTimesReport(head: Buffer, offset: number): void {
    const readings = this.#operations.filter((operation) => operation.clock !== undefined).length;
    head.writeUInt16LE(syscallNumber("write", this.#options.architecture), offset);
    head.writeBigUInt64LE(BigInt(this.#options.statusFd), offset + 8);
    head.writeBigUInt64LE(BigInt(this.#timesAddress), offset + 16);
    head.writeBigUInt64LE(BigInt(16 + readings * timeSize), offset + 24);
  }

  /** The 64 bits that stand for an argument: the number itself, or the address of what it points to. */
  #value(argument: Argument): bigint {
    switch (typeof argument) {
      case "number":
      case "bigint":
        return BigInt.asUintN(64, BigInt(argument));
      case "string":
        return BigInt(this.#place(terminated(argument)));
      default:
        return BigInt(isSlot(argument) ? this.#slotAddress(argument) : this.#placeOnce(argument));
    }
  }

  #placeOnce(argument: Uint8Array | Words): number {
    let address = this.#placed.get(argument);
    if (address === undefined) {
      address = argument instanceof Uint8Array ? this.#place(argument) : this.#placeWords(argument);
      this.#placed.set(argument, address);
    }
    return address;
  }

  #placeWords(argument: Words): number {
    const block = Buffer.alloc(argument.words.length * 8);
    argument.words.forEach((word, index) => block.writeBigUInt64LE(this.#value(word), index * 8));
    return this.#place(block);
  }

  #slotAddress(slot: Slot): number {
    let address = this.#slots.get(slot);
    if (address === undefined) {
      address = this.#place(new Uint8Array(8));
      this.#slots.set(slot, address);
    }
    return address;
  }

  /** Puts bytes at the next multiple of 16 and returns their address. */
  #place(bytes: Uint8Array): number {
    const address = this.#end;
    const padded = new Uint8Array((bytes.length + 15) & ~15);
    padded.set(bytes);
    this.#chunks.push(padded);
    this.#end += padded.length;
    return address;
  }
}

function isSlot(argument: Argument): argument is Slot {
  return typeof argument === "object" && "kind" in argument && argument.kind === "slot";
}

function flagsOf(step: Step): number {
  let flags = 0;
  if (step.onError?.tolerate === "any") flags |= flag.tolerateAny;
  if (step.onError?.report === true) flags |= flag.report;
  if (step.onSuccess?.skip !== undefined) flags |= flag.skipOnSuccess;
  if (step.onSuccess?.parent === "leaves") flags |= flag.leave;
  if (step.onSuccess?.parent === "reaps") flags |= flag.reap;
  return flags;
}

function terminated(text: string): Uint8Array {
  if (text.includes("\0")) throw new RangeError(`text with a NUL cannot be given to the kernel: ${JSON.stringify(text)}`);
  return Buffer.from(`${text}\0`);
}
