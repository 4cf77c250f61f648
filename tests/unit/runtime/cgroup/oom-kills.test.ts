import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import type { CgroupHost } from "../../../../src/runtime/cgroup/detect.ts";
import { oomKills } from "../../../../src/runtime/cgroup/oom-kills.ts";
import { openCgroup } from "../../../../src/runtime/cgroup/open.ts";
import { TemporaryDirectory } from "../../../helpers/temporary.ts";

const version1 = (mountPoint: string): CgroupHost => ({
  v1: [{ controllers: ["memory"], directory: "memory", mountPoint }],
  v2: undefined,
});
const version2 = (mountPoint: string): CgroupHost => ({ v1: [], v2: mountPoint });

test.each([
  ["1", version1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3],
  ["1 before Linux 4.13", version1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0],
  ["2", version2, "memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n", 2],
  ["2 without the controller", version2, "cgroup.events", "populated 0\n", 0],
] as const)("version %s", (_, hostOf, file, text, kills) => {
  using directory = new TemporaryDirectory("oom-kills");
  mkdirSync(`${directory.path}/c`);
  writeFileSync(`${directory.path}/c/${file}`, text);
  using cgroup = openCgroup("/c", hostOf(directory.path));
  expect(oomKills(cgroup)).toBe(kills);
  using gone = openCgroup("/gone", hostOf(directory.path));
  expect(oomKills(gone)).toBe(0);
});
