import { describe, expect, test } from "bun:test";
import { parseSeccompProfile, readSeccompProfile } from "../../../src/container/seccomp-profile-file.ts";
import { applyProfile, type SeccompHost } from "../../../src/container/seccomp-profile-rules.ts";
import { defaultSeccomp, seccompFromFile } from "../../../src/container/seccomp-profile.ts";
import { defaultCapabilities } from "../../../src/linux/capabilities.ts";
import { type SyscallAbi, syscallTable } from "../../../src/linux/syscalls.ts";
import type { Seccomp } from "../../../src/oci/runtime-spec.ts";
import { InvalidDocumentError, UsageError } from "../../../src/util/errors.ts";

const host: SeccompHost = {
  capabilities: defaultCapabilities,
  architecture: "x86_64",
  kernel: { major: 6, minor: 18 },
};

function allowedNames(seccomp: Seccomp): Set<string> {
  const rules = (seccomp.syscalls ?? []).filter(({ action }) => action === "SCMP_ACT_ALLOW");
  return new Set(rules.flatMap(({ names }) => names));
}

describe("the default profile", () => {
  test("is Docker's: EPERM, three architectures, no flags", () => {
    const { syscalls, ...rest } = defaultSeccomp(host);
    expect(rest).toEqual({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 1,
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    });
    expect(syscalls?.[0]?.names.length).toBe(360);
    expect(defaultSeccomp({ ...host, architecture: "aarch64" }).architectures).toEqual([
      "SCMP_ARCH_AARCH64",
      "SCMP_ARCH_ARM",
    ]);
  });

  test("names calls that exist", () => {
    const abis: SyscallAbi[] = ["x86_64", "i386", "x32", "aarch64", "arm"];
    const capabilities = [...defaultCapabilities, "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_TIME", "CAP_SYS_NICE"];
    for (const architecture of ["x86_64", "aarch64"] as const) {
      const names = allowedNames(defaultSeccomp({ ...host, capabilities, architecture }));
      expect([...names].filter((name) => !abis.some((abi) => syscallTable(abi).has(name)))).toEqual([]);
    }
  });

  test("opens calls with their capability", () => {
    const opened: [string, string][] = [
      ["CAP_DAC_READ_SEARCH", "open_by_handle_at"],
      ["CAP_SYS_ADMIN", "mount"],
      ["CAP_SYS_BOOT", "reboot"],
      ["CAP_SYS_CHROOT", "chroot"],
      ["CAP_SYS_MODULE", "finit_module"],
      ["CAP_SYS_PACCT", "acct"],
      ["CAP_SYS_PTRACE", "pidfd_getfd"],
      ["CAP_SYS_RAWIO", "iopl"],
      ["CAP_SYS_TIME", "clock_settime"],
      ["CAP_SYS_TTY_CONFIG", "vhangup"],
      ["CAP_SYS_NICE", "mbind"],
      ["CAP_SYSLOG", "syslog"],
      ["CAP_BPF", "bpf"],
      ["CAP_PERFMON", "perf_event_open"],
    ];
    for (const [capability, name] of opened) {
      expect(allowedNames(defaultSeccomp({ ...host, capabilities: [] })).has(name)).toBe(false);
      expect(allowedNames(defaultSeccomp({ ...host, capabilities: [capability] })).has(name)).toBe(true);
    }
  });

  test("depends on architecture and kernel where they differ", () => {
    const arm = allowedNames(defaultSeccomp({ ...host, architecture: "aarch64" }));
    const x86 = allowedNames(defaultSeccomp(host));
    expect([arm.has("arch_prctl"), arm.has("cacheflush")]).toEqual([false, true]);
    expect([x86.has("arch_prctl"), x86.has("cacheflush")]).toEqual([true, false]);
    expect(x86.has("ptrace")).toBe(true);
    expect(allowedNames(defaultSeccomp({ ...host, kernel: { major: 4, minor: 7 } })).has("ptrace")).toBe(false);
  });
});

