import { randomNumbers } from "../../../helpers/random-numbers.ts";
import { describe, expect, test } from "bun:test";
import { defaultSeccomp } from "../../../../src/container/seccomp-profile.ts";
import type { Architecture } from "../../../../src/linux/arch.ts";
import { capabilityNames, defaultCapabilities } from "../../../../src/linux/capabilities.ts";
import { syscallTable } from "../../../../src/linux/syscalls.ts";
import type { Seccomp, SeccompArg, SeccompOperator, SeccompSyscall } from "../../../../src/oci/runtime-spec.ts";
import { compileProgram, compileSeccomp } from "../../../../src/runtime/seccomp/compile.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";
import { writeExactJson } from "../../../helpers/exact-json.ts";
import { auditArchitectures, checkFilter, runFilter, type SyscallData } from "../../../helpers/bpf.ts";
import { expectedActions } from "../../../helpers/seccomp-oracle.ts";

const allow = 0x7fff0000;
const eperm = 0x50001;
const enosys = 0x50026;
const killProcess = 0x80000000;
const kernel = { major: 6, minor: 18 };

/** A call of x86-64. */
function call(name: string, ...args: (number | bigint)[]): SyscallData {
  const number = syscallTable("x86_64").get(name) as number;
  return { architecture: auditArchitectures.x86_64, number, args: args.map(BigInt) };
}

function i386(name: string, ...args: number[]): SyscallData {
  const number = syscallTable("i386").get(name) as number;
  return { architecture: auditArchitectures.i386, number, args: args.map(BigInt) };
}

function compile(syscalls: SeccompSyscall[], more: Partial<Seccomp> = {}): Uint8Array {
  const seccomp: Seccomp = { defaultAction: "SCMP_ACT_ERRNO", syscalls, ...more };
  const { program } = compileSeccomp(seccomp, { architecture: "x86_64" });
  checkFilter(program);
  return program;
}

function permit(name: string, ...args: SeccompArg[]): SeccompSyscall {
  return { names: [name], action: "SCMP_ACT_ALLOW", args };
}

function arg(index: number, op: SeccompOperator, value: number | bigint, valueTwo?: number | bigint): SeccompArg {
  return { index, op, value, ...(valueTwo !== undefined && { valueTwo }) };
}

const interfaces: Readonly<Record<Architecture, readonly number[]>> = {
  x86_64: [auditArchitectures.x86_64, auditArchitectures.i386, auditArchitectures.aarch64],
  aarch64: [auditArchitectures.aarch64, auditArchitectures.arm, auditArchitectures.x86_64],
};

/** Every number of the tables with some above, of every ABI, and the numbers around the limits. */
const numbers = [
  ...Array.from({ length: 600 }, (_, number) => number),
  ...Array.from({ length: 600 }, (_, number) => 0x40000000 + number),
  ...Array.from({ length: 10 }, (_, number) => 0xf0000 + number),
  0x3fffffff,
  0x7fffffff,
  0x80000000,
  0xfffffffe,
  0xffffffff,
];

/** Compares the program with the oracle for all numbers; `skip` leaves out what only other tests cover. */
function compareWithOracle(seccomp: Seccomp, host: Architecture, samples: readonly bigint[][]): void {
  const program = compileProgram(seccomp, host);
  const expectedAction = expectedActions(seccomp, host);
  checkFilter(program);
  const multiplexers = new Set(["socketcall", "ipc"].map((name) => syscallTable("i386").get(name)));
  for (const architecture of interfaces[host]) {
    for (const number of numbers) {
      if (architecture === auditArchitectures.i386 && multiplexers.has(number)) continue;
      for (const args of samples) {
        const data = { architecture, number, args };
        const actual = runFilter(program, data);
        const expected = expectedAction(data);
        if (actual !== expected) {
          const what = `${architecture.toString(16)} ${number} (${args.join(", ")}) of ${writeExactJson(seccomp)}`;
          throw new Error(`${what}: 0x${actual.toString(16)} instead of 0x${expected.toString(16)}`);
        }
      }
    }
  }
}

