import { expect, test } from "bun:test";
import { expandSlice, parseSystemdCgroupsPath } from "../../../../src/runtime/cgroup/systemd-path.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";

test.each<[path: string, slice: string, unit: string, place: string]>([
  ["system.slice:runc:abc", "system.slice", "runc-abc.scope", "/system.slice/runc-abc.scope"],
  [":runc:abc", "system.slice", "runc-abc.scope", "/system.slice/runc-abc.scope"],
  ["", "system.slice", "gocker-the.id.scope", "/system.slice/gocker-the.id.scope"],
  [
    "machine-libpod_pod_1.slice:libpod:2f",
    "machine-libpod_pod_1.slice",
    "libpod-2f.scope",
    "/machine.slice/machine-libpod_pod_1.slice/libpod-2f.scope",
  ],
  [
    "kubepods-besteffort-pod1.slice:cri-containerd:c1",
    "kubepods-besteffort-pod1.slice",
    "cri-containerd-c1.scope",
    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-c1.scope",
  ],
  ["-.slice:crio:x", "-.slice", "crio-x.scope", "/crio-x.scope"],
  ["user.slice::x", "user.slice", "x.scope", "/user.slice/x.scope"],
])("%s", (path, slice, unit, place) => {
  expect(parseSystemdCgroupsPath(path, "the.id")).toEqual({ slice, unit, path: place });
});

test.each([
  "/gocker/abc",
  "a.slice:b",
  "a.slice:b:c:d",
  "a.slice:b:",
  "a.slice:b:../c",
  "a.slice:b:c.slice",
  "a.slice:b:c+d",
  `a.slice:b:${"c".repeat(250)}`,
  "a.slice:b:c d",
  "a/b.slice:c:d",
  "a--b.slice:c:d",
  "-a.slice:c:d",
  ".slice:c:d",
  "a:c:d",
])("%s is refused", (path) => {
  expect(() => parseSystemdCgroupsPath(path, "the.id")).toThrow(InvalidDocumentError);
});

test("the root slice is no directory", () => {
  expect(expandSlice("-.slice", "")).toBe("");
});

test("without a path the name is the ID, and an error tells the property", () => {
  expect(parseSystemdCgroupsPath("", "x").unit).toBe("gocker-x.scope");
  expect(() => parseSystemdCgroupsPath("/gocker/x", "x")).toThrow(
    'linux.cgroupsPath "/gocker/x" is not of the form slice:prefix:name, which systemd needs',
  );
  expect(() => parseSystemdCgroupsPath("a--b.slice::x", "x")).toThrow(
    'linux.cgroupsPath "a--b.slice::x": "a--b.slice" is not the name of a slice of systemd\'s',
  );
});
