import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { parseSeccompProfile } from "../../src/container/seccomp-profile-file.ts";
import { applyProfile } from "../../src/container/seccomp-profile-rules.ts";
import { defaultSeccomp } from "../../src/container/seccomp-profile.ts";
import { capabilityNames, defaultCapabilities } from "../../src/linux/capabilities.ts";
import { type SyscallAbi, syscallTable } from "../../src/linux/syscalls.ts";
import type { Seccomp } from "../../src/oci/runtime-spec.ts";
import { compileProgram } from "../../src/runtime/seccomp/compile.ts";
import { writeExactJson } from "../helpers/exact-json.ts";
import { auditArchitectures, runFilter } from "../helpers/bpf.ts";

/** The one that Debian's python3-seccomp is for, whatever stands first in PATH. */
const python = "/usr/bin/python3";
const podmanProfile = "/usr/share/containers/seccomp.json";
const ready =
  process.arch === "x64" &&
  existsSync(python) &&
  Bun.spawnSync([python, "-c", "import seccomp"], { stderr: "ignore" }).exitCode === 0;
if (!ready) console.warn("skipped: the comparison with libseccomp needs python3-seccomp on x86-64");

const kernel = { major: 6, minor: 18 };
const killThread = 0;
const killProcess = 0x80000000;

function compileWithLibseccomp(seccomp: Seccomp): { program: Uint8Array; unknown: Set<string> } {
  const script = new URL("../helpers/libseccomp.py", import.meta.url).pathname;
  const result = Bun.spawnSync([python, script], { stdin: Buffer.from(writeExactJson(seccomp)) });
  if (result.exitCode !== 0) throw new Error(result.stderr.toString());
  const { program, unknown } = JSON.parse(result.stdout.toString()) as { program: string; unknown: string[] };
  return { program: Uint8Array.fromBase64(program), unknown: new Set(unknown) };
}

const samples = [0n, 1n, 2n, 8n, 16n, 17n, 38n, 39n, 40n, 44n, 0x20008n, 0x10000000n, 0x7e020000n, 0xffffffffn].flatMap(
  (first) => [0n, 9n].map((third) => [first, 0n, third]),
);

/**
 * Where the two differ, over all calls of the tables. Left out is what this libseccomp has not heard of, and what is
 * newer than the profile: there gocker says ENOSYS, as runc does on top of libseccomp.
 */
function differences(seccomp: Seccomp): string[] {
  const { program: theirs, unknown } = compileWithLibseccomp(seccomp);
  const ours = compileProgram(seccomp, "x86_64");
  const mentioned = (seccomp.syscalls ?? []).flatMap(({ names }) => names);
  const found: string[] = [];
  const abis: [SyscallAbi, number][] = [
    ["x86_64", auditArchitectures.x86_64],
    ["x32", auditArchitectures.x86_64],
    ["i386", auditArchitectures.i386],
  ];
  for (const [abi, architecture] of abis) {
    const table = syscallTable(abi);
    const newest = Math.max(...mentioned.map((name) => table.get(name) ?? 0));
    for (const [name, number] of table) {
      if (unknown.has(`${abi} ${name}`) || number > newest) continue;
      for (const args of samples) {
        const call = { architecture, number, args };
        const [our, their] = [runFilter(ours, call), runFilter(theirs, call)];
        if (our !== their)
          found.push(`${abi} ${name}(${args.join(", ")}): ${our.toString(16)}, not ${their.toString(16)}`);
      }
    }
  }
  // Both end a program of another architecture; gocker ends all its threads.
  const foreign = { architecture: auditArchitectures.aarch64, number: 63 };
  if (runFilter(theirs, foreign) !== killThread || runFilter(ours, foreign) !== killProcess)
    found.push("foreign calls");
  return found;
}

describe.skipIf(!ready)("the same decisions as libseccomp", () => {
  const capabilitySets: [string, readonly string[]][] = [
    ["default capabilities", defaultCapabilities],
    ["no capabilities", []],
    ["all capabilities", capabilityNames],
  ];
  for (const [name, capabilities] of capabilitySets) {
    test.skipIf(!existsSync(podmanProfile))(`podman's profile, ${name}`, async () => {
      const profile = parseSeccompProfile(await Bun.file(podmanProfile).text(), podmanProfile);
      const seccomp = applyProfile(profile, { capabilities, architecture: "x86_64", kernel });
      expect(differences(seccomp)).toEqual([]);
    });

    test(`Docker's profile, ${name}`, () => {
      const seccomp = defaultSeccomp({ capabilities, architecture: "x86_64", kernel });
      expect(differences(seccomp)).toEqual([]);
    });
  }

  test("a profile of every operator", () => {
    const operators = ["NE", "LT", "LE", "EQ", "GE", "GT"] as const;
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
      syscalls: [
        ...operators.map((operator, index) => ({
          names: [["read", "write", "close", "dup", "dup2", "dup3"][index] as string],
          action: "SCMP_ACT_ALLOW" as const,
          args: [
            { index: 0, op: `SCMP_CMP_${operator}` as const, value: 38 },
            { index: 2, op: "SCMP_CMP_EQ" as const, value: 9 },
          ],
        })),
        {
          names: ["fcntl"],
          action: "SCMP_ACT_LOG",
          args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: 0x0c, valueTwo: 0xff08 }],
        },
      ],
    };
    expect(differences(seccomp)).toEqual([]);
  });
});
