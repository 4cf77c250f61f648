import { expect, test } from "bun:test";
import { defaultRuntimeSpec, rootlessSpec } from "../../../src/oci/default-runtime-spec.ts";

test("a specification for users without root's rights asks for nothing that takes them", () => {
  const whole = defaultRuntimeSpec({ cgroupNamespace: true });
  const { mounts = [], linux, ...rest } = rootlessSpec(whole, { uid: 1000, gid: 100 });
  const { mounts: _, linux: own, ...others } = whole;
  expect(rest).toEqual(others);
  expect(linux).toEqual({
    maskedPaths: own?.maskedPaths ?? [],
    readonlyPaths: own?.readonlyPaths ?? [],
    uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 100, size: 1 }],
    namespaces: ["pid", "ipc", "uts", "mount", "cgroup", "user"].map((type) => ({ type }) as never),
  });
  expect(mounts.find(({ destination }) => destination === "/sys")).toMatchObject({ type: "none", source: "/sys" });
  const options = mounts.flatMap((mount) => mount.options ?? []);
  expect(options).toContain("ptmxmode=0666");
  expect(options.filter((option) => option.startsWith("gid="))).toEqual([]);
});
