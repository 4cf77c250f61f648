import { expect, test } from "bun:test";
import { Assembler, register } from "../../../src/linux/bpf.ts";
import { runEbpf } from "../../helpers/ebpf.ts";

const context = new Uint8Array([0x02, 0x00, 0x05, 0x00, 0x88, 0, 0, 0]);

test("instructions have the encoding of RFC 9669", () => {
  const program = new Assembler();
  const end = program.label();
  program.loadWord(register(2), register(1), 4);
  program.copy(register(3), register(2));
  program.shiftRight(register(3), 16);
  program.and(register(2), 0xffff);
  program.jumpUnlessEqual(register(2), 136, end);
  program.jumpIfAnyBit(register(3), 6, end);
  program.jump(end);
  program.set(register(0), 1);
  program.place(end);
  program.exit();
  const words = Buffer.from(program.assemble()).toString("hex").match(/.{16}/g);
  expect(words).toEqual([
    "6112040000000000",
    "bc23000000000000",
    "7403000010000000",
    "54020000ffff0000",
    "5502030088000000",
    "4503020006000000",
    "0500010000000000",
    "b400000001000000",
    "9500000000000000",
  ]);
});

test("jumps lead to their labels", () => {
  const program = new Assembler();
  const [yes, no] = [program.label(), program.label()];
  program.loadWord(register(2), register(1), 0);
  program.copy(register(3), register(2));
  program.shiftRight(register(3), 16);
  program.jumpIfAnyBit(register(3), 4, yes);
  program.jump(no);
  program.place(yes);
  program.set(register(0), 7);
  program.exit();
  program.place(no);
  program.set(register(0), 9);
  program.exit();
  const bytes = program.assemble();
  expect(runEbpf(bytes, context)).toBe(7);
  expect(runEbpf(bytes, new Uint8Array([0, 0, 3, 0]))).toBe(9);
});

test("a label that is never placed is a mistake of the program's author", () => {
  const program = new Assembler();
  program.jump(program.label());
  expect(() => program.assemble()).toThrow("never placed");
});

test("a jump further than 16 bits tell is refused", () => {
  const program = new Assembler();
  const end = program.label();
  program.jump(end);
  for (let count = 0; count < 0x8000; count++) program.exit();
  program.place(end);
  expect(() => program.assemble()).toThrow(RangeError);
});
