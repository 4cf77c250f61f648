import { ptr } from "bun:ffi";
import { errnos, systemCallError } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** A register of eBPF's machine, 0 to 10. */
export type Register = number & { readonly brand: "bpf register" };

/** Register `number`: 0 holds the result, 1 the context when a program begins. */
export function register(number: number): Register {
  return number as Register;
}

/** A place in a program that jumps lead to. */
export type Label = number & { readonly brand: "bpf label" };

/** Operation codes: class, source (K: the immediate) and operation together. RFC 9669 */
const opcode = {
  loadWord: 0x61, // LDX MEM W
  move: 0xb4, // ALU MOV K
  copy: 0xbc, // ALU MOV X
  and: 0x54, // ALU AND K
  shiftRight: 0x74, // ALU RSH K
  jump: 0x05, // JMP JA
  jumpNotEqual: 0x55, // JMP JNE K
  jumpAnyBit: 0x45, // JMP JSET K
  exit: 0x95, // JMP EXIT
} as const;

/** Where an instruction's jump leads, as long as the label's place is not known. */
interface Jump {
  readonly instruction: number;
  readonly target: Label;
}

/**
 * Builds an eBPF program, instruction by instruction; jumps only go forward, to labels placed later. Arithmetic is on
 * 32 bits and clears the upper half of a register, so 64-bit comparisons with numbers from 0 to 2³¹-1 are exact.
 */
export class Assembler {
  /** struct bpf_insn as two little-endian words: operation, registers and offset, then the immediate. */
  readonly #words: number[] = [];
  readonly #labels: (number | undefined)[] = [];
  readonly #jumps: Jump[] = [];

  /** A label to jump to, placed with {@link place}. */
  label(): Label {
    return (this.#labels.push(undefined) - 1) as Label;
  }

  /** The next instruction is where `label` leads. */
  place(label: Label): void {
    this.#labels[label] = this.#length;
  }

  /** Loads the 32-bit word at `base` + `offset`. */
  loadWord(destination: Register, base: Register, offset: number): void {
    this.#add(opcode.loadWord, destination, base, offset, 0);
  }

  set(destination: Register, value: number): void {
    this.#add(opcode.move, destination, 0, 0, value);
  }

  copy(destination: Register, source: Register): void {
    this.#add(opcode.copy, destination, source, 0, 0);
  }

  and(destination: Register, mask: number): void {
    this.#add(opcode.and, destination, 0, 0, mask);
  }

  shiftRight(destination: Register, bits: number): void {
    this.#add(opcode.shiftRight, destination, 0, 0, bits);
  }

  jump(target: Label): void {
    this.#addJump(opcode.jump, 0, 0, target);
  }

  jumpUnlessEqual(destination: Register, value: number, target: Label): void {
    this.#addJump(opcode.jumpNotEqual, destination, value, target);
  }

  /** Jumps when the register has any of the mask's bits. */
  jumpIfAnyBit(destination: Register, mask: number, target: Label): void {
    this.#addJump(opcode.jumpAnyBit, destination, mask, target);
  }

  /** Ends the program with register 0 as its result. */
  exit(): void {
    this.#add(opcode.exit, 0, 0, 0, 0);
  }

  /** The program as an array of `struct bpf_insn` (linux/bpf.h), 8 bytes each, for a little-endian processor. */
  assemble(): Uint8Array {
    const words = Int32Array.from(this.#words);
    for (const { instruction, target } of this.#jumps) {
      const place = this.#labels[target];
      if (place === undefined) throw new Error(`label ${target} was never placed`);
      const distance = place - instruction - 1;
      if (distance < 0 || distance > 0x7fff)
        throw new RangeError(`a jump over ${distance} instructions has no encoding`);
      words[instruction * 2] = (words[instruction * 2] as number) | (distance << 16);
    }
    return new Uint8Array(words.buffer);
  }

  get #length(): number {
    return this.#words.length / 2;
  }

  #add(code: number, destination: number, source: number, offset: number, immediate: number): void {
    this.#words.push(code | (destination << 8) | (source << 12) | (offset << 16), immediate);
  }

