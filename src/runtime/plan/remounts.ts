import { FSCONFIG_CMD_RECONFIGURE, FSPICK_CLOEXEC, FSPICK_EMPTY_PATH } from "../../linux/constants.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { MountOptions } from "../mount-options.ts";
import type { PlanBuilder } from "./builder.ts";
import { addAttributes, addPropagations } from "./file-systems.ts";
import type { MountContext } from "./mount-context.ts";

const group = "file system";

/**
 * `remount`: changes what is mounted at a place already. mount(2), "Remounting an existing mount"; fspick(2)
 *
 * `ro`, `nosuid` and their like are the mount's, with `bind` and without: a file system may be in use elsewhere. Its own
 * options (`size=1m`) are changed where the plan has made it; any other is the host's.
 * @throws InvalidDocumentError for a file system of the host's
 */
export function addRemount(
  builder: PlanBuilder,
  destination: string,
  options: MountOptions,
  { made }: MountContext,
): void {
  const target = builder.openTarget(group, destination, "any", {
    create: false,
    hints: { ENOENT: "remount changes what an earlier mount has brought" },
  });
  const file = made.get(destination);
  if (options.bind === undefined && options.data.length > 0) {
    if (file === undefined) {
      throw new InvalidDocumentError(
        `mounts: ${options.data.join(",")} cannot be changed at ${destination}: no file system of the container's own is there`,
        { hint: "with bind, remount changes the attributes of the mount alone" },
      );
    }
    const label = `Change ${file.type} at ${destination}`;
    const context = builder.addFor(`${file.type} context`, {
      label: `${label}: take the file system`,
      group,
      syscall: "fspick",
      args: [file.mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH],
      path: destination,
    });
    for (const option of options.data) builder.setFileSystemOption(label, group, context, option);
    builder.add({
      label: `${label}: let that count`,
      group,
      syscall: "fsconfig",
      args: [context, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0],
      path: destination,
    });
  }
  addAttributes(builder, destination, target, options);
  addPropagations(builder, destination, target, options.propagations);
}
