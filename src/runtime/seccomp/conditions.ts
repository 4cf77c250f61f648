import type { SeccompArg, SeccompOperator } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { type Address, type JumpCode, jump, type ProgramBuilder } from "./program.ts";

/** A condition on one argument of a system call, checked. */
export interface Condition {
  readonly index: number;
  readonly op: SeccompOperator;
  /** What the argument (its part under `mask` for MASKED_EQ) is compared with. */
  readonly value: bigint;
  readonly mask: bigint;
}

/**
 * How wide the arguments of an ABI are. Of those of a 32-bit one only the lower half is looked at, also for x32: its
 * calls take 32-bit values from 64-bit registers, and rubbish above them must not decide.
 */
export type ArgumentBits = 32 | 64;

export const operators: readonly string[] = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] satisfies SeccompOperator[];

const maxWord = 0xffffffffn;
const maxArgument = 0xffffffffffffffffn;

/** Reads a condition of a profile. Throws InvalidDocumentError for what the specification does not have. */
export function readCondition(arg: SeccompArg): Condition {
  const { index, op } = arg;
  if (!(Number.isInteger(index) && index >= 0 && index < 6)) {
    throw new InvalidDocumentError(`a system call has the arguments 0 to 5, a seccomp rule names ${index}`);
  }
  if (!operators.includes(op)) throw new InvalidDocumentError(`unknown seccomp operator ${JSON.stringify(op)}`);
  const value = readValue(arg.value);
  if (op !== "SCMP_CMP_MASKED_EQ") return { index, op, value, mask: maxArgument };
  // Bits outside the mask do not count: this is how libseccomp, and so every other runtime, reads such a rule.
  return {
    index,
    op,
    value: readValue(arg.valueTwo ?? 0) & value,
    mask: value,
  };
}

function readValue(value: number | bigint): bigint {
  // A number above 2^53 has lost its last digits when the JSON was parsed: such values have to come as bigint.
  const exact = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!exact || value < 0 || value > maxArgument) {
    throw new InvalidDocumentError(`the value of a seccomp argument must be 0 to 2^64 - 1, not ${String(value)}`);
  }
  return BigInt(value);
}

/** Writes the test of one condition: on to `yes` when it holds, else to `no`. */
export function writeCondition(
  builder: ProgramBuilder,
  { index, op, value, mask }: Condition,
  bits: ArgumentBits,
  yes: Address,
  no: Address,
): Address {
  const write = { builder, index, bits, value };
  switch (op) {
    case "SCMP_CMP_EQ":
    case "SCMP_CMP_MASKED_EQ":
      return writeEqual(write, mask, yes, no);
    case "SCMP_CMP_NE":
      return writeEqual(write, mask, no, yes);
    case "SCMP_CMP_GT":
      return writeOrder(write, jump.greater, yes, no);
    case "SCMP_CMP_GE":
      return writeOrder(write, jump.greaterOrEqual, yes, no);
    case "SCMP_CMP_LT":
      return writeOrder(write, jump.greaterOrEqual, no, yes);
    case "SCMP_CMP_LE":
      return writeOrder(write, jump.greater, no, yes);
  }
}

interface Comparison {
  readonly builder: ProgramBuilder;
  readonly index: number;
  readonly bits: ArgumentBits;
  readonly value: bigint;
}

function writeEqual({ builder, index, bits, value }: Comparison, mask: bigint, yes: Address, no: Address): Address {
  const half = (offset: number, word: number, wordMask: number, next: Address): Address => {
    if (wordMask === 0) return next;
    const test = builder.test(jump.equal, word, next, no);
    return builder.load(offset, wordMask === 0xffffffff ? test : builder.and(wordMask, test));
  };
  const low = half(lowOffset(index), lowWord(value), lowWord(mask), yes);
  return bits === 32 ? low : half(highOffset(index), highWord(value), highWord(mask), low);
}

/** `code` is what decides in the lower half, once the upper halves are equal. */
function writeOrder(comparison: Comparison, code: JumpCode, yes: Address, no: Address): Address {
  const { builder, index, bits, value } = comparison;
  const low = builder.load(lowOffset(index), builder.test(code, lowWord(value), yes, no));
  if (bits === 32) return low;
  const highEqual = builder.test(jump.equal, highWord(value), low, no);
  return builder.load(highOffset(index), builder.test(jump.greater, highWord(value), yes, highEqual));
}

/** Where an argument lies in `struct seccomp_data` on a little-endian machine. linux/seccomp.h */
function lowOffset(index: number): number {
  return 16 + 8 * index;
}

function highOffset(index: number): number {
  return lowOffset(index) + 4;
}

function lowWord(value: bigint): number {
  return Number(value & maxWord);
}

function highWord(value: bigint): number {
  return Number(value >> 32n);
}
