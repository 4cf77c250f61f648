import { expect, test } from "bun:test";
import { parseProcCgroup } from "../../../src/runtime/cgroup/detect.ts";
import { baseOfUser, cgroupPlaceOf, requireWayInto } from "../../../src/runtime/container-cgroup.ts";

const place = (cgroupsPath: string | undefined, systemdCgroup = false) =>
  cgroupPlaceOf(
    { ociVersion: "1.2.0", linux: cgroupsPath === undefined ? {} : { cgroupsPath } },
    { id: "the.id", systemdCgroup },
  );

test("a path of its own, or one below gocker's", async () => {
  expect(await place("/a/b")).toEqual({ path: "/a/b" });
  expect(await place("a/b")).toEqual({ path: "/gocker/a/b" });
  expect(await place("a.slice:b:c")).toEqual({ path: "/gocker/a.slice:b:c" });
  expect(await place("")).toEqual({ path: "/gocker/the.id" });
  expect(await place(undefined)).toEqual({ path: "/gocker/the.id" });
});

test("with systemd a unit", async () => {
  expect(await place("a.slice:b:c", true)).toEqual({ slice: "a.slice", unit: "b-c.scope", path: "/a.slice/b-c.scope" });
  expect(await place(undefined, true)).toMatchObject({ unit: "gocker-the.id.scope" });
  await expect(place("/a/b", true)).rejects.toThrow("linux.cgroupsPath");
});

test.each(["/", "/a/../b", "../..", "a\nb"])("%p is refused by the property's name", async (cgroupsPath) => {
  await expect(place(cgroupsPath)).rejects.toThrow(/^linux\.cgroupsPath: /);
});

test("without root it is beside the caller's own, and may be missing unless it is named", async () => {
  const options = { id: "the.id", systemdCgroup: false, isRootless: true, base: "/user.slice/own" };
  const of = (cgroupsPath: string) => cgroupPlaceOf({ ociVersion: "1.2.0", linux: { cgroupsPath } }, options);
  expect(await of("")).toEqual({ path: "/user.slice/own/gocker/the.id", isOptional: true });
  expect(await of("a")).toEqual({ path: "/user.slice/own/gocker/a" });
  expect(await of("/a")).toEqual({ path: "/a" });
});

const memberships = (path: string) => parseProcCgroup(`1:name=systemd:/x\n0::${path}\n`);
const v1 = [{ controllers: ["memory"], directory: "memory", mountPoint: "/m" }];

test("the place beside a process's own is known where there is version 2 alone", () => {
  expect(baseOfUser({ v1: [], v2: "/c" }, memberships("/a/b/c.scope"))).toBe("/a/b");
  expect(baseOfUser({ v1: [], v2: "/c" }, memberships("/"))).toBe("/");
  expect(baseOfUser({ v1: [], v2: "/c" }, memberships("/../a"))).toBe("/");
  expect(baseOfUser({ v1, v2: "/c" }, memberships("/a/b"))).toBe("/");
});

test.each<[own: string, path: string, file: string]>([
  ["/a/b", "/a/gocker/x", "/c/a/cgroup.procs"],
  ["/a/b", "/z", "/c/cgroup.procs"],
  ["/", "/gocker/x", "/c/cgroup.procs"],
  ["/a", "/a/gocker/x", "/c/a/cgroup.procs"],
])("from %s into %s a process comes by a right to %s", (own, path, file) => {
  const asked: string[] = [];
  const way = (mayWrite: boolean) => () =>
    requireWayInto(path, { v1: [], v2: "/c" }, memberships(own), (one) => {
      asked.push(one);
      return mayWrite;
    });
  way(true)();
  expect(way(false)).toThrow(`processes cannot be put into cgroups here: no right to write to ${file}`);
  expect(asked).toEqual([file, file]);
});
