import { describe, expect, test } from "bun:test";
import { defaultReadonlyPaths, defaultMaskedPaths, defaultMounts } from "../../../../src/container/linux-defaults.ts";
import { defaultCapabilities } from "../../../../src/linux/capabilities.ts";
import { type ErrnoName, errnoReason, errnos } from "../../../../src/linux/errno.ts";
import { encodePlan } from "../../../../src/linux/launch/encode.ts";
import type { Step } from "../../../../src/linux/launch/plan.ts";
import type { Mount, Namespace, Process, RuntimeSpec } from "../../../../src/oci/runtime-spec.ts";
import { launchError } from "../../../../src/runtime/errors.ts";
import type { LaunchPlan, LaunchPlanInput } from "../../../../src/runtime/plan/launch-plan.ts";
import { orderOfMounts } from "../../../../src/runtime/plan/mounts.ts";
import {
  allCapabilitySets,
  callsOf,
  directoryRoot,
  minimalSpec,
  overlayRoot,
  planOf,
  planText,
  someFacts,
  someFilter,
} from "../../../helpers/plan.ts";

const namespaces: Namespace[] = (["mount", "network", "uts", "pid", "ipc", "cgroup"] as const).map((type) => ({
  type,
}));

/** What `gocker run` asks for, more or less. */
function ordinarySpec(process: Partial<Process> = {}, change: Partial<RuntimeSpec> = {}): RuntimeSpec {
  return minimalSpec(
    {
      root: { path: "rootfs", readonly: true },
      hostname: "c0ffee",
      mounts: [
        ...defaultMounts(),
        { destination: "/etc/hosts", type: "bind", source: "/store/hosts.file", options: ["rbind", "rprivate"] },
        { destination: "/data", type: "bind", source: "/srv/data", options: ["rbind", "rro"] },
      ],
      linux: {
        namespaces,
        sysctl: { "net.ipv4.ip_unprivileged_port_start": "0" },
        maskedPaths: defaultMaskedPaths(0),
        readonlyPaths: [...defaultReadonlyPaths],
      },
      ...change,
    },
    {
      args: ["sh", "-c", "exit"],
      env: ["PATH=/usr/bin:/bin", "A=b"],
      cwd: "/work",
      user: { uid: 1000, gid: 100, additionalGids: [10, 20] },
      capabilities: { bounding: [...defaultCapabilities] },
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }],
      oomScoreAdj: 100,
      ...process,
    },
  );
}

const joinCgroup: LaunchPlanInput["joinCgroup"] = [
  { label: "Join the cgroup", group: "cgroup", syscall: "write", args: [7, "0", 1] },
];
const v2 = {
  facts: {
    ...someFacts,
    kernelPath: (path: string) => (path.endsWith("kcore") ? ("file" as const) : ("directory" as const)),
    cgroupView: { type: "v2" as const, mountPoint: "/sys/fs/cgroup" },
    lsm: () => ({ apparmor: false, selinux: false }),
  },
};

function ordinaryPlan(change: Partial<LaunchPlanInput> = {}, process: Partial<Process> = {}): LaunchPlan {
  return planOf(ordinarySpec(process), {
    root: overlayRoot,
    joinCgroup,
    seccomp: someFilter,
    diesWithParent: true,
    nullStdio: [0],
    ...v2,
    ...change,
  });
}

describe("whole plans", () => {
  test("the least: a directory, no protection that is not asked for", () => {
    expect(planText(planOf(minimalSpec()))).toMatchSnapshot();
  });

  test("a container of gocker run, as a user", () => {
    expect(planText(ordinaryPlan())).toMatchSnapshot();
  });

  test("a terminal and a reaper, as root, without new privileges", () => {
    const process: Partial<Process> = {
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      noNewPrivileges: true,
      user: { uid: 0, gid: 0 },
      capabilities: allCapabilitySets(),
    };
    expect(planText(ordinaryPlan({ terminalSocket: 9, reaper: true, nullStdio: [] }, process))).toMatchSnapshot();
  });

  test("the overlay of kernels before 6.7", () => {
    const plan = planOf(minimalSpec(), { root: { ...overlayRoot, layersOneByOne: false } });
    expect(planText(plan)).toMatchSnapshot();
  });

  test.each(["x86_64", "aarch64"] as const)("can be encoded for %s, timed too", (architecture) => {
    for (const timed of [false, true]) {
      const plan = ordinaryPlan({ terminalSocket: 9 }, { terminal: true });
      expect(() => encodePlan(plan.steps, { architecture, base: 0x2000_0000, statusFd: 3, timed })).not.toThrow();
    }
  });

  test("the same input makes the same plan", () => {
    expect(planText(ordinaryPlan())).toBe(planText(ordinaryPlan()));
  });
});