describe("the default profile", () => {
  const capabilitySets = { default: defaultCapabilities, none: [], all: capabilityNames };
  for (const architecture of ["x86_64", "aarch64"] as const) {
    for (const [name, capabilities] of Object.entries(capabilitySets)) {
      test(`decides every call as its rules say: ${architecture}, ${name} capabilities`, () => {
        const seccomp = defaultSeccomp({ capabilities, architecture, kernel });
        const samples = [[0n], [38n], [39n], [40n], [45n], [0xffffffffn], [0x10000000n], [(1n << 32n) + 38n]];
        compareWithOracle(seccomp, architecture, samples);
      });
    }
  }

  test("refuses AF_ALG and AF_VSOCK also with rubbish in the upper half of the argument", () => {
    const { program } = compileSeccomp(
      defaultSeccomp({ capabilities: defaultCapabilities, architecture: "x86_64", kernel }),
      { architecture: "x86_64" },
    );
    for (const family of [38n, 40n, (1n << 32n) + 38n, (1n << 63n) + 40n, 0xffffffff00000026n]) {
      expect(runFilter(program, call("socket", family))).toBe(eperm);
    }
    for (const family of [1, 2, 10, 16, 17, 37, 39, 41, 44, 45]) {
      expect(runFilter(program, call("socket", family))).toBe(allow);
    }
  });

  test("opens clone's namespaces, mount and bpf with CAP_SYS_ADMIN only", () => {
    const programFor = (capabilities: readonly string[]) =>
      compileSeccomp(defaultSeccomp({ capabilities, architecture: "x86_64", kernel }), { architecture: "x86_64" })
        .program;
    const plain = programFor(defaultCapabilities);
    const admin = programFor([...defaultCapabilities, "CAP_SYS_ADMIN"]);
    const newUser = call("clone", 0x10000000 | 17);
    for (const forbidden of [newUser, call("mount"), call("bpf"), call("unshare"), call("setns")]) {
      expect(runFilter(plain, forbidden)).toBe(eperm);
      expect(runFilter(admin, forbidden)).toBe(allow);
    }
    expect(runFilter(plain, call("clone", 17))).toBe(allow);
    expect(runFilter(plain, call("clone3"))).toBe(enosys);
    expect(runFilter(admin, call("clone3"))).toBe(allow);
  });
});

describe("properties", () => {
  const operators: SeccompOperator[] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
  ];
  const interesting = [
    0n,
    1n,
    2n,
    0x7fffffffn,
    0x80000000n,
    0xffffffffn,
    1n << 32n,
    (1n << 32n) + 1n,
    (1n << 63n) - 1n,
  ];
  const outside = [...interesting, 1n << 63n, (1n << 64n) - 2n, (1n << 64n) - 1n];
  const actions = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRAP",
  ] as const;

  function randomProfile(random: (below: number) => number, host: Architecture): Seccomp {
    const pick = <Value>(list: readonly Value[]): Value => list[random(list.length)] as Value;
    const names = [
      ...syscallTable(host).keys(),
      ...syscallTable(host === "x86_64" ? "i386" : "arm").keys(),
      "no_such_call",
    ];
    const some = names.filter((name) => name !== "socketcall" && name !== "ipc" && random(4) !== 0);
    const rules = Array.from({ length: 1 + random(40) }, (): SeccompSyscall => {
      const conditions = Array.from({ length: random(4) }, () =>
        arg(random(3), pick(operators), pick(outside), pick(outside)),
      );
      const count = conditions.length > 0 ? 1 + random(4) : 1 + random(60);
      const action = pick(actions);
      return {
        names: Array.from({ length: count }, () => pick(some)),
        action,
        ...(action === "SCMP_ACT_ERRNO" && random(2) === 0 && { errnoRet: random(200) }),
        args: conditions,
      };
    });
    const all = host === "x86_64" ? ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] : ["SCMP_ARCH_ARM"];
    return {
      defaultAction: pick(actions),
      architectures: all.filter(() => random(2) === 0),
      syscalls: rules,
    };
  }

  for (const host of ["x86_64", "aarch64"] as const) {
    test(`random profiles mean the same to the program and to the rules: ${host}`, () => {
      for (let seed = 1; seed <= 12; seed++) {
        const random = randomNumbers(seed);
        const samples = Array.from({ length: 6 }, () =>
          Array.from({ length: 3 }, () => outside[random(outside.length)] as bigint),
        );
        compareWithOracle(randomProfile(random, host), host, samples);
      }
    });
  }

  test("each operator compares 64 bits, whatever lies around the value", () => {
    for (const op of operators) {
      for (const value of interesting) {
        for (const valueTwo of op === "SCMP_CMP_MASKED_EQ" ? interesting : [0n]) {
          const seccomp: Seccomp = {
            defaultAction: "SCMP_ACT_ERRNO",
            syscalls: [permit("read", arg(5, op, value, valueTwo))],
          };
          const program = compileProgram(seccomp, "x86_64");
          const expected = expectedActions(seccomp, "x86_64");
          for (const near of outside.flatMap((base) => [base - 1n, base, base + 1n])) {
            const data = call("read", 0, 0, 0, 0, 0, BigInt.asUintN(64, near));
            expect(runFilter(program, data)).toBe(expected(data));
          }
        }
      }
    }
  });

  test("jumps farther than 255 instructions, and up to the kernel's limit", () => {
    const names = [...syscallTable("x86_64").keys()];
    const rules = names.flatMap((name, index) => (index % 4 === 0 ? [permit(name, arg(0, "SCMP_CMP_EQ", index))] : []));
    const seccomp: Seccomp = { defaultAction: "SCMP_ACT_ERRNO", syscalls: rules };
    const program = compileProgram(seccomp, "x86_64");
    expect(program.length / 8).toBeGreaterThan(400);
    compareWithOracle(seccomp, "x86_64", [[0n], [4n], [100n]]);

    const many = names.map((name) =>
      permit(name, arg(0, "SCMP_CMP_EQ", 1), arg(1, "SCMP_CMP_EQ", 2), arg(2, "SCMP_CMP_GT", 3)),
    );
    expect(() => compile(many)).toThrow("4096 instructions");
  });
});

