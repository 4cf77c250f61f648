import { expect, test } from "bun:test";
import { join } from "node:path";
import { assembleAll, assemblersInstalled, renderMachineCode } from "../../../../scripts/lib/assembler.ts";
import { machineCode } from "../../../../src/linux/launch/machine-code.ts";

const directory = join(import.meta.dir, "../../../../src/linux/launch");
const canAssemble = assemblersInstalled();
if (!canAssemble) console.warn("skipped: the assemblers for both architectures are not installed");

test.skipIf(!canAssemble)("the machine code is what its sources assemble to", async () => {
  const assembled = await assembleAll(join(directory, "machine-code"));
  expect(renderMachineCode(assembled)).toBe(await Bun.file(join(directory, "machine-code.ts")).text());
});

test("the stub's entry point lies inside the code, and the code in the page that is mapped for it", () => {
  for (const { start, hex } of Object.values(machineCode)) {
    expect(hex).toMatch(/^([0-9a-f]{2})+$/);
    expect(start % 16).toBe(0);
    expect(start).toBeLessThan(hex.length / 2);
    expect(hex.length / 2).toBeLessThan(0x1000);
  }
});
