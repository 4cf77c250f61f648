import { expect, test } from "bun:test";
import { defaultSeccomp } from "../../../../src/container/seccomp-profile.ts";
import { defaultCapabilities } from "../../../../src/linux/capabilities.ts";
import { compileProgram, compileSeccomp } from "../../../../src/runtime/seccomp/compile.ts";
import { precompiledProgram } from "../../../../src/runtime/seccomp/precompiled.ts";

const kernel = { major: 6, minor: 18 };

for (const architecture of ["x86_64", "aarch64"] as const) {
  const seccomp = defaultSeccomp({ capabilities: defaultCapabilities, architecture, kernel });

  test(`the carried program is what the compiler makes (else run scripts/precompile-seccomp.ts): ${architecture}`, () => {
    const carried = precompiledProgram(seccomp, architecture);
    expect(carried?.toBase64()).toBe(compileProgram(seccomp, architecture).toBase64());
    expect(compileSeccomp(seccomp, { architecture }).program.toBase64()).toBe(carried?.toBase64() as string);
  });

  test(`it is found after a way through JSON, and for no other configuration: ${architecture}`, () => {
    const copy = structuredClone(seccomp);
    expect(precompiledProgram(JSON.parse(JSON.stringify(seccomp)), architecture)).toBeDefined();
    expect(precompiledProgram(seccomp, architecture === "x86_64" ? "aarch64" : "x86_64")).toBeUndefined();
    const [first, second] = copy.syscalls ?? [];
    first?.names.push("keyctl");
    expect(precompiledProgram(copy, architecture)).toBeUndefined();
    first?.names.pop();
    expect(precompiledProgram(copy, architecture)).toBeDefined();
    if (second !== undefined) second.errnoRet = 1;
    expect(precompiledProgram(copy, architecture)).toBeUndefined();
  });
}
