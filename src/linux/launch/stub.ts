import type { Architecture } from "../arch.ts";
import { machineCode } from "./machine-code.ts";

/** Where the stub's plan lies in its memory; machine-code/*.S know this address too. */
export const stubDataAddress = 0x2000_0000;

const textAddress = 0x1000_0000;
/** The largest page of the supported architectures (arm64 with 64 KiB pages): the data begins on a page of its own. */
const dataOffset = 0x1_0000;
const elfHeaderSize = 64;
const programHeaderSize = 56;
const codeOffset = 0x100;

const machines: Record<Architecture, number> = { x86_64: 62, aarch64: 183 };
const segment = { load: 1, stack: 0x6474_e551 } as const;
const permission = { execute: 1, write: 2, read: 4 } as const;

/** A part of a file: the bytes, and where they go. What lies between parts is a hole. */
export interface FilePart {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A static ELF executable that runs an encoded plan: the interpreter as its text, the plan as its data. It has no
 * interpreter, no libraries and no relocations, so nothing of the file system it starts in can change what it does.
 * elf(5)
 * @param plan encoded for {@link stubDataAddress}
 */
export function stubExecutable(architecture: Architecture, plan: Uint8Array): FilePart[] {
  const { hex, start } = machineCode[architecture];
  const code = Buffer.from(hex, "hex");
  const head = Buffer.alloc(codeOffset);
  head.write("\x7fELF\x02\x01\x01", 0, "latin1");
  head.writeUInt16LE(2, 16); // ET_EXEC
  head.writeUInt16LE(machines[architecture], 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(BigInt(textAddress + codeOffset + start), 24);
  head.writeBigUInt64LE(BigInt(elfHeaderSize), 32);
  head.writeUInt16LE(elfHeaderSize, 52);
  head.writeUInt16LE(programHeaderSize, 54);
  head.writeUInt16LE(3, 56);
  const textSize = codeOffset + code.length;
  writeSegment(head, 0, segment.load, permission.read | permission.execute, 0, textAddress, textSize);
  writeSegment(head, 1, segment.load, permission.read | permission.write, dataOffset, stubDataAddress, plan.length);
  writeSegment(head, 2, segment.stack, permission.read | permission.write, 0, 0, 0);
  return [
    { offset: 0, bytes: Buffer.concat([head, code]) },
    { offset: dataOffset, bytes: plan },
  ];
}

function writeSegment(
  head: Buffer,
  index: number,
  type: number,
  flags: number,
  offset: number,
  address: number,
  size: number,
): void {
  const at = elfHeaderSize + index * programHeaderSize;
  head.writeUInt32LE(type, at);
  head.writeUInt32LE(flags, at + 4);
  head.writeBigUInt64LE(BigInt(offset), at + 8);
  head.writeBigUInt64LE(BigInt(address), at + 16);
  head.writeBigUInt64LE(BigInt(address), at + 24);
  head.writeBigUInt64LE(BigInt(size), at + 32);
  head.writeBigUInt64LE(BigInt(size), at + 40);
  head.writeBigUInt64LE(BigInt(dataOffset), at + 48);
}
