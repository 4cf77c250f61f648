import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { forEachSyscall, type SyscallAbi, syscallNumber, syscallTable, x32Bit } from "../../../src/linux/syscalls.ts";

describe("system call numbers", () => {
  test("of both architectures", () => {
    expect(syscallNumber("read", "x86_64")).toBe(0);
    expect(syscallNumber("read", "aarch64")).toBe(63);
    expect(syscallNumber("clone3", "x86_64")).toBe(435);
    expect(syscallNumber("clone3", "aarch64")).toBe(435);
    expect(syscallNumber("pivot_root", "x86_64")).toBe(155);
    expect(syscallNumber("pivot_root", "aarch64")).toBe(41);
  });

  test("of the other ABIs", () => {
    expect(syscallTable("i386").get("socketcall")).toBe(102);
    expect(syscallTable("x32").get("execve")).toBe(x32Bit + 520);
    expect(syscallTable("x32").get("read")).toBe(x32Bit);
    expect(syscallTable("x32").has("uselib")).toBe(false);
    expect(syscallTable("arm").get("set_tls")).toBe(0xf0005);
    expect(syscallTable("aarch64").has("open")).toBe(false);
  });

  for (const abi of ["x86_64", "aarch64", "i386", "x32", "arm"] as SyscallAbi[]) {
    test(`come in their order, each once: ${abi}`, () => {
      const numbers: number[] = [];
      forEachSyscall(abi, (_, number) => numbers.push(number));
      expect(numbers).toEqual([...new Set(numbers)].toSorted((left, right) => left - right));
      expect(syscallTable(abi).size).toBe(numbers.length);
      expect([...syscallTable(abi).keys()].filter((name) => !/^[a-z_][a-z0-9_]*$/.test(name))).toEqual([]);
    });
  }

  const headers: [SyscallAbi, string][] = [
    ["x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"],
    ["i386", "/usr/include/x86_64-linux-gnu/asm/unistd_32.h"],
    ["x32", "/usr/include/x86_64-linux-gnu/asm/unistd_x32.h"],
  ];
  for (const [abi, header] of headers) {
    test.skipIf(!existsSync(header))(`are those of the kernel's header ${header}`, () => {
      const text = readFileSync(header, "latin1");
      const defined = [...text.matchAll(/^#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)/gm)];
      expect(defined.length).toBeGreaterThan(300);
      const base = abi === "x32" ? x32Bit : 0;
      const wrong = defined.filter(([, name, number]) => syscallTable(abi).get(name ?? "") !== base + Number(number));
      expect(wrong.map(([line]) => line)).toEqual([]);
    });
  }

  const generic = "/usr/include/asm-generic/unistd.h";
  test.skipIf(!existsSync(generic))(`are those of the kernel's header ${generic}: aarch64`, () => {
    const text = readFileSync(generic, "latin1");
    const numbers = new Map(
      [...text.matchAll(/^#define __NR(?:3264)?_(\w+) (\d+)$/gm)].map(([, name, number]) => [name, number]),
    );
    // It also defines what only other architectures take.
    const common = [...syscallTable("aarch64")].filter(([name]) => numbers.has(name));
    expect(common.length).toBeGreaterThan(300);
    expect(common.filter(([name, number]) => Number(numbers.get(name)) !== number)).toEqual([]);
  });
});
