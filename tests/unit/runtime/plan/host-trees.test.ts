import { describe, expect, test } from "bun:test";
import type { RuntimeSpec } from "../../../../src/oci/runtime-spec.ts";
import { minimalSpec, overlayRoot, planOf, planText, someFacts } from "../../../helpers/plan.ts";

function spec(change: Partial<RuntimeSpec> = {}): RuntimeSpec {
  return minimalSpec(
    {
      linux: { namespaces: [{ type: "user" }, { type: "mount" }, { type: "pid" }], maskedPaths: ["/proc/kcore"] },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs" },
        { destination: "/data", type: "bind", source: "/srv/data", options: ["rbind", "rshared"] },
        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
      ],
      ...change,
    },
    { oomScoreAdj: 5, rlimits: [{ type: "RLIMIT_NOFILE", soft: 10, hard: 2_000_000 }] },
  );
}

describe("a container with a user namespace", () => {
  const cgroupView = { type: "v1" as const, hierarchies: [{ name: "cpu", source: "/cg/cpu/x" }], links: [] };
  const facts = { ...someFacts, cgroupView };
  const text = planText(planOf(spec(), { facts, userNamespace: 30, nullStdio: [0], diesWithParent: true }));
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  const entered = lines.indexOf("setns(30, CLONE_NEWUSER)");

  test("takes all that is the host's while it may", () => {
    expect(lines.slice(0, entered).filter((line) => line.includes("open_tree"))).toEqual([
      'open_tree(AT_FDCWD, "/bundle/rootfs", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) → root',
      'open_tree(AT_FDCWD, "/srv/data", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) → /srv/data',
      'open_tree(AT_FDCWD, "/cg/cpu/x", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → /cg/cpu/x',
      ...["null", "zero", "full", "random", "urandom", "tty", "null"].map(
        (name) => `open_tree(AT_FDCWD, "/dev/${name}", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → /dev/${name}`,
      ),
    ]);
    // Afterwards by their names in the copy of the place that they were put into.
    const later = lines.slice(entered).filter((line) => line.startsWith("open_tree(AT_FDCWD"));
    expect(later.map((line) => /AT_FDCWD, "([^"]*)"/.exec(line)?.[1])).toEqual(
      Array.from({ length: 10 }, (_, index) => String(index)),
    );
    expect(later[1]).toBe('open_tree(AT_FDCWD, "1", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) → /srv/data');
    expect(lines.slice(0, entered)).toContain("prlimit64(0, RLIMIT_NOFILE, {soft=2000000, hard=2000000})");
    expect(lines.findIndex((line) => line.includes("oom_score_adj"))).toBeLessThan(entered);
  });

  test("has no part in what the host mounts, even where it shares with others", () => {
    const attributes = lines.filter((line) => /^mount_setattr\(‹(?:\/srv\/data|copy for \/data)›/.test(line));
    expect(attributes.map((line) => /propagation=(\w+)/.exec(line)?.[1])).toEqual(["MS_SHARED"]);
    const own = lines.indexOf("unshare(CLONE_NEWNS)");
    expect(lines[own + 1]).toBe('mount(0, "/", 0, MS_REC|MS_SLAVE, 0)');
    expect(own).toBeLessThan(lines.findIndex((line) => line.includes("open_tree")));
  });

  test("makes everything else as the root of its own namespace, and dies with gocker afterwards", () => {
    expect(lines.slice(entered + 1, entered + 7)).toEqual([
      "close(30)",
      "  tolerates EBADF",
      "setgroups(0, 0)",
      "setresgid(0, 0, 0)",
      "setresuid(0, 0, 0)",
      "clone(SIGCHLD|CLONE_NEWNS|CLONE_NEWPID|CLONE_PARENT)",
    ]);
    const taken = lines.findLastIndex((line) => line.startsWith('open_tree(AT_FDCWD, "9"'));
    expect(lines[taken + 1]).toBe("prctl(PR_SET_PDEATHSIG, SIGKILL)");
    // But for places of files.
    expect(lines.filter((line) => line.startsWith("mknodat")).every((line) => line.includes("S_IFREG"))).toBe(true);
  });

  test("mounts its root directory over all, where the way to it is closed", () => {
    const move = lines.findIndex((line) => line.startsWith('move_mount(‹root›, "", AT_FDCWD, "/bundle/rootfs"'));
    expect(lines.slice(move + 1, move + 4)).toEqual([
      "  tolerates EACCES",
      "  skips 1 on success",
      'move_mount(‹root›, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH)',
    ]);
  });

  test("needs a root directory that is there", () => {
    expect(() => planOf(spec(), { facts, userNamespace: 30, root: overlayRoot })).toThrow(
      "linux.namespaces: a user namespace needs a root directory that is there already",
    );
  });
});
