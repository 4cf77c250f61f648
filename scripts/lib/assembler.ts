import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The text section of one source file, and where its entry points lie in it. */
export interface Assembled {
  readonly architecture: string;
  readonly bytes: Uint8Array;
  readonly start: number;
}

const architectures = ["x86_64", "aarch64"] as const;

/** Whether the assemblers for both architectures are installed. */
export function assemblersInstalled(): boolean {
  return architectures.every((architecture) => Bun.which(`${architecture}-linux-gnu-as`) !== null);
}

async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

async function assemble(directory: string, architecture: (typeof architectures)[number]): Promise<Assembled> {
  const prefix = `${architecture}-linux-gnu-`;
  const work = await mkdtemp(join(tmpdir(), "gocker-as-"));
  try {
    const object = join(work, "code.o");
    const text = join(work, "code.bin");
    await run([`${prefix}as`, join(directory, `${architecture}.S`), "-o", object]);
    await run([`${prefix}objcopy`, "-O", "binary", "-j", ".text", object, text]);
    const symbols = await run([`${prefix}nm`, object]);
    const start = /^([0-9a-f]+) t start$/m.exec(symbols)?.[1];
    if (start === undefined) throw new Error(`${architecture}.S has no label "start"`);
    return { architecture, bytes: await Bun.file(text).bytes(), start: Number.parseInt(start, 16) };
  } finally {
    await rm(work, { recursive: true });
  }
}

/** Assembles the sources of every architecture in `directory`. Throws with the assembler's own words. */
export function assembleAll(directory: string): Promise<Assembled[]> {
  return Promise.all(architectures.map((architecture) => assemble(directory, architecture)));
}

/** The TypeScript module that carries the assembled bytes. */
export function renderMachineCode(all: readonly Assembled[]): string {
  const entries = all.map(({ architecture, bytes, start }) => {
    const hex =
      Buffer.from(bytes)
        .toString("hex")
        .match(/.{1,112}/g) ?? [];
    const lines = hex.map((line) => `      "${line}"`).join(" +\n");
    return `  ${architecture}: {\n    start: ${start},\n    hex:\n${lines},\n  },`;
  });
  return `// Written by scripts/assemble.ts from machine-code/*.S: do not edit.
import type { Architecture } from "../arch.ts";

/** The interpreter of launch plans: \`spawn\` lies at 0, the stub's entry point at \`start\`. */
export const machineCode: Record<Architecture, { readonly start: number; readonly hex: string }> = {
${entries.join("\n")}
};
`;
}
