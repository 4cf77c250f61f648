import { InvalidDocumentError } from "../../util/errors.ts";

/** The most instructions that the kernel takes. linux/bpf_common.h, BPF_MAXINSNS */
const maxInstructions = 4096;

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

/** The place of an instruction, as {@link ProgramBuilder} hands them out: how many instructions follow it. */
export type Address = number;

/**
 * Writes a classic BPF program from its end to its beginning, because BPF jumps forward only: whatever an instruction
 * leads to has been written, and its address is known, when the instruction is. Every method writes what is needed in
 * front of the rest and returns the address where it begins.
 */
export class ProgramBuilder {
  /** The first words of the `struct sock_filter`s (16 bits of code, 8 of jt, 8 of jf), the last instruction first. */
  readonly #codes: number[] = [];
  /** Their second words, k. */
  readonly #constants: number[] = [];
  readonly #returns = new Map<number, Address>();

  /** Ends the program with a value. */
  return(value: number): Address {
    const known = this.#returns.get(value);
    if (known !== undefined && this.#codes.length - known < maxJump) return known;
    const address = this.#write(returnConstant, value);
    this.#returns.set(value, address);
    return address;
  }

  /** Goes to `yes` or `no`, depending on the accumulator. */
  test(code: JumpCode, constant: number, yes: Address, no: Address): Address {
    // A jump that is written here pushes the other target farther away by one: hence the loop.
    while (this.#distance(yes) > maxJump || this.#distance(no) > maxJump) {
      if (this.#distance(yes) > maxJump) yes = this.#jumpTo(yes);
      else no = this.#jumpTo(no);
    }
    return this.#write(code | (this.#distance(yes) << 16) | (this.#distance(no) << 24), constant);
  }

  /** Loads a word of `struct seccomp_data` into the accumulator and goes on at `next`. */
  load(offset: number, next: Address): Address {
    this.#leadTo(next);
    return this.#write(loadWord, offset);
  }

  /** Masks the accumulator and goes on at `next`. */
  and(mask: number, next: Address): Address {
    this.#leadTo(next);
    return this.#write(andConstant, mask);
  }

  /** The program as an array of `struct sock_filter`. Both of gocker's architectures are little-endian. */
  finish(): Uint8Array {
    const length = this.#codes.length;
    const words = new Uint32Array(2 * length);
    for (let index = 0; index < length; index++) {
      words[2 * index] = this.#codes[length - 1 - index] as number;
      words[2 * index + 1] = this.#constants[length - 1 - index] as number;
    }
    return new Uint8Array(words.buffer);
  }

  #leadTo(next: Address): void {
    if (this.#distance(next) !== 0) this.#jumpTo(next);
  }

  #jumpTo(target: Address): Address {
    return this.#write(jumpAlways, this.#distance(target));
  }

  /** How many instructions lie between the next one to be written and `target`. */
  #distance(target: Address): number {
    return this.#codes.length - 1 - target;
  }

  #write(code: number, constant: number): Address {
    if (this.#codes.length === maxInstructions) {
      throw new InvalidDocumentError(
        `the seccomp profile needs more than the kernel's ${maxInstructions} instructions`,
        {
          hint: "give fewer rules with conditions on arguments, or fewer architectures",
        },
      );
    }
    this.#codes.push(code);
    return this.#constants.push(constant) - 1;
  }
}
