import { expect, test } from "bun:test";
import { CLONE_NEWNS, CLONE_NEWPID } from "../../../../src/linux/constants.ts";
import type { Process } from "../../../../src/oci/runtime-spec.ts";
import { buildExecPlan, type ExecPlanInput } from "../../../../src/runtime/plan/exec-plan.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";
import { someFilter } from "../../../helpers/plan.ts";

const process: Process = { cwd: "/srv", args: ["/bin/tool", "-v"], env: ["A=b"], user: { uid: 7, gid: 8 } };

function plan(change: Partial<ExecPlanInput> = {}) {
  return buildExecPlan({
    id: "c0ffee",
    process,
    target: { pidfd: 20, root: 21, namespaces: CLONE_NEWNS | CLONE_NEWPID },
    joinCgroup: [{ label: "Join the cgroup", group: "cgroup", syscall: "write", args: [9, "0", 1] }],
    seccomp: undefined,
    lastCapability: 40,
    hardLimit: () => 1_048_576n,
    nullStdio: [],
    newKeyring: true,
    preservedDescriptors: 0,
    lsm: () => ({ apparmor: true, selinux: true }),
    ...change,
  });
}

const labels = (change?: Partial<ExecPlanInput>) => plan(change).map(({ label }) => label);

test("the process hides before it enters, and becomes another one in the pid namespace", () => {
  expect(labels().slice(0, 9)).toEqual([
    "Join the cgroup",
    "Close the cgroup's files",
    "Run on all CPUs that the cgroup has",
    "Let nobody look into this process",
    "Enter the container's namespaces",
    "Go to the container's root directory",
    "Make it the root of all paths",
    "Make a child, which is in the container's pid namespace",
    "Begin a keyring of the container's own",
  ]);
  expect(plan()[4]).toMatchObject({ syscall: "setns", args: [20, CLONE_NEWNS | CLONE_NEWPID] });
});

test("files of the host's are closed before another process of the container's could take them", () => {
  const steps = plan({
    process: { ...process, oomScoreAdj: 5 },
    joinCgroup: [12, 9, 10].map((fd) => ({
      label: "Join the cgroup",
      group: "cgroup",
      syscall: "write",
      args: [fd, "0", 1],
    })),
  });
  const before = steps.slice(
    0,
    steps.findIndex(({ syscall }) => syscall === "setns"),
  );
  const closed = before.filter(({ syscall }) => syscall === "close_range").map(({ args }) => args);
  expect(closed).toEqual([
    [9, 10, 0],
    [12, 12, 0],
  ]);
  const score = before.find(({ path, result }) => path === "/proc/self/oom_score_adj" && result !== undefined)?.result;
  expect(before.some(({ syscall, args }) => syscall === "close" && args[0] === score)).toBe(true);
});

test("it ends like every plan: user, then the filter, then the program", () => {
  const steps = labels({ seccomp: someFilter, process: { ...process, noNewPrivileges: true } });
  const order = [
    "Set the file mode mask",
    "Become user 7",
    "Allow only known system calls (2 instructions)",
    "Execute /bin/tool",
  ];
  const places = order.map((label) => steps.indexOf(label));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(Math.min(...places)).toBeGreaterThan(0);
  expect(steps.at(-1)).toBe("Execute /bin/tool");
});

test("no child where the pid namespace is gocker's own, and no setns where all are", () => {
  const target = { pidfd: 20, root: 21, namespaces: 0 };
  expect(plan({ target }).map(({ syscall }) => syscall)).not.toContain("clone");
  expect(plan({ target }).map(({ syscall }) => syscall)).not.toContain("setns");
});

test("a terminal needs somebody who takes it", () => {
  const terminal = { ...process, terminal: true };
  expect(() => plan({ process: terminal })).toThrow(InvalidDocumentError);
  expect(labels({ process: terminal, terminalSocket: 5 })).toContain("Hand the terminal's master side over");
});

test("descriptors that the caller hands on are left open", () => {
  const closing = (preservedDescriptors: number) =>
    plan({ preservedDescriptors }).findLast(({ syscall }) => syscall === "close_range");
  expect(closing(0)?.args[0]).toBe(3);
  expect(closing(2)?.args[0]).toBe(5);
});

test("a terminal's line feeds are as they are with the kernel's terminals, unless asked otherwise", () => {
  const terminal = { process: { ...process, terminal: true }, terminalSocket: 30 };
  expect(labels(terminal)).not.toContain("Leave line feeds as they are");
  expect(labels({ ...terminal, plainOutput: true })).toContain("Leave line feeds as they are");
});