describe("rules", () => {
  test("a plain rule wins over conditional ones before and after it", () => {
    const program = compile([
      { names: ["chmod"], action: "SCMP_ACT_TRAP", args: [arg(1, "SCMP_CMP_EQ", 7)] },
      permit("chmod"),
      { names: ["chmod"], action: "SCMP_ACT_LOG", args: [arg(1, "SCMP_CMP_EQ", 8)] },
    ]);
    for (const mode of [6, 7, 8]) expect(runFilter(program, call("chmod", 0, mode))).toBe(allow);
  });

  test("a rule that repeats the default changes nothing, but its call is known", () => {
    const program = compile([{ names: ["mseal"], action: "SCMP_ACT_ERRNO" }, permit("read")]);
    expect(runFilter(program, call("mseal"))).toBe(eperm);
    expect(runFilter(program, call("setxattrat"))).toBe(enosys);
  });

  test("conditions on different arguments must all hold, on the same argument one of them", () => {
    const all = compile([permit("socket", arg(0, "SCMP_CMP_EQ", 16), arg(2, "SCMP_CMP_NE", 9))]);
    expect(runFilter(all, call("socket", 16, 3, 0))).toBe(allow);
    expect(runFilter(all, call("socket", 16, 3, 9))).toBe(eperm);
    expect(runFilter(all, call("socket", 2, 3, 0))).toBe(eperm);
    const either = compile([permit("socket", arg(0, "SCMP_CMP_EQ", 1), arg(0, "SCMP_CMP_EQ", 2))]);
    expect(runFilter(either, call("socket", 1))).toBe(allow);
    expect(runFilter(either, call("socket", 2))).toBe(allow);
    expect(runFilter(either, call("socket", 3))).toBe(eperm);
  });

  test("calls newer than the profile get ENOSYS unless the default lets them through", () => {
    const newer = { architecture: auditArchitectures.x86_64, number: 999 };
    expect(runFilter(compile([permit("openat2")]), newer)).toBe(enosys);
    expect(runFilter(compile([permit("openat2")], { defaultAction: "SCMP_ACT_KILL_PROCESS" }), newer)).toBe(enosys);
    const logged = compile([{ names: ["openat2"], action: "SCMP_ACT_TRAP" }], { defaultAction: "SCMP_ACT_LOG" });
    expect(runFilter(logged, newer)).toBe(0x7ffc0000);
    expect(runFilter(compile([permit("no_such_call")]), newer)).toBe(eperm);
  });

  test("actions carry their data", () => {
    const program = compile([
      { names: ["read"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
      { names: ["write"], action: "SCMP_ACT_TRACE", errnoRet: 0xffff },
      { names: ["open"], action: "SCMP_ACT_TRACE" },
      { names: ["close"], action: "SCMP_ACT_KILL" },
      { names: ["stat"], action: "SCMP_ACT_KILL_THREAD" },
      { names: ["fstat"], action: "SCMP_ACT_KILL_PROCESS" },
      { names: ["lstat"], action: "SCMP_ACT_NOTIFY" },
    ]);
    const values = ["read", "write", "open", "close", "stat", "fstat", "lstat"].map((name) =>
      runFilter(program, call(name)),
    );
    expect(values).toEqual([0x50026, 0x7ff0ffff, 0x7ff00001, 0, 0, killProcess, 0x7fc00000]);
  });

  test("unlisted architectures are killed, but not a call that a tracer has made -1", () => {
    const program = compile([permit("read")]);
    expect(runFilter(program, i386("read"))).toBe(killProcess);
    expect(runFilter(program, { architecture: auditArchitectures.aarch64, number: 63 })).toBe(killProcess);
    expect(runFilter(program, { architecture: auditArchitectures.x86_64, number: 0x40000000 })).toBe(killProcess);
    expect(runFilter(program, { architecture: auditArchitectures.x86_64, number: 0xffffffff })).toBe(eperm);
    const x32 = compile([permit("read")], { architectures: ["SCMP_ARCH_X32", "SCMP_ARCH_S390X"] });
    expect(runFilter(x32, { architecture: auditArchitectures.x86_64, number: 0x40000000 })).toBe(allow);
  });
});

describe("i386's multiplexers", () => {
  const architectures = ["SCMP_ARCH_X86"];

  test("what a profile says of a call holds for it through socketcall and ipc too", () => {
    const program = compile([permit("connect"), permit("shmget")], { architectures });
    expect(runFilter(program, i386("socketcall", 3))).toBe(allow);
    expect(runFilter(program, i386("socketcall", 1))).toBe(eperm);
    expect(runFilter(program, i386("ipc", 23))).toBe(allow);
    expect(runFilter(program, i386("ipc", 24))).toBe(eperm);
  });

  test("what it says of the multiplexer itself comes first", () => {
    const program = compile([permit("socketcall"), { names: ["socket"], action: "SCMP_ACT_TRAP" }], { architectures });
    expect(runFilter(program, i386("socketcall", 1))).toBe(allow);
    expect(runFilter(program, i386("socket", 1))).toBe(0x30000);
  });

  test("a permission that depends on arguments is not given where they cannot be seen, a refusal is", () => {
    const permission = compile([permit("socket", arg(0, "SCMP_CMP_EQ", 1)), permit("connect")], { architectures });
    expect(runFilter(permission, i386("socketcall", 1))).toBe(eperm);
    const refusal = compile(
      [{ names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: 97, args: [arg(0, "SCMP_CMP_EQ", 38)] }],
      { architectures, defaultAction: "SCMP_ACT_ALLOW" },
    );
    expect(runFilter(refusal, i386("socketcall", 1))).toBe(0x50061);
    expect(runFilter(refusal, i386("socketcall", 3))).toBe(allow);
  });
});

describe("flags", () => {
  const flagsOf = (seccomp: Partial<Seccomp>) => compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", ...seccomp }).flags;

  test("are SPEC_ALLOW when absent, and what is asked for when present", () => {
    expect(flagsOf({})).toBe(4);
    expect(flagsOf({ flags: [] })).toBe(0);
    expect(flagsOf({ flags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"] })).toBe(2);
    expect(flagsOf({ flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] })).toBe(32);
  });

  test("a rule that notifies needs a listener, and no thread to synchronise with", () => {
    const syscalls: SeccompSyscall[] = [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }];
    expect(flagsOf({ syscalls, flags: [] })).toBe(8);
    expect(flagsOf({ syscalls, flags: ["SECCOMP_FILTER_FLAG_TSYNC"] })).toBe(8);
  });
});

describe("refused", () => {
  const read: SeccompSyscall = { names: ["read"], action: "SCMP_ACT_ALLOW" };
  const wrong: [string, Seccomp, string][] = [
    ["an unknown action", { defaultAction: "SCMP_ACT_MAYBE" as never }, "SCMP_ACT_MAYBE"],
    ["an action named like a method", { defaultAction: "toString" as never }, "toString"],
    ["NOTIFY as the default", { defaultAction: "SCMP_ACT_NOTIFY" }, "default"],
    [
      "NOTIFY of write",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mkdir", "write"], action: "SCMP_ACT_NOTIFY" }] },
      "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY cannot be used for the write syscall",
    ],
    ["an errno for ALLOW", { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 }, "errnoRet"],
    ["an errno out of range", { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 4096 }, "4096"],
    ["an unknown flag", { defaultAction: "SCMP_ACT_ALLOW", flags: ["FAST"] }, "FAST"],
    ["an unknown architecture", { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_Z80"] }, "SCMP_ARCH_Z80"],
    ["argument 6", { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ ...read, args: [arg(6, "SCMP_CMP_EQ", 0)] }] }, "6"],
    [
      "an unknown operator",
      { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ ...read, args: [arg(0, "==" as never, 0)] }] },
      "==",
    ],
    [
      "a negative value",
      { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ ...read, args: [arg(0, "SCMP_CMP_EQ", -1)] }] },
      "-1",
    ],
    [
      "a value that lost digits",
      { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ ...read, args: [arg(0, "SCMP_CMP_EQ", 2 ** 60)] }] },
      "2^64",
    ],
  ];
  for (const [what, seccomp, text] of wrong) {
    test(what, () => {
      const attempt = () => compileSeccomp(seccomp, { architecture: "x86_64" });
      expect(attempt).toThrow(InvalidDocumentError);
      expect(attempt).toThrow(text);
    });
  }
});
