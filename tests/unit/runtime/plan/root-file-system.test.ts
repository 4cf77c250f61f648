import { describe, expect, test } from "bun:test";
import { callsOf, minimalSpec, planOf } from "../../../helpers/plan.ts";

test("without a mount namespace all is in one private mount on the host, and the root is the process's alone", () => {
  const plan = planOf(minimalSpec({ linux: { namespaces: [{ type: "pid" }] } }), {
    placeOfMounts: "/run/state/c0ffee/mounts",
  });
  expect(plan.hasHostMounts).toBe(true);
  const calls = callsOf(plan);
  const begin = calls.findIndex((call) => call.startsWith("open_tree("));
  const privately = (mount: string) =>
    `mount_setattr(‹${mount}›, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_PRIVATE}, 32)`;
  const place = "/run/state/c0ffee/mounts";
  expect(calls.slice(begin, begin + 6)).toEqual([
    `open_tree(AT_FDCWD, "${place}", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → place of the mounts`,
    `move_mount(‹place of the mounts›, "", AT_FDCWD, "${place}", MOVE_MOUNT_F_EMPTY_PATH)`,
    privately("place of the mounts"),
    'open_tree(AT_FDCWD, "/bundle/rootfs", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) → root',
    privately("root"),
    'move_mount(‹root›, "", ‹place of the mounts›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
  ]);
  const change = calls.indexOf("fchdir(‹root›)");
  expect(calls.slice(change, change + 3)).toEqual(["fchdir(‹root›)", 'chroot(".")', 'chdir("/")']);
  expect(calls.some((call) => /^(mount|pivot_root|umount2)\(/.test(call))).toBe(false);
});

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
