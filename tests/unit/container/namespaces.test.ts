import { expect, test } from "bun:test";
import {
  buildNamespaces,
  type NamespaceChoices,
  referenceTo,
  referredContainer,
  refersToContainers,
  sharesProcesses,
} from "../../../src/container/namespaces.ts";

const id = "0123456789abcdef".repeat(4);
const built = (choices: Partial<NamespaceChoices>, hasOwnCgroups = true) =>
  Object.fromEntries(
    buildNamespaces({ network: "none", ...choices }, hasOwnCgroups).map(({ type, path }) => [type, path ?? "new"]),
  );

test("a container's own, and cgroups as the host has them", () => {
  const own = { mount: "new", network: "new", uts: "new", pid: "new", ipc: "new" };
  expect(built({})).toEqual({ ...own, cgroup: "new" });
  expect(built({}, false)).toEqual(own);
  expect(built({ cgroupns: "private" }, false)).toEqual({ ...own, cgroup: "new" });
  expect(built({ cgroupns: "host" })).toEqual(own);
});

test("the host's are none", () => {
  expect(built({ network: "host", ipc: "host", pid: "host", uts: "host", cgroupns: "host" })).toEqual({ mount: "new" });
});

test.each(["private", "shareable", "none"] as const)("--ipc %s is a new one", (ipc) => {
  expect(built({ ipc })).toMatchObject({ ipc: "new" });
});

test("other containers', whose processes are known later, and one at a path", () => {
  const joined = { container: id };
  expect(built({ network: joined, ipc: joined, pid: joined })).toMatchObject({
    network: `container:${id}`,
    ipc: `container:${id}`,
    pid: `container:${id}`,
    uts: "new",
  });
  expect(built({ network: { path: "/run/netns/x" } })).toMatchObject({ network: "/run/netns/x" });
});

test("what stands for another container is no path", () => {
  expect(referredContainer(referenceTo(id))).toBe(id);
  expect(referredContainer("/run/netns/container:x")).toBeUndefined();
  expect(referredContainer("")).toBeUndefined();
  expect(referredContainer(undefined)).toBeUndefined();
  expect(refersToContainers([{ type: "ipc" }, { type: "pid", path: referenceTo(id) }])).toBe(true);
  expect(refersToContainers([{ type: "network", path: "/run/netns/x" }])).toBe(false);
});

test("processes are shared unless the pid namespace is a new one", () => {
  expect(sharesProcesses([{ type: "mount" }])).toBe(true);
  expect(sharesProcesses([{ type: "pid", path: referenceTo(id) }])).toBe(true);
  expect(sharesProcesses([{ type: "mount" }, { type: "pid" }])).toBe(false);
});
