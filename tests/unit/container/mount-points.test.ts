import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readlinkSync } from "node:fs";

import { mountPointLayer } from "../../../src/container/mount-points.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";
import { describeTree } from "../../helpers/tree.ts";

const options = { ignoreTimes: "all", ignoreOwners: true, ignoreXattrs: true } as const;

test("the layer of mount points can be entered by all, whatever the umask was when it was made", () => {
  using containers = new TemporaryDirectory("mount-points");
  const umask = process.umask(0o077);
  try {
    const layer = mountPointLayer(containers.path);
    expect(describeTree(layer, options).map((line) => line.replace(/ size=0 \w+$/, " empty"))).toEqual([
      '"." directory 0755',
      '"dev" directory 0755',
      '"etc" directory 0755',
      '"etc/hostname" file 0644 empty',
      '"etc/hosts" file 0644 empty',
      '"etc/mtab" symlink 0777 -> "/proc/mounts"',
      '"etc/resolv.conf" file 0644 empty',
      '"proc" directory 0755',
      '"sys" directory 0755',
    ]);
    expect(mountPointLayer(containers.path)).toBe(layer);
    expect(readdirSync(containers.path)).toHaveLength(1);
  } finally {
    process.umask(umask);
  }
});

test.each([0o700, 0o755])("what a gocker that died or was older has left of it is completed (mode %i)", (mode) => {
  using containers = new TemporaryDirectory("mount-points");
  mkdirSync(`${containers.path}/.mount-points/etc`, { recursive: true, mode });
  const layer = mountPointLayer(containers.path);
  for (const name of ["proc", "etc/resolv.conf"]) expect(existsSync(`${layer}/${name}`)).toBe(true);
  expect(readlinkSync(`${layer}/etc/mtab`)).toBe("/proc/mounts");
  expect(readdirSync(containers.path)).toEqual([".mount-points"]);
});