  #addJump(code: number, destination: number, immediate: number, target: Label): void {
    this.#jumps.push({ instruction: this.#length, target });
    this.#add(code, destination, 0, 0, immediate);
  }
}

/** Commands of bpf(2). enum bpf_cmd */
const command = { programLoad: 5, programAttach: 8 } as const;
/** BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15 */
const cgroupDeviceProgram = 15;
/** BPF_CGROUP_DEVICE of enum bpf_attach_type */
const cgroupDeviceAttach = 6;
/** BPF_F_ALLOW_MULTI: programs of the cgroups above and below stay in force; each of them has to agree. */
const allowMulti = 2;

/**
 * A loaded eBPF program. The kernel keeps it as long as this descriptor is open or it is attached somewhere, so it is
 * closed once it is attached.
 */
export class BpfProgram implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Gives the kernel a program that decides over devices of a cgroup. Needs CAP_BPF or CAP_SYS_ADMIN in the host's own
   * user namespace.
   * @param instructions an array of `struct bpf_insn`, see {@link Assembler.assemble}
   * @throws SystemCallError
   */
  static loadCgroupDevice(instructions: Uint8Array): BpfProgram {
    const license = cString("Apache-2.0");
    const attributes = new Uint8Array(72);
    const view = new DataView(attributes.buffer);
    view.setUint32(0, cgroupDeviceProgram, true);
    view.setUint32(4, instructions.length / 8, true);
    view.setBigUint64(8, BigInt(ptr(instructions)), true);
    view.setBigUint64(16, BigInt(ptr(license)), true);
    attributes.set(cString("gocker_devices"), 48);
    view.setUint32(68, cgroupDeviceAttach, true);

    let fd = bpf(command.programLoad, attributes);
    if (fd === -1 && errno() === errnos.EPERM) {
      // Before Linux 5.11 programs count as locked memory of the user, 64 KiB by default: about 16 containers.
      using _ = unlimitedLockedMemory();
      fd = bpf(command.programLoad, attributes);
    }
    if (fd === -1) {
      throw systemCallError("bpf", {
        step: "load the program that guards the container's devices",
        hint: "this needs root on the host (CAP_BPF or CAP_SYS_ADMIN) and a kernel with CONFIG_CGROUP_BPF",
      });
    }
    return new BpfProgram(fd);
  }

  /**
   * Puts the program in force for a cgroup of the unified hierarchy and all below it.
   * @param cgroupFd the cgroup's directory, open
   * @throws SystemCallError
   */
  attachTo(cgroupFd: number): void {
    const attributes = new Uint8Array(24);
    const view = new DataView(attributes.buffer);
    view.setUint32(0, cgroupFd, true);
    view.setUint32(4, this.#fd, true);
    view.setUint32(8, cgroupDeviceAttach, true);
    view.setUint32(12, allowMulti, true);
    if (bpf(command.programAttach, attributes) === -1) {
      throw systemCallError("bpf", { step: "attach the program that guards the container's devices" });
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

function bpf(code: number, attributes: Uint8Array): number {
  return Number(libc.syscall(syscallNumber("bpf"), code, ptr(attributes), attributes.length, 0, 0, 0));
}

/** RLIMIT_MEMLOCK, asm-generic/resource.h */
const lockedMemory = 8;

/** Lifts this process's limit of locked memory; disposing sets back what was, as children inherit it. */
function unlimitedLockedMemory(): Disposable {
  const before = new BigUint64Array(2);
  const unlimited = new BigUint64Array(2).fill(0xffffffffffffffffn);
  const exchange = (limit: BigUint64Array, old: BigUint64Array | undefined): number =>
    Number(
      libc.syscall(syscallNumber("prlimit64"), 0, lockedMemory, ptr(limit), old === undefined ? 0 : ptr(old), 0, 0),
    );
  const changed = exchange(unlimited, before) === 0;
  return {
    [Symbol.dispose]() {
      if (changed && exchange(before, undefined) === -1) throw systemCallError("prlimit64");
    },
  };
}
