import { AT_FDCWD, MOUNT_ATTR_RDONLY, MS_PRIVATE, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from "../../linux/constants.ts";
import type { MountOptions } from "../mount-options.ts";
import type { PlanBuilder } from "./builder.ts";
import { openDirectoryTarget } from "./file-systems.ts";
import type { MountContext } from "./mount-context.ts";

const group = "file system";

export function addCgroupMount(
  builder: PlanBuilder,
  destination: string,
  options: MountOptions,
  { facts, made }: MountContext,
): void {
  const view = facts.cgroupView;
  if (view === undefined) return;
  const target = openDirectoryTarget(builder, destination, facts, made);
  if (view.type === "v2") {
    const mount = builder.newFileSystem({
      label: `Mount cgroup2 at ${destination}`,
      group,
      type: "cgroup2",
      source: "cgroup",
      options: [],
      attributes: options.set,
    });
    builder.attach(`Mount cgroup2 at ${destination}`, group, mount, target, destination);
    return;
  }
  const writable = options.set & ~MOUNT_ATTR_RDONLY;
  const base = builder.newFileSystem({
    label: `Mount tmpfs at ${destination}`,
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: ["mode=755"],
    attributes: writable,
  });
  builder.attach(`Mount tmpfs at ${destination}`, group, base, target, destination);
  for (const hierarchy of view.hierarchies) {
    const path = `${destination}/${hierarchy.name}`;
    const tree = builder.addFor(path, {
      label: `Take the container's ${hierarchy.name} cgroup`,
      group,
      syscall: "open_tree",
      args: [AT_FDCWD, hierarchy.source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
      path: hierarchy.source,
    });
    builder.setMountAttributes({
      label: `Set the attributes of ${path}`,
      group,
      mount: tree,
      set: options.set,
      propagation: MS_PRIVATE,
    });
    builder.attach(
      `Mount it at ${path}`,
      group,
      tree,
      builder.makeDirectoryIn(group, base, hierarchy.name, path),
      path,
    );
  }
  for (const link of view.links) {
    builder.add({
      label: `Link ${destination}/${link.name} to ${link.target}`,
      group,
      syscall: "symlinkat",
      args: [link.target, base, link.name],
      path: `${destination}/${link.name}`,
    });
  }
  if (writable !== options.set) {
    builder.setMountAttributes({
      label: `Make ${destination} read-only`,
      group,
      mount: base,
      set: MOUNT_ATTR_RDONLY,
    });
  }
}
