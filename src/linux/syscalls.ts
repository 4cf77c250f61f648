import { type Architecture, hostArchitecture } from "./arch.ts";
import { aarch64Table, armTable, i386Table, x32Table, x86_64Table } from "./syscall-tables.ts";

/**
 * What a program can be compiled for to call the kernel of one of gocker's architectures: besides the two themselves
 * the 32-bit ones that these kernels also serve. x32 is x86-64 with 32-bit pointers.
 */
export type SyscallAbi = Architecture | "i386" | "x32" | "arm";

/** The words of a table's lines. */
type Words<Line extends string> = Line extends `${infer Word} ${infer Rest}` ? Word | Words<Rest> : Line;
type Names<Table extends readonly string[]> = Exclude<Words<Table[number]>, `${number}`>;

/** The system calls that every architecture of gocker has: what a launch plan may use. */
export type SyscallName = Extract<Names<typeof x86_64Table>, Names<typeof aarch64Table>>;

/** Set in the numbers of x32's system calls, as the kernel and seccomp see them. asm/unistd.h, __X32_SYSCALL_BIT */
export const x32Bit = 0x40000000;

const texts: Readonly<Record<SyscallAbi, readonly string[]>> = {
  x86_64: x86_64Table,
  aarch64: aarch64Table,
  i386: i386Table,
  x32: x32Table,
  arm: armTable,
};

/** Visits the system calls of an ABI in the order of their numbers. */
export function forEachSyscall(abi: SyscallAbi, visit: (name: string, number: number) => void): void {
  const base = abi === "x32" ? x32Bit : 0;
  let next = base;
  for (const word of texts[abi].join(" ").split(" ")) {
    // No system call's name begins with a digit.
    if (word.charCodeAt(0) <= 0x39) next = base + Number(word);
    else visit(word, next++);
  }
}

const tables: Partial<Record<SyscallAbi, ReadonlyMap<string, number>>> = {};

/** An ABI's system call numbers by name. Made on first use: a run of a container needs its own architecture's only. */
export function syscallTable(abi: SyscallAbi): ReadonlyMap<string, number> {
  const known = tables[abi];
  if (known !== undefined) return known;
  const table = new Map<string, number>();
  forEachSyscall(abi, (name, number) => table.set(name, number));
  return (tables[abi] = table);
}

/** The number of a system call that exists everywhere. */
export function syscallNumber(name: SyscallName, architecture: Architecture = hostArchitecture): number {
  return syscallTable(architecture).get(name) as number;
}