describe("a profile of the user's", () => {
  const parse = (document: unknown) => parseSeccompProfile(JSON.stringify(document), "own.json");

  test("is read whole", () => {
    const profile = parse({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: null }],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      listenerPath: "/run/listener",
      listenerMetadata: "x",
      comment: "ignored",
      syscalls: [
        { name: "read", action: "SCMP_ACT_ALLOW", args: [], comment: "old form" },
        {
          names: ["write"],
          action: "SCMP_ACT_ERRNO",
          errno: "EACCES",
          args: [{ index: 1, value: 2, op: "SCMP_CMP_EQ" }],
        },
      ],
    });
    expect(applyProfile(profile, host)).toEqual({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      architectures: ["SCMP_ARCH_X86_64"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      listenerPath: "/run/listener",
      listenerMetadata: "x",
      syscalls: [
        { names: ["read"], action: "SCMP_ACT_ALLOW" },
        {
          names: ["write"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 13,
          args: [{ index: 1, value: 2, valueTwo: 0, op: "SCMP_CMP_EQ" }],
        },
      ],
    });
  });

  test("keeps 64-bit values exact", () => {
    const text = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG",
      "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 18446744073709551615}]}]}`;
    expect(parseSeccompProfile(text, "own.json").syscalls[0]?.args?.[0]?.value).toBe(0xffffffffffffffffn);
  });

  test("has rules that count where all of includes and none of excludes holds", () => {
    const applies = (filters: object, where: Partial<SeccompHost> = {}) => {
      const rule = { names: ["read"], action: "SCMP_ACT_ALLOW", ...filters };
      const profile = parse({ defaultAction: "SCMP_ACT_ERRNO", syscalls: [rule] });
      return applyProfile(profile, { ...host, ...where }).syscalls?.length === 1;
    };
    expect(applies({ includes: {}, excludes: {} })).toBe(true);
    expect(applies({ includes: { caps: ["CAP_CHOWN", "CAP_KILL"] } })).toBe(true);
    expect(applies({ includes: { caps: ["CAP_CHOWN", "CAP_SYS_ADMIN"] } })).toBe(false);
    expect(applies({ excludes: { caps: ["CAP_SYS_ADMIN", "CAP_CHOWN"] } })).toBe(false);
    expect(applies({ includes: { arches: ["arm64", "amd64"] } })).toBe(true);
    expect(applies({ includes: { arches: ["arm64"] } })).toBe(false);
    expect(applies({ excludes: { arches: ["arm64"] } }, { architecture: "aarch64" })).toBe(false);
    expect(applies({ includes: { minKernel: "6.18" } })).toBe(true);
    expect(applies({ includes: { minKernel: "6.19" } })).toBe(false);
    expect(applies({ includes: { minKernel: "5.99" } })).toBe(true);
    expect(applies({ excludes: { minKernel: "4.8" } })).toBe(false);
    expect(applies({ includes: { minKernel: "" } })).toBe(true);
  });

  const rule = { names: ["read"], action: "SCMP_ACT_ALLOW" };
  const wrong: [string, unknown, string][] = [
    ["no object", [], "the profile must be an object"],
    ["no default", {}, "defaultAction is missing"],
    ["an unknown default", { defaultAction: "DENY" }, 'unknown seccomp action "DENY"'],
    ["a default's errno for ALLOW", { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 }, "takes no errnoRet"],
    [
      "two lists of architectures",
      {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86"],
        archMap: [{ architecture: "SCMP_ARCH_X86_64" }],
      },
      "both architectures and archMap",
    ],
  ];
  const wrongRules: [string, object, string][] = [
    ["both names", { ...rule, name: "write" }, "syscalls[1]: it has both name and names"],
    ["no names", { action: "SCMP_ACT_ALLOW" }, "syscalls[1]: names is missing or empty"],
    ["no action", { names: ["read"] }, "syscalls[1]: action must be a string, not missing"],
    ["an unknown errno", { names: ["read"], action: "SCMP_ACT_ERRNO", errno: "EWHAT" }, 'errno is unknown: "EWHAT"'],
    ["a kernel that is none", { ...rule, includes: { minKernel: "4.8.1" } }, 'must be like "4.8"'],
    [
      "argument 6",
      { ...rule, args: [{ index: 6, op: "SCMP_CMP_EQ", value: 1 }] },
      "syscalls[1]: args[0]: a system call",
    ],
    ["a text as value", { ...rule, args: [{ index: 0, op: "SCMP_CMP_EQ", value: "1" }] }, "value must be a number"],
    ["an unknown operator", { ...rule, args: [{ index: 0, op: "EQ", value: 1 }] }, 'unknown seccomp operator "EQ"'],
  ];
  for (const [what, bad, text] of wrongRules) {
    wrong.push([what, { defaultAction: "SCMP_ACT_ERRNO", syscalls: [rule, bad] }, text]);
  }
  for (const [what, document, text] of wrong) {
    test(`is refused, with the place, for ${what}`, () => {
      expect(() => parse(document)).toThrow(InvalidDocumentError);
      expect(() => parse(document)).toThrow("the seccomp profile own.json is wrong: ");
      expect(() => parse(document)).toThrow(text);
    });
  }

  test("is refused when it is no JSON, or not there", () => {
    expect(() => parseSeccompProfile("{", "own.json")).toThrow("own.json is wrong: not JSON");
    expect(() => readSeccompProfile("/no/such/profile.json")).toThrow(UsageError);
    expect(seccompFromFile("/no/such/profile.json", host)).rejects.toThrow("/no/such/profile.json cannot be read");
  });
});
