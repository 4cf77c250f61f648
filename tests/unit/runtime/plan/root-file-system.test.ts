import { describe, expect, test } from "bun:test";
import { callsOf, minimalSpec, planOf } from "../../../helpers/plan.ts";

describe("a root that pivot_root cannot change", () => {
  const calls = callsOf(planOf(minimalSpec(), { kernelMounts: ["/sys", "/proc"] }));

  test("is moved over the host's, whose procfs and sysfs are gone or covered", () => {
    const begin = calls.findIndex((call) => call.startsWith("fchdir(‹root›"));
    expect(calls.slice(begin, begin + 8)).toEqual([
      "fchdir(‹root›)",
      'umount2("/sys", MNT_DETACH)',
      'mount("tmpfs", "/sys", "tmpfs", MS_RDONLY, 0)',
      'umount2("/proc", MNT_DETACH)',
      'mount("tmpfs", "/proc", "tmpfs", MS_RDONLY, 0)',
      'move_mount(‹root›, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH)',
      'chroot(".")',
      'chdir("/")',
    ]);
    expect(calls.some((call) => call.startsWith("pivot_root"))).toBe(false);
  });
});
