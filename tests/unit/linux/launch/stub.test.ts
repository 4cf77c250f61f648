import { describe, expect, test } from "bun:test";
import type { Architecture } from "../../../../src/linux/arch.ts";
import { machineCode } from "../../../../src/linux/launch/machine-code.ts";
import { type FilePart, stubDataAddress, stubExecutable } from "../../../../src/linux/launch/stub.ts";

/** The file as execve(2) sees it. */
function contentOf(parts: readonly FilePart[]): Buffer {
  const file = Buffer.alloc(Math.max(...parts.map(({ offset, bytes }) => offset + bytes.length)));
  for (const { offset, bytes } of parts) file.set(bytes, offset);
  return file;
}

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

function segmentsOf(file: Buffer): Segment[] {
  const size = file.readUInt16LE(54);
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = Number(file.readBigUInt64LE(32)) + index * size;
    const word = (offset: number) => Number(file.readBigUInt64LE(at + offset));
    return {
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: word(8),
      address: word(16),
      fileSize: word(32),
      memorySize: word(40),
      alignment: word(48),
    };
  });
}

const plan = new Uint8Array(100).fill(7);
const [execute, write, read] = [1, 2, 4];
const [load, gnuStack] = [1, 0x6474e551];
const machines: [Architecture, number][] = [
  ["x86_64", 62],
  ["aarch64", 183],
];

describe.each(machines)("the stub for %s", (architecture, machine) => {
  const file = contentOf(stubExecutable(architecture, plan));
  const segments = segmentsOf(file);
  const code = Buffer.from(machineCode[architecture].hex, "hex");

  test("is a 64-bit little-endian executable of its machine, without sections", () => {
    expect(file.toString("latin1", 0, 7)).toBe("\x7fELF\x02\x01\x01");
    expect(file.readUInt16LE(16)).toBe(2);
    expect(file.readUInt16LE(18)).toBe(machine);
    expect(file.readUInt32LE(20)).toBe(1);
    expect(file.readUInt16LE(52)).toBe(64);
    expect([file.readBigUInt64LE(40), file.readUInt16LE(60)]).toEqual([0n, 0]);
  });

  test("has its interpreter as text that nobody writes to, and begins at the entry point", () => {
    const text = segments.find(({ flags }) => flags === (read | execute));
    expect(text).toMatchObject({ type: load, offset: 0 });
    const entry = Number(file.readBigUInt64LE(24)) - (text?.address ?? 0);
    expect(file.subarray(entry, entry + 16)).toEqual(
      code.subarray(machineCode[architecture].start, machineCode[architecture].start + 16),
    );
    expect(text?.fileSize).toBe(entry - machineCode[architecture].start + code.length);
  });

  test("has the plan as data at the address that it was encoded for", () => {
    const data = segments.find(({ type, flags }) => type === load && flags === (read | write));
    expect(data).toMatchObject({ address: stubDataAddress, fileSize: plan.length, memorySize: plan.length });
    const { offset = 0 } = data ?? {};
    expect(file.subarray(offset, offset + plan.length)).toEqual(Buffer.from(plan));
  });

  test("can be mapped with pages of up to 64 KiB, and has no executable stack", () => {
    for (const { type, address, offset, alignment } of segments) {
      if (type !== load) continue;
      expect(alignment).toBe(0x1_0000);
      expect(address % alignment).toBe(offset % alignment);
    }
    expect(segments.find(({ type }) => type === gnuStack)?.flags).toBe(read | write);
    expect(segments).toHaveLength(3);
  });
});
