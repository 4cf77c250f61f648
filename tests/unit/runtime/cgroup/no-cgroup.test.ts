import { expect, test } from "bun:test";
import { parseProcCgroup } from "../../../../src/runtime/cgroup/detect.ts";
import { NoCgroup, viewOfOwn } from "../../../../src/runtime/cgroup/no-cgroup.ts";

const memberships = parseProcCgroup("3:cpu,cpuacct:/session\n2:memory:/../other\n1:name=systemd:/\n0::/user.slice\n");
const v1 = [
  { controllers: ["cpu", "cpuacct"], directory: "cpu,cpuacct", mountPoint: "/c/cpu,cpuacct" },
  { controllers: ["memory"], directory: "memory", mountPoint: "/c/memory" },
  { controllers: [], directory: "systemd", mountPoint: "/c/systemd" },
];
const isThere = (path: string) => !path.includes("..");

test("a container without a cgroup sees those that its maker is in", () => {
  expect(viewOfOwn({ v1, v2: "/c/unified" }, memberships, isThere)).toEqual({
    type: "v1",
    hierarchies: [
      { name: "cpu,cpuacct", source: "/c/cpu,cpuacct/session" },
      { name: "memory", source: "/c/memory" },
      { name: "systemd", source: "/c/systemd" },
    ],
    links: [
      { name: "cpu", target: "cpu,cpuacct" },
      { name: "cpuacct", target: "cpu,cpuacct" },
    ],
  });
  expect(viewOfOwn({ v1: [], v2: "/c" }, memberships, isThere)).toEqual({ type: "v2", mountPoint: "/c" });
  expect(viewOfOwn({ v1: [], v2: undefined }, memberships, isThere)).toBeUndefined();
});

test("what takes a cgroup is refused, and its end is none", async () => {
  const none = new NoCgroup("they are root's");
  const reason = /^the container has no cgroup, without which .+: they are root's$/;
  for (const attempt of [() => none.freeze(), () => none.thaw(), () => none.processes(), () => none.signal()]) {
    expect(attempt).toThrow(reason);
  }
  for (const attempt of [none.applyResources(), none.updateResources(), none.statistics(), none.watchOom()]) {
    await expect(attempt).rejects.toThrow(reason);
  }
  none.kill();
  none.remove();
  expect([none.isFrozen(), none.exists(), none.identity()]).toEqual([false, false, undefined]);
});