/** Expects calls that match the patterns, each after the one before it. */
function expectOrder(plan: LaunchPlan, ...patterns: RegExp[]): void {
  const calls = callsOf(plan);
  let from = 0;
  for (const pattern of patterns) {
    const index = calls.findIndex((call, at) => at >= from && pattern.test(call));
    expect(index, `${pattern} after step ${from} of\n${calls.join("\n")}`).toBeGreaterThanOrEqual(from);
    from = index + 1;
  }
}

/** Where the last call that matches stands. */
function lastIndex(plan: LaunchPlan, pattern: RegExp): number {
  const index = callsOf(plan).findLastIndex((call) => pattern.test(call));
  expect(index, String(pattern)).toBeGreaterThanOrEqual(0);
  return index;
}

function firstIndex(plan: LaunchPlan, pattern: RegExp): number {
  const index = callsOf(plan).findIndex((call) => pattern.test(call));
  expect(index, String(pattern)).toBeGreaterThanOrEqual(0);
  return index;
}

describe("the order of runc's init", () => {
  const plan = ordinaryPlan({}, { noNewPrivileges: true });

  test("from the death signal to the program", () => {
    expectOrder(
      plan,
      /^prctl\(PR_SET_PDEATHSIG/,
      /^write\(7/,
      /oom_score_adj/,
      /^unshare\(CLONE_NEWCGROUP/,
      /^keyctl\(/,
      /^umask\(0+\)/,
      /^mount\(0, "\/", 0, MS_REC\|MS_SLAVE/,
      /^fsopen\("overlay"/,
      /^pivot_root\(/,
      /^umount2\("\.", MNT_DETACH/,
      /^sethostname\(/,
      /^write\(.*"0"/,
      /^mount_setattr\(‹root›.*MOUNT_ATTR_RDONLY/,
      /"proc\/sys"/,
      /"proc\/kcore"/,
      /^rt_sigprocmask\(/,
      /^setsid\(/,
      /^fchdir\(/,
      /^close_range\(3/,
      /^prlimit64\(/,
      /^umask\(0*22\)/,
      /^prctl\(PR_SET_NO_NEW_PRIVS/,
      /^prctl\(PR_CAPBSET_DROP/,
      /^setgroups\(/,
      /^setresgid\(/,
      /^prctl\(PR_SET_KEEPCAPS/,
      /^setresuid\(/,
      /^prctl\(PR_SET_PDEATHSIG/,
      /^capset\(/,
      /^prctl\(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL/,
      /^seccomp\(/,
      /^execve\(/,
    );
  });

  test("nothing of the host is mounted or opened after its files are let go of", () => {
    const pivot = lastIndex(plan, /^pivot_root\(/);
    expect(lastIndex(plan, /AT_FDCWD/)).toBeLessThan(pivot);
    expect(lastIndex(plan, /^mount\(/)).toBeLessThan(pivot);
  });

  test("the program starts with no file that is not its own, whatever the plan opened", () => {
    const close = lastIndex(plan, /^close_range\(3, .*CLOSE_RANGE_CLOEXEC\)/);
    for (const opening of [/^open/, /^fsopen/, /^fsmount/, /^socket\(/, /^dup/, /^fcntl/]) {
      const found = callsOf(plan).findLastIndex((call) => opening.test(call));
      expect(found).toBeLessThan(close);
    }
  });

  test("mounts are made in their order, /proc after what links in volumes could put there", () => {
    const bind = (source: string, destination: string) => ({ destination, type: "bind", source, options: ["rbind"] });
    const mounts = [
      { destination: "/proc", type: "proc", source: "proc" },
      bind("/srv/data", "/data"),
      bind("/a", "/x"),
    ];
    const ordered = planOf(minimalSpec({ mounts }));
    expect(firstIndex(ordered, /^fsopen\("proc"/)).toBeLessThan(firstIndex(ordered, /^open_tree\(AT_FDCWD, "\/srv/));
    for (const nested of [bind("/b", "/data/b"), { destination: "/data/t/", type: "tmpfs", source: "tmpfs" }]) {
      const atRisk = planOf(minimalSpec({ mounts: [...mounts, nested] }));
      expect(firstIndex(atRisk, /^fsopen\("proc"/)).toBeGreaterThan(lastIndex(atRisk, /^move_mount\(.*‹\/data\/[bt]/));
    }
  });

  test.each<[string, boolean, Mount]>([
    ["an overlay", true, { destination: "/v", type: "overlay", source: "o", options: ["lowerdir=/a:/b"] }],
    ["a disk", true, { destination: "/v", type: "ext4", source: "/dev/sdz" }],
    ["a bind mount by its options", true, { destination: "/v", type: "proc", source: "/srv", options: ["bind"] }],
    ["a copy of the image's", true, { destination: "/v", type: "tmpfs", source: "t", options: ["tmpcopyup"] }],
    ["an empty tmpfs", false, { destination: "/v", type: "tmpfs", source: "t" }],
    ["a queue", false, { destination: "/v", type: "mqueue", source: "m" }],
    ["a cgroup", false, { destination: "/v", type: "cgroup", source: "c" }],
    ["a remount", false, { destination: "/v", source: "/v", options: ["bind", "remount", "ro"] }],
  ])("%s brings links that others may change: %p", (_, brings, mount) => {
    const proc = { destination: "/proc", type: "proc", source: "proc" };
    const nested = { destination: "/v/t", type: "tmpfs", source: "tmpfs" };
    const order = orderOfMounts([proc, mount, nested], someFacts);
    expect(order).toEqual(brings ? [mount, nested, proc] : [proc, mount, nested]);
  });

  test("devices are there before mounts over them", () => {
    expect(firstIndex(plan, /^mknodat\(.*"null"/)).toBeLessThan(firstIndex(plan, /^fsopen\("devpts"/));
  });

  test("the working directory is made while the root can still be written to", () => {
    const readOnly = firstIndex(plan, /^mount_setattr\(‹root›.*MOUNT_ATTR_RDONLY/);
    expect(firstIndex(plan, /^mkdirat\(‹root›, "work"/)).toBeLessThan(readOnly);
  });
});

describe("the filter of system calls", () => {
  const indexOf = (plan: LaunchPlan, pattern: RegExp) => lastIndex(plan, pattern);

  test("comes last where no new privileges can be had", () => {
    const plan = ordinaryPlan({}, { noNewPrivileges: true });
    expect(indexOf(plan, /^seccomp\(/)).toBe(indexOf(plan, /^execve\(.*usr\/bin/) - 1);
  });

  test("else comes while CAP_SYS_ADMIN is there, which is given up after it", () => {
    const plan = ordinaryPlan();
    const calls = callsOf(plan);
    const filter = indexOf(plan, /^seccomp\(/);
    expect(calls[filter - 1]).toMatch(/^capset\(.*SYS_ADMIN/);
    expect(calls[filter + 1]).toMatch(/^capset\(/);
    expect(calls[filter + 1]).not.toContain("SYS_ADMIN");
  });

  test("is not there when it is not asked for", () => {
    expect(callsOf(ordinaryPlan({ seccomp: undefined })).join("\n")).not.toContain("seccomp");
  });
});

describe("the user", () => {
  test("keeps its capabilities only over the change of user", () => {
    expect(callsOf(planOf(minimalSpec())).join("\n")).not.toContain("KEEPCAPS");
    expect(callsOf(planOf(minimalSpec({}, { user: { uid: 1, gid: 1 } }))).join("\n")).toContain("KEEPCAPS");
  });

  test("loses every capability that is not in the bounding set", () => {
    const plan = planOf(minimalSpec({}, { capabilities: { bounding: ["CAP_CHOWN", "CAP_KILL"] } }));
    const dropped = callsOf(plan).filter((call) => call.includes("PR_CAPBSET_DROP"));
    expect(dropped).toHaveLength(41 - 2);
    expect(plan.steps.some(({ label }) => label.includes("CAP_CHOWN for good"))).toBe(false);
  });

  test("gets the capabilities that programs inherit, one by one", () => {
    const own = ["CAP_NET_BIND_SERVICE"];
    const plan = planOf(
      minimalSpec(
        {},
        {
          user: { uid: 5, gid: 5, umask: 0o27 },
          capabilities: { bounding: own, effective: own, permitted: own, inheritable: own, ambient: own },
        },
      ),
    );
    expectOrder(plan, /^umask\(0*27\)/, /^capset\(/, /PR_CAP_AMBIENT_CLEAR_ALL/, /PR_CAP_AMBIENT_RAISE/, /^execve\(/);
  });

  test("dies with gocker when that is wanted, asked for anew after the change of user", () => {
    const signals = (plan: LaunchPlan) => callsOf(plan).filter((call) => call.includes("PR_SET_PDEATHSIG"));
    expect(signals(ordinaryPlan())).toHaveLength(2);
    expect(signals(ordinaryPlan({ diesWithParent: false }))).toHaveLength(0);
    expectOrder(ordinaryPlan(), /^setresuid\(/, /PR_SET_PDEATHSIG/, /^write\(‹status›/);
  });
});

describe("the program", () => {
  const executions = (process: Partial<Process>) => {
    const calls = callsOf(planOf(minimalSpec({}, process)));
    return calls.filter((call) => call.startsWith("execve(")).map((call) => /^execve\("([^"]*)"/.exec(call)?.[1]);
  };

  test("a name is looked for in the container's PATH, the last one that is given", () => {
    const env = ["PATH=/never", "PATH=/a:/b/:/a::relative:."];
    expect(executions({ args: ["tool"], env })).toEqual(["/a/tool", "/b/tool"]);
  });

  test("without a PATH there are the usual directories", () => {
    expect(executions({ args: ["tool"] })).toEqual([
      "/usr/local/sbin/tool",
      "/usr/local/bin/tool",
      "/usr/sbin/tool",
      "/usr/bin/tool",
      "/sbin/tool",
      "/bin/tool",
    ]);
  });

  test("a PATH without any directory leads nowhere, and that is noticed", () => {
    expect(executions({ args: ["tool"], env: ["PATH="] })).toEqual(["/usr/local/sbin/tool"]);
  });

  test.each(["/bin/tool", "./tool", "bin/tool", ""])("%p is no name to look for", (program) => {
    expect(executions({ args: [program], env: ["PATH=/a:/b"] })).toEqual([program]);
  });

  test("every attempt but the last may fail, and is reported", () => {
    const { steps } = planOf(minimalSpec({}, { args: ["tool"], env: ["PATH=/a:/b"] }));
    const attempts = steps.filter(({ syscall }) => syscall === "execve");
    expect(attempts.map(({ onError }) => onError)).toEqual([{ tolerate: "any", report: true }, undefined]);
  });
});

describe("namespaces", () => {
  test("are made by clone3, the cgroup's once the cgroup is joined", () => {
    const [first] = planText(ordinaryPlan()).split("\n");
    expect(first).toBe("clone3 CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWNET");
  });

  test("the loopback comes up in a network of the container's own", () => {
    expectOrder(ordinaryPlan(), /^socket\(/, /^ioctl\(‹network socket›/);
    expect(callsOf(planOf(minimalSpec())).join("\n")).not.toContain("socket(");
  });
});

test("a directory's mount is a copy with everything mounted below it", () => {
  const calls = callsOf(planOf(minimalSpec(), { root: directoryRoot }));
  expect(calls).toContainEqual(expect.stringMatching(/^open_tree\(AT_FDCWD, "\/bundle\/rootfs", .*AT_RECURSIVE/));
});

test("of each step that a property asks for the plan knows which one", () => {
  const spec = minimalSpec(
    {
      mounts: [
        { destination: "/sys", type: "sysfs", source: "sysfs" },
        { destination: "/proc", type: "proc", source: "proc" },
      ],
      linux: { namespaces: [{ type: "mount" }, { type: "network" }], sysctl: { "net.core.x": "1" } },
    },
    { cwd: "/work", rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 0 }], oomScoreAdj: 5 },
  );
  const plan = planOf(spec);
  const propertyOf = (pattern: RegExp) => {
    const step = plan.steps.find(({ label }) => pattern.test(label));
    const fatal = { step: step as Step, errno: errnos.EINVAL };
    return /^(\S+): /.exec(launchError({ reported: [], fatal }, "x", plan)?.message ?? "")?.[1];
  };
  expect(
    [/^Mount sysfs/, /^Mount proc/, /net\.core\.x/, /^Limit core/, /^Find \/work/, /^Set it to 5/].map(propertyOf),
  ).toEqual(["mounts[0]", "mounts[1]", "linux.sysctl", "process.rlimits", "process.cwd", "process.oomScoreAdj"]);
  // Whoever has no specification before him is told what was being done alone.
  const step = plan.steps.find(({ label }) => label.startsWith("Limit core")) as Step;
  expect(launchError({ reported: [], fatal: { step, errno: errnos.EPERM } }, "x")?.message).toStartWith("limit core");
});

test("a program that cannot be executed is explained in the words of each error", () => {
  const { steps } = planOf(ordinarySpec({ args: ["/bin/program"] }), { startFifo: 9 });
  const tried = steps.flatMap((step, index) => {
    const errors = step.onError?.skipOn ?? [];
    // The attempt at a file without a name, then the sentence.
    return errors.map((error) => [error, steps[index + 2]?.label]);
  });
  expect(tried.length).toBeGreaterThan(3);
  expect(tried).toEqual(
    tried.map(([error]) => [
      error,
      `Say on standard error: exec /bin/program: ${errnoReason(errnos[error as ErrnoName])}`,
    ]),
  );
});
