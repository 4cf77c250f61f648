/**
 * Assembles src/linux/launch/machine-code/*.S and writes the bytes to machine-code.ts beside them. Needs binutils for
 * both architectures (Debian: binutils, binutils-aarch64-linux-gnu). The unit test assembles again and compares.
 */
import { assembleAll, renderMachineCode } from "./lib/assembler.ts";

const directory = `${import.meta.dir}/../src/linux/launch`;
await Bun.write(`${directory}/machine-code.ts`, renderMachineCode(await assembleAll(`${directory}/machine-code`)));
