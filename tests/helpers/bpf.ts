/** What a seccomp filter sees of a system call. linux/seccomp.h, struct seccomp_data */
export interface SyscallData {
  /** AUDIT_ARCH_* */
  readonly architecture: number;
  readonly number: number;
  /** At most six, of 64 bits; missing ones are 0. */
  readonly args?: readonly bigint[];
}

export const auditArchitectures = { x86_64: 0xc000003e, i386: 0x40000003, aarch64: 0xc00000b7, arm: 0x40000028 };

/**
 * Runs a classic BPF program as the kernel runs a seccomp filter, and returns its value. Throws for what the kernel's
 * checker refuses: unknown instructions, jumps out of the program, loads outside of the data, an end without a return.
 */
export function runFilter(program: Uint8Array, { architecture, number, args = [] }: SyscallData): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, architecture, true);
  args.forEach((value, index) => data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, value), true));

  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    if (8 * at >= program.byteLength) throw new Error(`the program runs out at instruction ${at}`);
    const constant = view.getUint32(8 * at + 4, true);
    const jump = (holds: boolean) => (at += view.getUint8(8 * at + (holds ? 2 : 3)));
    const code = view.getUint16(8 * at, true);
    if (code === 0x06) return constant;
    else if (code === 0x20 && constant % 4 === 0) accumulator = data.getUint32(constant, true);
    else if (code === 0x54) accumulator = (accumulator & constant) >>> 0;
    else if (code === 0x05) at += constant;
    else if (code === 0x15) jump(accumulator === constant);
    else if (code === 0x25) jump(accumulator > constant);
    else if (code === 0x35) jump(accumulator >= constant);
    else if (code === 0x45) jump((accumulator & constant) !== 0);
    else throw new Error(`unknown instruction 0x${code.toString(16)} at ${at}`);
  }
}

/** Throws for what the kernel refuses in a program, also where no call has led {@link runFilter}. */
export function checkFilter(program: Uint8Array): void {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const count = program.byteLength / 8;
  if (!Number.isInteger(count) || count < 1 || count > 4096) throw new Error(`a program of ${count} instructions`);
  for (let at = 0; at < count; at++) {
    const code = view.getUint16(8 * at, true);
    const constant = view.getUint32(8 * at + 4, true);
    const farthest = code === 0x05 ? constant : Math.max(view.getUint8(8 * at + 2), view.getUint8(8 * at + 3));
    if (code !== 0x06 && at + 1 + farthest >= count) throw new Error(`instruction ${at} leads out of the program`);
    if (code === 0x20 && (constant % 4 !== 0 || constant > 60))
      throw new Error(`instruction ${at} loads at ${constant}`);
  }
}
