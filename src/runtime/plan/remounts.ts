import {
  FSCONFIG_CMD_RECONFIGURE,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
  MOUNT_ATTR_RDONLY,
} from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import type { Mount } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import type { MountOptions } from "../mount-options.ts";
import { openInRoot, type PlanBuilder } from "./builder.ts";
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
  mount: Mount,
  destination: string,
  options: MountOptions,
  context: MountContext,
): void {
  const target = findMount(builder, mount, destination, context);
  if (options.bind === undefined && options.data.length > 0) {
    const file = [...context.made.values()].find((made) => made.mount === target);
    if (file === undefined) {
      throw new InvalidDocumentError(
        `mounts: ${options.data.join(",")} cannot be changed at ${destination}: no file system of the container's own is there`,
        { hint: "with bind, remount changes the attributes of the mount alone" },
      );
    }
    const label = `Change ${file.type} at ${destination}`;
    const picked = builder.addFor(`${file.type} context`, {
      label: `${label}: take the file system`,
      group,
      syscall: "fspick",
      args: [file.mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH],
      path: destination,
    });
    for (const option of options.data) builder.setFileSystemOption(label, group, picked, option);
    builder.add({
      label: `${label}: let that count`,
      group,
      syscall: "fsconfig",
      args: [picked, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0],
      path: destination,
    });
  }
  addAttributes(builder, destination, target, withoutSeal(target, destination, options, context));
  addPropagations(builder, destination, target, options.propagations);
}

/** As a tmpfs that is read-only from the beginning, one becomes so at last: see {@link MountContext.sealed}. */
function withoutSeal(
  target: Slot,
  destination: string,
  options: MountOptions,
  { made, sealed }: MountContext,
): MountOptions {
  const index = sealed.findIndex(({ mount }) => mount === target);
  if (index >= 0 && ((options.clear | options.recursiveClear) & MOUNT_ATTR_RDONLY) !== 0) sealed.splice(index, 1);
  const isTmpfs = [...made.values()].some(({ mount, type }) => mount === target && type === "tmpfs");
  if (!isTmpfs || (options.set & MOUNT_ATTR_RDONLY) === 0) return options;
  if (index < 0) sealed.push({ destination, mount: target });
  return { ...options, set: options.set & ~MOUNT_ATTR_RDONLY };
}

/**
 * The mount to change, as a descriptor. A link that has led an earlier mount to its place may lead to another one by now,
 * whose restrictions would be lifted: what the plan has mounted it knows, and in what others may change no link is followed.
 */
function findMount(builder: PlanBuilder, mount: Mount, destination: string, context: MountContext): Slot {
  const places = placesOf(context, mount);
  const place = placeAmong(places, destination, context);
  const [over, of] = [...places].findLast(([, each]) => isAtOrBelow(place, each)) ?? [undefined, "/"];
  const within = over === undefined ? builder.root : context.mounted.get(over);
  if (within === undefined) throw new RangeError(`nothing was mounted at ${of}`);
  const rest = splitPath(place).slice(splitPath(of).length).join("/");
  if (rest === "") return within;
  return builder.addFor(destination, {
    label: `Find the mount at ${destination}`,
    group,
    syscall: "openat2",
    args: openInRoot(within, rest, 0, { noSymlinks: true }),
    path: destination,
    hints: {
      ENOENT: "remount changes what an earlier mount has brought",
      ELOOP: "remount follows no links of what is mounted, which others may change",
    },
  });
}

/** The places of what has been mounted before a mount, in that order. */
function placesOf(context: MountContext, mount: Mount): Map<Mount, string> {
  const places = new Map<Mount, string>();
  for (const earlier of context.order.slice(0, context.order.indexOf(mount))) {
    if (context.mounted.has(earlier)) places.set(earlier, placeAmong(places, earlier.destination, context));
  }
  return places;
}

/** By the links of the image, as far as none of these mounts covers them. */
function placeAmong(places: ReadonlyMap<Mount, string>, path: string, { facts }: MountContext): string {
  const mountPoints = [...places.values()];
  let place = "/";
  let walked = "";
  for (const name of splitPath(path)) {
    walked += `/${name}`;
    const isCovered = mountPoints.some((each) => isAtOrBelow(place, each));
    place = isCovered ? `/${[...splitPath(place), name].join("/")}` : facts.resolveTarget(walked);
  }
  return place;
}

function isAtOrBelow(path: string, directory: string): boolean {
  const names = splitPath(path);
  return splitPath(directory).every((name, index) => names[index] === name);
}
