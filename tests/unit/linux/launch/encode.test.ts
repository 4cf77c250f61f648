import { describe, expect, test } from "bun:test";
import { errnos } from "../../../../src/linux/errno.ts";
import { encodePlan, timesMarker } from "../../../../src/linux/launch/encode.ts";
import { besideStatus, fieldOf, slot, statusDescriptor, type Step, words } from "../../../../src/linux/launch/plan.ts";
import { syscallNumber } from "../../../../src/linux/syscalls.ts";

const base = 0x2000_0000;
const headerSize = 64;
const stepSize = 64;

function step(change: Partial<Step> = {}): Step {
  return { label: "a step", group: "process", syscall: "write", args: [], ...change };
}

/** An encoded plan, read by the layout that machine-code/x86_64.S describes. */
class Memory {
  readonly bytes: Buffer;
  readonly stepAt: (address: bigint) => Step | undefined;

  constructor(steps: readonly Step[], options: Partial<Parameters<typeof encodePlan>[1]> = {}) {
    const encoded = encodePlan(steps, { architecture: "x86_64", base, statusFd: 9, ...options });
    this.bytes = Buffer.from(encoded.bytes);
    this.stepAt = (address) => encoded.stepAt(address);
  }

  word(address: number): bigint {
    return this.bytes.readBigUInt64LE(address - base);
  }

  /** The address that a word holds. */
  pointer(address: number): number {
    const target = Number(this.word(address));
    expect(target).toBeGreaterThanOrEqual(base);
    expect(target).toBeLessThan(base + this.bytes.length);
    return target;
  }

  text(address: number): string {
    const from = address - base;
    return this.bytes.toString("utf8", from, this.bytes.indexOf(0, from));
  }

  get count(): number {
    return (Number(this.word(base + 8)) - Number(this.word(base))) / stepSize;
  }

  step(index: number) {
    const at = base + headerSize + index * stepSize;
    const [indirect = 0, flags = 0, first = 0, second = 0, third = 0, skip = 0] = this.bytes.subarray(at + 2 - base);
    return {
      at,
      number: this.bytes.readUInt16LE(at - base),
      indirect,
      flags,
      tolerated: [first, second, third],
      skip,
      argument: (which: number) => at + 8 + which * 8,
      result: Number(this.word(at + 56)),
    };
  }
}

test("the status descriptor and the numbers beside it are known beforehand", () => {
  const memory = new Memory([step({ args: [besideStatus.below, statusDescriptor, besideStatus.above] })]);
  const { indirect, argument } = memory.step(0);
  expect(indirect).toBe(0);
  expect([0, 1, 2].map((which) => memory.word(argument(which)))).toEqual([8n, 9n, 10n]);
});

test("the header holds where the steps begin and end, and the status descriptor", () => {
  const memory = new Memory([step(), step()]);
  expect([memory.word(base), memory.word(base + 8), memory.word(base + 16)]).toEqual([
    BigInt(base + headerSize),
    BigInt(base + headerSize + 2 * stepSize),
    9n,
  ]);
});

test("a system call has the number of its architecture", () => {
  const steps = [step({ syscall: "execve" })];
  expect(new Memory(steps).step(0).number).toBe(59);
  expect(new Memory(steps, { architecture: "aarch64" }).step(0).number).toBe(221);
});

