import { expect } from "bun:test";
import { ptr } from "bun:ffi";
import { existsSync, readdirSync } from "node:fs";
import { errnos } from "../../src/linux/errno.ts";
import { openNull } from "../../src/linux/fd.ts";
import { libc } from "../../src/linux/libc.ts";
import { syscallNumber } from "../../src/linux/syscalls.ts";
import { SystemCallError } from "../../src/util/errors.ts";

/** Lets this process open so many files more, until the end of the scope. */
export function fewDescriptors(count: number): Disposable {
  const open = new Set(openFiles());
  let most = 0;
  for (let free = 0; free < count; most++) if (!open.has(most)) free++;
  return limitFiles(most);
}

/** Lets this process open no file more than it closes, until the end of the scope. */
export function noDescriptor(): Disposable {
  using made = new DisposableStack();
  made.use(limitFiles(Math.max(...openFiles()) + 1));
  try {
    for (;;) made.use(openNull());
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== errnos.EMFILE) throw error;
  }
  return made.move();
}

function openFiles(): number[] {
  // One of those that are listed is the list's own.
  const listed = readdirSync("/proc/self/fd").filter((name) => existsSync(`/proc/self/fdinfo/${name}`));
  return listed.map(Number);
}

/** @param most one more than the largest number that a descriptor may get. getrlimit(2), RLIMIT_NOFILE */
function limitFiles(most: number): Disposable {
  const [nofile, prlimit] = [7, syscallNumber("prlimit64")];
  const before = new BigUint64Array(2);
  expect(Number(libc.syscall(prlimit, 0, nofile, 0, ptr(before), 0, 0))).toBe(0);
  const limit = new BigUint64Array([BigInt(most), before[1] ?? 0n]);
  expect(Number(libc.syscall(prlimit, 0, nofile, ptr(limit), 0, 0, 0))).toBe(0);
  return { [Symbol.dispose]: () => void libc.syscall(prlimit, 0, nofile, ptr(before), 0, 0, 0) };
}
