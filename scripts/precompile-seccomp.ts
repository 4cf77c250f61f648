/** Writes the seccomp programs that gocker carries ready-made: to be run when the default profile or the compiler changes. */
import { defaultSeccomp } from "../src/container/seccomp-profile.ts";
import { defaultCapabilities } from "../src/linux/capabilities.ts";
import { compileProgram } from "../src/runtime/seccomp/compile.ts";
import { fingerprint } from "../src/runtime/seccomp/precompiled.ts";

const entries = (["x86_64", "aarch64"] as const).map((architecture) => {
  // Any kernel that gocker runs on: the profile makes no difference between them.
  const kernel = { major: 5, minor: 10 };
  const seccomp = defaultSeccomp({ capabilities: defaultCapabilities, architecture, kernel });
  const lines =
    compileProgram(seccomp, architecture)
      .toBase64()
      .match(/.{1,100}/g) ?? [];
  const program = lines.map((line) => `      "${line}"`).join(" +\n");
  return `  ${architecture}: {\n    fingerprint: "${fingerprint(seccomp)}",\n    program:\n${program},\n  },\n`;
});

const text = `import type { Architecture } from "../../linux/arch.ts";

/** Made by scripts/precompile-seccomp.ts: Docker's default profile with Docker's default capabilities. */
export const precompiledPrograms: Readonly<
  Record<Architecture, { readonly fingerprint: string; readonly program: string }>
> = {
${entries.join("")}};
`;
await Bun.write(new URL("../src/runtime/seccomp/precompiled-programs.ts", import.meta.url), text);