describe("arguments", () => {
  test("numbers are 64 bits in two's complement", () => {
    const args = [1, -100, 0xffff_ffff, 2 ** 40 + 3, 0xffff_ffff_ffff_ffffn, -1];
    const memory = new Memory([step({ args })]);
    expect(args.map((_, index) => memory.word(memory.step(0).argument(index)))).toEqual(
      args.map((argument) => BigInt.asUintN(64, BigInt(argument))),
    );
  });

  test("texts end with a NUL, and bytes, texts and words lie at multiples of 16", () => {
    const memory = new Memory([step({ args: ["/é", new Uint8Array([1, 2, 3]), words("a", 0)] })]);
    const [text = 0, bytes = 0, block = 0] = [0, 1, 2].map((index) => memory.pointer(memory.step(0).argument(index)));
    expect(memory.text(text)).toBe("/é");
    expect([...memory.bytes.subarray(bytes - base, bytes - base + 4)]).toEqual([1, 2, 3, 0]);
    expect(memory.text(memory.pointer(block))).toBe("a");
    expect(memory.word(block + 8)).toBe(0n);
    expect([text % 16, bytes % 16, block % 16]).toEqual([0, 0, 0]);
    expect(memory.step(0).indirect).toBe(0);
  });

  test("words nest", () => {
    const memory = new Memory([step({ args: [words(5, words("deep", -1n))] })]);
    const outer = memory.pointer(memory.step(0).argument(0));
    const inner = memory.pointer(outer + 8);
    expect(memory.word(outer)).toBe(5n);
    expect(memory.text(memory.pointer(inner))).toBe("deep");
    expect(memory.word(inner + 8)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test("a slot is one zero word, shared by its result and its uses, whose bits are set", () => {
    const fd = slot("fd");
    const other = slot("fd");
    const memory = new Memory([
      step({ result: fd }),
      step({ args: [1, fd, 3, fd], result: other }),
      step({ args: [other, 0, 0, 0, 0, fd] }),
    ]);
    const place = memory.step(0).result;
    expect(memory.word(place)).toBe(0n);
    expect(memory.step(1).indirect).toBe(0b1010);
    expect([1, 3].map((index) => memory.pointer(memory.step(1).argument(index)))).toEqual([place, place]);
    expect(memory.step(2).indirect).toBe(0b10_0001);
    expect(memory.pointer(memory.step(2).argument(5))).toBe(place);
    expect(memory.pointer(memory.step(2).argument(0))).toBe(memory.step(1).result);
    expect(memory.step(1).result).not.toBe(place);
  });

  test("what several steps share lies in memory once", () => {
    const environment = words("PATH=/bin", 0);
    const bytes = new Uint8Array(8);
    const memory = new Memory([step({ args: [environment, bytes] }), step({ args: [environment, bytes] })]);
    for (const index of [0, 1]) {
      const [first, second] = [0, 1].map((which) => memory.word(memory.step(which).argument(index)));
      expect(first).toBe(second as bigint);
    }
  });

  test("equal texts lie in memory once, whatever names them", () => {
    const memory = new Memory([
      step({ args: ["/bin/true", words("/bin/true", 0)] }),
      step({ args: ["/bin/true", "/b"] }),
    ]);
    const first = memory.pointer(memory.step(0).argument(0));
    expect(memory.text(first)).toBe("/bin/true");
    expect(memory.pointer(memory.pointer(memory.step(0).argument(1)))).toBe(first);
    expect(memory.pointer(memory.step(1).argument(0))).toBe(first);
    expect(memory.text(memory.pointer(memory.step(1).argument(1)))).toBe("/b");
  });

  test("memory grows with what is in it", () => {
    const long = "x".repeat(300_000);
    const memory = new Memory([step({ args: [long, "after"] })]);
    expect(memory.text(memory.pointer(memory.step(0).argument(0)))).toBe(long);
    expect(memory.text(memory.pointer(memory.step(0).argument(1)))).toBe("after");
  });
});

describe("errors and successes", () => {
  test("tolerated errors, skips and flags are each in their place", () => {
    const memory = new Memory([
      step({ onError: { tolerate: ["ENOENT", "EHWPOISON"], skip: 2 } }),
      step({ onError: { tolerate: "any", report: true } }),
      step({ onSuccess: { skip: 255 } }),
      step({ onSuccess: { parent: "leaves" } }),
      step({ onSuccess: { parent: "reaps" } }),
      step({ onError: { tolerate: ["EEXIST", "EPERM", "EIO"] }, onSuccess: { skip: 1 } }),
      step({ onError: { tolerate: "any", skip: 3, skipOn: ["EIO"] } }),
      step({ onSuccess: { parent: "stays", skip: 5 } }),
    ]);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((index) => memory.step(index))).toMatchObject([
      { tolerated: [errnos.ENOENT, errnos.EHWPOISON, 0], skip: 2, flags: 0 },
      { tolerated: [0, 0, 0], skip: 0, flags: 1 | 2 },
      { skip: 255, flags: 16 },
      { flags: 4 },
      { flags: 8 },
      { tolerated: [errnos.EEXIST, errnos.EPERM, errnos.EIO], skip: 1, flags: 16 },
      { tolerated: [errnos.EIO, 0, 0], skip: 3, flags: 1 },
      { skip: 5, flags: 32 | 2 },
    ]);
  });

  test("what the layout has no room for is refused by the step's name", () => {
    const refused = (change: Partial<Step>) => () => new Memory([step(change)]);
    expect(refused({ args: [1, 2, 3, 4, 5, 6, 7] })).toThrow("a step: more than six arguments");
    expect(refused({ onError: { tolerate: ["EIO", "EPERM", "EBADF", "EBUSY"] } })).toThrow("a step: tolerates more");
    expect(refused({ onSuccess: { skip: 256 } })).toThrow("a step: skips more than 255");
    expect(refused({ args: ["a\0b"] })).toThrow(RangeError);
    expect(refused({ args: [words("a\0b")] })).toThrow(RangeError);
  });

  test("the address in a report leads to its step, and no other address to any", () => {
    const steps = [step({ label: "one" }), step({ label: "two" })];
    const memory = new Memory(steps);
    expect(memory.stepAt(BigInt(memory.step(1).at))).toBe(steps[1]);
    for (const address of [0n, 1n, BigInt(base), BigInt(memory.step(1).at + 8), BigInt(memory.step(1).at + stepSize)]) {
      expect(memory.stepAt(address)).toBeUndefined();
    }
  });
});

describe("timed plans", () => {
  const steps = [
    step({ label: "one", onError: { tolerate: ["ENOENT"], skip: 1 } }),
    step({ label: "two" }),
    step({ label: "execute", syscall: "execve" }),
    step({ label: "again", syscall: "execve" }),
  ];
  const memory = new Memory(steps, { timed: true });
  const clock = syscallNumber("clock_gettime", "x86_64");

  test("a clock reading precedes every step, and all readings are reported once before executing", () => {
    const numbers = Array.from({ length: memory.count }, (_, index) => memory.step(index).number);
    const [write, execve] = [syscallNumber("write", "x86_64"), syscallNumber("execve", "x86_64")];
    expect(numbers).toEqual([clock, write, clock, write, clock, write, execve, clock, execve]);
    const report = memory.step(5);
    expect(memory.word(report.argument(0))).toBe(9n);
    const block = memory.pointer(report.argument(1));
    expect([memory.word(block), memory.word(block + 8)]).toEqual([timesMarker, 4n * 16n]);
    expect(memory.word(report.argument(2))).toBe(16n + 4n * 16n);
    expect([0, 2, 4, 7].map((index) => Number(memory.word(memory.step(index).argument(1))))).toEqual(
      [0, 1, 2, 3].map((index) => block + 16 + index * 16),
    );
  });

  test("a skip leaves the clock readings of the steps out too", () => {
    expect(memory.step(1).skip).toBe(2);
  });

  test("reports lead to the plan's own steps", () => {
    expect(memory.stepAt(BigInt(memory.step(3).at))).toBe(steps[1]);
    expect(memory.stepAt(BigInt(memory.step(5).at))).toBeUndefined();
  });
});

test("a field of bytes that a step fills is where it is in them", () => {
  const filled = new Uint8Array(48);
  const memory = new Memory([step({ args: [3, filled] }), step({ args: [4, fieldOf("a field", filled, 28)] })]);
  const start = memory.pointer(memory.step(0).argument(1));
  expect(memory.pointer(memory.step(1).argument(1))).toBe(start + 28);
  expect(memory.step(0).indirect).toBe(0);
  expect(memory.step(1).indirect).toBe(0b10);
});
