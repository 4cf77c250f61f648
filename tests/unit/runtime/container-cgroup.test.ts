import { expect, test } from "bun:test";
import { cgroupPlaceOf } from "../../../src/runtime/container-cgroup.ts";

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
