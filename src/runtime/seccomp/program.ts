import { InvalidDocumentError } from "../../util/errors.ts";

/** The most instructions that the kernel takes. linux/bpf_common.h, BPF_MAXINSNS */
export const maxInstructions = 4096;

/** Jump conditions on the accumulator, compared with a constant as unsigned numbers. linux/bpf_common.h */
export const jump = {
  equal: 0x15,
  greater: 0x25,
  greaterOrEqual: 0x35,
} as const;
export type JumpCode = (typeof jump)[keyof typeof jump];

const loadWord = 0x20;
const andConstant = 0x54;
const jumpAlways = 0x05;
const returnConstant = 0x06;

/** The farthest that a conditional jump goes: its distances are bytes. */
const maxJump = 255;

/** The place of an instruction, as {@link ProgramBuilder} hands them out. */
export type Address = number;

/**
 * Writes a classic BPF program from its end to its beginning, because BPF jumps forward only: whatever an instruction
 * leads to has been written, and its address is known, when the instruction is. Every method writes what is needed in
 * front of the rest and returns the address where it begins.
 */
export class ProgramBuilder {
  /** `struct sock_filter`s as pairs of words: 16 bits of code, 8 of jt, 8 of jf; 32 of k. Both hosts are little-endian. */
  readonly #words = new Uint32Array(2 * maxInstructions);
  readonly #returns = new Map<number, Address>();
  #start: Address = maxInstructions;

  /** Ends the program with a value. */
  return(value: number): Address {
    const known = this.#returns.get(value);
    if (known !== undefined && known - this.#start < maxJump) return known;
    const address = this.#write(returnConstant, 0, 0, value);
    this.#returns.set(value, address);
    return address;
  }

  /** Goes to `yes` or `no`, depending on the accumulator. */
  test(code: JumpCode, constant: number, yes: Address, no: Address): Address {
    // A jump that is written here pushes the other target farther away by one: hence the loop.
    while (yes - this.#start > maxJump || no - this.#start > maxJump) {
      if (yes - this.#start > maxJump) yes = this.#jumpTo(yes);
      else no = this.#jumpTo(no);
    }
    return this.#write(code, yes - this.#start, no - this.#start, constant);
  }

  /** Loads a word of `struct seccomp_data` into the accumulator and goes on at `next`. */
  load(offset: number, next: Address): Address {
    this.#leadTo(next);
    return this.#write(loadWord, 0, 0, offset);
  }

  /** Masks the accumulator and goes on at `next`. */
  and(mask: number, next: Address): Address {
    this.#leadTo(next);
    return this.#write(andConstant, 0, 0, mask);
  }

  /** The program as an array of `struct sock_filter`. */
  finish(): Uint8Array {
    return new Uint8Array(this.#words.slice(2 * this.#start).buffer);
  }

  #leadTo(next: Address): void {
    if (next !== this.#start) this.#jumpTo(next);
  }

  #jumpTo(target: Address): Address {
    return this.#write(jumpAlways, 0, 0, target - this.#start);
  }

  #write(code: number, yes: number, no: number, constant: number): Address {
    if (this.#start === 0) {
      throw new InvalidDocumentError(
        `the seccomp profile needs more than the kernel's ${maxInstructions} instructions`,
        {
          hint: "Give fewer rules with conditions on arguments, or fewer architectures",
        },
      );
    }
    const address = --this.#start;
    this.#words[2 * address] = code | (yes << 16) | (no << 24);
    this.#words[2 * address + 1] = constant;
    return address;
  }
}
