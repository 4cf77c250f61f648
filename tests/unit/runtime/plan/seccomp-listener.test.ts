import { describe, expect, test } from "bun:test";
import { CLONE_NEWNS, CLONE_NEWPID } from "../../../../src/linux/constants.ts";
import type { Step } from "../../../../src/linux/launch/plan.ts";
import type { Process } from "../../../../src/oci/runtime-spec.ts";
import { buildExecPlan } from "../../../../src/runtime/plan/exec-plan.ts";
import { callsOf, minimalSpec, planOf, someFacts } from "../../../helpers/plan.ts";

/** Two instructions, and NEW_LISTENER. */
const notifying = { program: new Uint8Array(16), flags: 8 };
const [release, startFifo] = [30, 20];

/** What a container's plan does from the check of its program on until that is executed. */
function created(process: Partial<Process> = {}, change: { preservedDescriptors?: number; startFifo?: number } = {}) {
  const input = { seccomp: notifying, release, startFifo, diesWithParent: true, ...change };
  const { steps } = planOf(minimalSpec({}, process), input);
  const checked = steps.findLastIndex(({ label }) => label === "Live on when gocker leaves");
  const executed = steps.findIndex(({ syscall }) => syscall === "execve");
  return callsOf({ steps: steps.slice(checked, executed + 1) });
}

const handover = [
  expect.stringMatching(/^seccomp\(.*NEW_LISTENER/),
  expect.stringMatching(/^write\(‹status›/),
  expect.stringMatching(/^read\(30, /),
  expect.stringMatching(/^write\(‹status›/),
  "close(‹listener›)",
];

describe("a container that is created", () => {
  test("closes all that it can before its filter, and waits under it by reading", () => {
    expect(created({ noNewPrivileges: true })).toEqual([
      "prctl(PR_SET_PDEATHSIG, signal 0)",
      "close_range(3, 19, 0)",
      "close_range(21, 29, 0)",
      "close_range(31, ‹below status›, 0)",
      "close_range(‹above status›, ~0, 0)",
      ...handover,
      "close(30)",
      "close(‹status›)",
      expect.stringMatching(/^read\(20, /),
      expect.stringMatching(/^execve\("\/bin\/true"/),
    ]);
  });

  test("gives up its rights after its filter where only these permit that", () => {
    const calls = created();
    const filter = calls.findIndex((call) => call.startsWith("seccomp("));
    expect(calls.slice(filter)).toEqual([
      ...handover,
      expect.stringMatching(/^capset\(/),
      expect.stringMatching(/^prctl\(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL/),
      "close(30)",
      "close(‹status›)",
      expect.stringMatching(/^read\(20, /),
      expect.stringMatching(/^execve\("\/bin\/true"/),
    ]);
  });

  test("keeps what the caller hands on", () => {
    expect(created({}, { preservedDescriptors: 17 })[1]).toBe("close_range(21, 29, 0)");
    expect(created({}, { preservedDescriptors: 2, startFifo: 40 }).slice(1, 4)).toEqual([
      "close_range(5, 29, 0)",
      "close_range(31, 39, 0)",
      "close_range(41, ‹below status›, 0)",
    ]);
  });

  test("hides what waits before it gives up its rights, where gocker itself can still look into it", () => {
    const dumpable = "prctl(PR_SET_DUMPABLE, 0)";
    for (const seccomp of [undefined, notifying]) {
      const change = { seccomp, release, startFifo };
      const calls = callsOf(planOf(minimalSpec(), change));
      expect(calls).toContain(dumpable);
      expect(calls.indexOf(dumpable)).toBeLessThan(calls.findIndex((call) => call.startsWith("setresuid(")));
      const facts = { ...someFacts, mayTrace: () => false };
      expect(callsOf(planOf(minimalSpec(), { ...change, facts }))).not.toContain(dumpable);
    }
    // Nobody has to look into one that does not wait: where others could, they must not.
    expect(callsOf(planOf(minimalSpec()))).toContain(dumpable);
    const alone = minimalSpec({ linux: { namespaces: [{ type: "mount" }, { type: "pid" }] } });
    expect(callsOf(planOf(alone))).not.toContain(dumpable);
  });

  test("waits before a filter that does not notify, as ever", () => {
    const { steps } = planOf(minimalSpec(), { seccomp: { ...notifying, flags: 4 }, release, startFifo });
    const calls = steps.map(({ syscall }) => syscall);
    expect(calls.indexOf("ppoll")).toBeLessThan(calls.indexOf("seccomp"));
    expect(calls.lastIndexOf("close")).toBeLessThan(calls.indexOf("ppoll"));
  });
});

test("a process that enters hands its own over, and waits for nothing else", () => {
  const steps: Step[] = buildExecPlan({
    id: "c0ffee",
    process: { cwd: "/", args: ["/bin/tool"], user: { uid: 0, gid: 0 }, noNewPrivileges: true },
    target: { pidfd: 20, root: 21, namespaces: CLONE_NEWNS | CLONE_NEWPID },
    joinCgroup: [],
    seccomp: notifying,
    release,
    lastCapability: 40,
    hardLimit: () => 0n,
    nullStdio: [],
    newKeyring: true,
    preservedDescriptors: 0,
    lsm: () => ({ apparmor: true, selinux: true }),
  });
  const calls = callsOf({ steps });
  expect(calls.slice(-6)).toEqual([...handover, expect.stringMatching(/^execve\("\/bin\/tool"/)]);
});

test("a container for which gocker does not look after filters has none that notifies", () => {
  expect(() => planOf(minimalSpec(), { seccomp: notifying })).toThrow(
    "linux.seccomp.syscalls: SCMP_ACT_NOTIFY is only for containers that are created and started",
  );
});
