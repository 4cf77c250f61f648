import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openExecCgroup, parseSubCgroups } from "../../../../src/runtime/cgroup/exec-cgroup.ts";
import { CgroupV1 } from "../../../../src/runtime/cgroup/v1.ts";
import { TemporaryDirectory } from "../../../helpers/temporary.ts";

test("a path for all, or paths for controllers", () => {
  expect([...parseSubCgroups([])]).toEqual([]);
  expect([...parseSubCgroups(["a/b"])]).toEqual([["", "a/b"]]);
  expect([...parseSubCgroups(["memory:m", "cpu,cpuacct:c:d"])]).toEqual([
    ["memory", "m"],
    ["cpu", "c:d"],
    ["cpuacct", "c:d"],
  ]);
});

test.each([
  [["a", "b"], "--cgroup a does not say of which controllers"],
  [["cpu,:a"], "--cgroup cpu,:a has a controller without a name"],
  [["cpu:a", "memory,cpu:b"], "--cgroup has cpu twice"],
])("%j is refused", (values, message) => {
  expect(() => parseSubCgroups(values)).toThrow(message);
});

test("each hierarchy is joined at its own path", () => {
  using directory = new TemporaryDirectory("exec-cgroup");
  const hierarchy = (name: string, ...controllers: string[]) => {
    const mountPoint = join(directory.path, name);
    for (const path of ["c", "c/sub"]) {
      mkdirSync(join(mountPoint, path), { recursive: true });
      writeFileSync(join(mountPoint, path, "tasks"), "");
    }
    return { controllers, directory: name, mountPoint };
  };
  const host = { v1: [hierarchy("memory", "memory"), hierarchy("cpu,cpuacct", "cpu", "cpuacct")], v2: undefined };
  using own = new CgroupV1(host.v1, "/c");
  const joined = (...values: string[]) => {
    using cgroup = openExecCgroup(own, 1, parseSubCgroups(values), host);
    return cgroup.joinSteps().map(({ path }) => path?.slice(directory.path.length + 1));
  };
  expect(joined()).toEqual(["memory/c/tasks", "cpu,cpuacct/c/tasks"]);
  expect(joined("sub")).toEqual(["memory/c/sub/tasks", "cpu,cpuacct/c/sub/tasks"]);
  expect(joined("/")).toEqual(["memory/c/tasks", "cpu,cpuacct/c/tasks"]);
  expect(joined("cpu,cpuacct:sub")).toEqual(["memory/c/tasks", "cpu,cpuacct/c/sub/tasks"]);
  expect(joined("cpu:sub", "memory:/sub/")).toEqual(["cpu,cpuacct/c/sub/tasks", "memory/c/sub/tasks"]);
  expect(() => joined("..")).toThrow('bad sub cgroup path ".."');
  expect(() => joined("cpu:../d")).toThrow('bad sub cgroup path "../d"');
  expect(() => joined("other")).toThrow(/^error adding pid to cgroup .*\/c\/other: no such file or directory$/);
  expect(() => joined("cpu:other")).toThrow(/cpuacct\/c\/other: no such file or directory$/);
  expect(() => joined("hugetlb:sub")).toThrow("--cgroup: unknown controller hugetlb");
});
