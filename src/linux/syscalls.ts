import { type Architecture, hostArchitecture } from "./arch.ts";
import { aarch64Table, armTable, i386Table, x32Lacks, x32Table, x86_64Table } from "./syscall-tables.ts";

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

const tables: Partial<Record<SyscallAbi, ReadonlyMap<string, number>>> = {};

/**
 * A table's numbers by name, in the order of the numbers. The text is taken apart on first use: most runs need few of
 * the five.
 */
export function syscallTable(abi: SyscallAbi): ReadonlyMap<string, number> {
  return (tables[abi] ??= readTable(abi));
}

function readTable(abi: SyscallAbi): Map<string, number> {
  const numbers = new Map<string, number>();
  switch (abi) {
    case "x86_64":
      addWords(numbers, x86_64Table);
      break;
    case "aarch64":
      addWords(numbers, aarch64Table);
      break;
    case "i386":
      addWords(numbers, i386Table);
      break;
    case "arm":
      addWords(numbers, armTable);
      break;
    case "x32":
      addWords(numbers, x86_64Table, x32Bit);
      for (const name of x32Lacks) numbers.delete(name);
      // Its own numbers are the highest: deleted first, these names move to the end of the order.
      for (const name of words(x32Table)) numbers.delete(name);
      addWords(numbers, x32Table, x32Bit);
      break;
  }
  return numbers;
}

function addWords(numbers: Map<string, number>, lines: readonly string[], base = 0): void {
  let next = base;
  for (const word of words(lines)) {
    // No system call's name begins with a digit.
    if (word.charCodeAt(0) <= 0x39) next = base + Number(word);
    else numbers.set(word, next++);
  }
}

function words(lines: readonly string[]): string[] {
  return lines.join(" ").split(" ");
}

/** The number of a system call that exists everywhere. */
export function syscallNumber(name: SyscallName, architecture: Architecture = hostArchitecture): number {
  return syscallTable(architecture).get(name) as number;
}

/** The number of a system call by a name from outside, such as a seccomp profile's; undefined if `abi` lacks it. */
export function findSyscallNumber(name: string, abi: SyscallAbi): number | undefined {
  return syscallTable(abi).get(name);
}
