import { describe, expect, test } from "bun:test";
import { showCall } from "../../../../src/cli/explain/arguments.ts";
import { slot } from "../../../../src/linux/launch/plan.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addDefaultDevices, addDevices, takeHostNode } from "../../../../src/runtime/plan/devices.ts";
import { addMaskedPaths } from "../../../../src/runtime/plan/security.ts";

function calls(add: (builder: PlanBuilder) => void): string[] {
  const builder = new PlanBuilder();
  add(builder);
  return builder.steps.map(showCall);
}

const dev = slot("dev");

describe("in a user namespace, where no device can be made", () => {
  test("the host's are mounted over files that are made for them", () => {
    const all = calls((builder) => addDefaultDevices(builder, dev, [], "host"));
    expect(all.slice(0, 3)).toEqual([
      'open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → /dev/null of the host',
      'openat(‹dev›, "null", O_RDONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600) → place of /dev/null',
      'move_mount(‹/dev/null of the host›, "", ‹place of /dev/null›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
    ]);
    expect(all.filter((call) => call.startsWith("open_tree"))).toHaveLength(6);
    expect(all.filter((call) => call.startsWith("mknodat"))).toEqual([]);
  });

  test("a FIFO is made all the same", () => {
    const fifo = { path: "/dev/pipe", type: "p" } as const;
    expect(calls((builder) => addDevices(builder, [fifo], dev, "host"))).toEqual([
      'mknodat(‹dev›, "pipe", S_IFIFO|0666, 0:0)',
    ]);
  });

  test("what masks files is the host's null device", () => {
    const all = calls((builder) =>
      addMaskedPaths(builder, ["/proc/keys"], () => "file", takeHostNode(builder, "/dev/null")),
    );
    expect(all.filter((call) => call.startsWith("mknodat"))).toEqual([]);
    const mounted = all.findIndex((call) => call.startsWith("move_mount(‹/dev/null of the host›"));
    const opened = all.indexOf('openat(‹tmpfs mount›, "null", O_PATH|O_NOFOLLOW|O_CLOEXEC) → null device');
    expect(mounted).toBeGreaterThan(0);
    expect(opened).toBeGreaterThan(mounted);
  });
});

test("elsewhere they are made", () => {
  const all = calls((builder) => addDefaultDevices(builder, dev, []));
  expect(all[0]).toBe('mknodat(‹dev›, "null", S_IFCHR|0666, 1:3)');
  expect(all.filter((call) => call.startsWith("open_tree"))).toEqual([]);
});
