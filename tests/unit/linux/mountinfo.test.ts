import { expect, test } from "bun:test";
import { parseMountinfo, reachableMounts } from "../../../src/linux/mountinfo.ts";

/** Which of these mounts, given as "id parent mount-point", can be reached. */
function reachable(...mounts: string[]): number[] {
  const entries = parseMountinfo(
    mounts
      .map((mount) => mount.replace(/^(\d+) (\d+) (.+)$/, "$1 $2 0:$1 / $3 rw,relatime - tmpfs none rw"))
      .join("\n"),
  );
  expect(entries).toHaveLength(mounts.length);
  return reachableMounts(entries, entries).map(({ id }) => id);
}

test("a line is taken apart, whatever optional fields it has", () => {
  const line =
    "36 35 98:0 /mnt1 /a\\040b\\011\\134c ro,noatime shared:1 master:2 propagate_from:3 - ext3 /dev/root rw,errors=continue";
  expect(parseMountinfo(`${line}\nnot a mount\n`)).toEqual([
    {
      id: 36,
      parentId: 35,
      root: "/mnt1",
      mountPoint: "/a b\t\\c",
      readOnly: true,
      type: "ext3",
      superOptions: ["rw", "errors=continue"],
    },
  ]);
});

test("mounts beside and below each other can be reached", () => {
  expect(
    reachable("1 0 /", "2 1 /sys", "3 2 /sys/fs/cgroup", "4 3 /sys/fs/cgroup/cpu", "5 3 /sys/fs/cgroup/cpuset"),
  ).toEqual([1, 2, 3, 4, 5]);
});

test("a mount on the same place covers the one below it and what is mounted there", () => {
  expect(reachable("1 0 /", "2 1 /sys", "3 2 /sys/cpu", "4 2 /sys")).toEqual([1, 4]);
});

test("a mount on a directory above covers", () => {
  expect(reachable("1 0 /", "2 1 /sys/fs/cgroup", "3 1 /sys")).toEqual([1, 3]);
});

test("the first root under the one in use covers nothing, and what was mounted on it stays covered", () => {
  expect(reachable("1 1 /", "2 1 /", "3 2 /sys", "4 1 /sys")).toEqual([2, 3]);
});
