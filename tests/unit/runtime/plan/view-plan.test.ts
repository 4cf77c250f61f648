import { describe, expect, test } from "bun:test";
import type { Mount } from "../../../../src/oci/runtime-spec.ts";
import { buildViewPlan } from "../../../../src/runtime/plan/view-plan.ts";
import { minimalSpec, overlayRoot, someFacts } from "../../../helpers/plan.ts";

const release = 9;
const labels = (mounts: Mount[], readonly = false) =>
  buildViewPlan(minimalSpec({ mounts, root: { path: "rootfs", readonly } }), overlayRoot, someFacts, release).steps.map(
    ({ label }) => label,
  );

const kernels: Mount[] = [
  { destination: "/proc", type: "proc", source: "proc" },
  { destination: "/dev", type: "tmpfs", source: "tmpfs" },
  { destination: "/sys", type: "sysfs", source: "sysfs" },
  { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
  { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
];
const volume: Mount = { destination: "/data", type: "bind", source: "/volumes/data", options: ["rbind"] };
const sealed: Mount = { destination: "/sealed", source: "/volumes/sealed", options: ["bind", "ro"] };

describe("buildViewPlan", () => {
  test("mounts what the host gives the container, and nothing else", () => {
    const steps = labels([...kernels, volume, sealed]);
    expect(steps.filter((label) => label.startsWith("Mount "))).toEqual(
      expect.arrayContaining(["Mount /volumes/data at /data", "Mount /volumes/sealed at /sealed"]),
    );
    for (const { destination } of kernels)
      expect(steps.filter((label) => label.endsWith(` at ${destination}`))).toEqual([]);
    expect(steps.some((label) => /\/proc|\/sys|\/dev|cgroup/.test(label))).toBe(false);
  });

  test("executes nothing: it ends by waiting for gocker, with which it dies", () => {
    const { steps } = buildViewPlan(minimalSpec({ mounts: [volume] }), overlayRoot, someFacts, release);
    expect(steps[0]?.label).toBe("Die when gocker dies, while being set up");
    expect(steps.some(({ syscall }) => /^exec|^clone|^fork/.test(syscall))).toBe(false);
    expect(steps.at(-1)).toMatchObject({ syscall: "read", args: [release, expect.anything(), 1] });
    const leaving = steps.findIndex(({ syscall }) => syscall === "pivot_root");
    const mounted = steps.findLastIndex(({ syscall }) => syscall === "move_mount");
    expect(leaving).toBeGreaterThan(mounted);
  });

  test("a read-only root directory is read-only for copies too", () => {
    expect(labels([], true)).toContain("Make the root directory read-only");
    expect(labels([], false)).not.toContain("Make the root directory read-only");
  });
});
