import { describe, expect, test } from "bun:test";
import { defaultSeccomp } from "../../src/container/seccomp-profile.ts";
import { hostArchitecture } from "../../src/linux/arch.ts";
import { defaultCapabilities } from "../../src/linux/capabilities.ts";
import { errnos } from "../../src/linux/errno.ts";
import { kernelVersion } from "../../src/linux/kernel.ts";
import { type SyscallAbi, type SyscallName, syscallNumber, syscallTable } from "../../src/linux/syscalls.ts";
import type { Seccomp } from "../../src/oci/runtime-spec.ts";
import { compileSeccomp } from "../../src/runtime/seccomp/compile.ts";
import { writeExactJson } from "../helpers/exact-json.ts";

type Call = [abi: SyscallAbi, number: number, ...args: (number | bigint)[]];

function own(name: SyscallName, ...args: (number | bigint)[]): Call {
  return [hostArchitecture, syscallNumber(name), ...args];
}

/** Makes calls under a filter, in a process of its own, and returns their results: -errno for a failed one. */
async function underFilter(seccomp: Seccomp, calls: Call[]) {
  const { program, flags } = compileSeccomp(seccomp);
  const task = { program: program.toBase64(), flags, architecture: hostArchitecture, calls };
  await using child = Bun.spawn(["python3", new URL("../helpers/apply-seccomp.py", import.meta.url).pathname], {
    stdin: Buffer.from(writeExactJson(task)),
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  const results = stdout === "" ? undefined : (JSON.parse(stdout) as number[]);
  return { results, stderr, signal: child.signalCode };
}

const profile = defaultSeccomp({
  capabilities: defaultCapabilities,
  architecture: hostArchitecture,
  kernel: kernelVersion(),
});

describe("the kernel, with the default profile", () => {
  test("refuses what leads out of a container", async () => {
    const refused: Call[] = [
      own("unshare", 0x10000000),
      own("mount", 0, 0, 0, 0, 0),
      own("bpf", 0, 0, 0),
      own("keyctl", 0, 0, 0),
      own("add_key", 0, 0, 0, 0, 0),
      own("init_module", 0, 0, 0),
      own("kexec_load", 0, 0, 0, 0),
      own("open_by_handle_at", 0, 0, 0),
      own("perf_event_open", 0, 0, 0, 0, 0),
      own("userfaultfd", 0),
      own("io_uring_setup", 1, 0),
      own("setns", 0, 0),
      own("reboot", 0, 0, 0, 0),
      own("settimeofday", 0, 0),
      own("clone", 0x10000000n, 0, 0, 0, 0),
      own("socket", 38, 5, 0),
      own("socket", (1n << 32n) + 38n, 5, 0),
      own("socket", 40, 1, 0),
      own("socket", (1n << 32n) + 40n, 1, 0),
      own("personality", 0x40000),
    ];
    const { results, stderr, signal } = await underFilter(profile, refused);
    expect({ results, stderr, signal }).toEqual({
      results: refused.map(() => -errnos.EPERM),
      stderr: "",
      signal: null,
    });
  });

  test("says of clone3 and of calls from the future that they do not exist", async () => {
    const unknown: Call[] = [own("clone3", 0, 0), own("listns", 0, 0, 0, 0), [hostArchitecture, 999]];
    const { results, stderr } = await underFilter(profile, unknown);
    expect({ results, stderr }).toEqual({ results: unknown.map(() => -errnos.ENOSYS), stderr: "" });
  });

  test("lets ordinary calls through", async () => {
    const { results, stderr } = await underFilter(profile, [
      own("getpid"),
      own("socket", 1, 1, 0),
      own("personality", 0xffffffff),
      own("openat", 0, 0, 0),
    ]);
    expect(stderr).toBe("");
    const [pid, socket, personality, open] = results ?? [];
    expect(pid).toBeGreaterThan(1);
    expect(socket).toBeGreaterThan(2);
    expect(personality).toBe(0);
    expect(open).toBe(-errnos.EFAULT);
  });
});

test("the kernel takes a program close to its limit, with jumps all over it", async () => {
  const value = 0xdead_0000_0000_beefn;
  const rules = [...syscallTable(hostArchitecture).keys()].map((name, index) => ({
    names: [name],
    action: "SCMP_ACT_ERRNO" as const,
    errnoRet: index + 1,
    args: [
      { index: 4, op: "SCMP_CMP_EQ" as const, value },
      { index: 5, op: "SCMP_CMP_EQ" as const, value: value + BigInt(index) },
    ],
  }));
  const seccomp: Seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: rules };
  const size = compileSeccomp(seccomp).program.length / 8;
  expect(size).toBeGreaterThan(3000);
  expect(size).toBeLessThan(4096);

  const position = rules.findIndex(({ names }) => names[0] === "getsid");
  const last = value + BigInt(position);
  const { results, stderr } = await underFilter(seccomp, [
    own("getsid", 0, 0, 0, 0, value, last),
    own("getsid", 0, 0, 0, 0, value, last + 1n),
    own("getsid", 0, 0, 0, 0, value, last & 0xffffffffn),
  ]);
  expect(stderr).toBe("");
  expect(results?.[0]).toBe(-(position + 1));
  expect(results?.[1]).toBeGreaterThanOrEqual(0);
  expect(results?.[2]).toBeGreaterThanOrEqual(0);
});

describe.skipIf(process.arch !== "x64")("32-bit calls of a 64-bit process", () => {
  const getpid: Call = ["i386", syscallTable("i386").get("getpid") as number];

  test("are judged by i386's numbers", async () => {
    // 310 is unshare on i386, and process_vm_readv, which is allowed, on x86-64.
    const unshare: Call = ["i386", syscallTable("i386").get("unshare") as number];
    const { results, stderr } = await underFilter(profile, [getpid, own("getpid"), unshare]);
    expect(stderr).toBe("");
    expect(results?.[0]).toBe(results?.[1] as number);
    expect(results?.[2]).toBe(-errnos.EPERM);
  });

  test("end the process where the profile does not list i386", async () => {
    const { results, signal } = await underFilter({ ...profile, architectures: ["SCMP_ARCH_X86_64"] }, [getpid]);
    expect({ results, signal }).toEqual({ results: undefined, signal: "SIGSYS" });
  });

  test("and so do x32's where it does not list x32", async () => {
    const x32: Call = ["x32", syscallTable("x32").get("getpid") as number];
    const { results, signal } = await underFilter({ ...profile, architectures: ["SCMP_ARCH_X86"] }, [x32]);
    expect({ results, signal }).toEqual({ results: undefined, signal: "SIGSYS" });
  });
});

describe("actions", () => {
  test("kill, trap and answer as they say", async () => {
    const filter = (action: "SCMP_ACT_KILL_PROCESS" | "SCMP_ACT_TRAP" | "SCMP_ACT_LOG"): Seccomp => ({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["getsid"], action }],
    });
    const outcome = async (seccomp: Seccomp) => (await underFilter(seccomp, [own("getsid", 0)])).signal;
    expect(await outcome(filter("SCMP_ACT_KILL_PROCESS"))).toBe("SIGSYS");
    expect(await outcome(filter("SCMP_ACT_TRAP"))).toBe("SIGSYS");
    expect(await outcome(filter("SCMP_ACT_LOG"))).toBeNull();
    const { results } = await underFilter(
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["getsid"], action: "SCMP_ACT_ERRNO", errnoRet: 99 }] },
      [own("getsid", 0)],
    );
    expect(results).toEqual([-99]);
  });
});
