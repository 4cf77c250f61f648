import { parseMountOptions } from "../runtime/mount-options.ts";
import { UsageError } from "../util/errors.ts";

/** The options of Docker's driver `local`, and which others each needs. */
const known: Readonly<Record<string, readonly string[]>> = {
  type: ["device"],
  device: ["type"],
  o: ["type", "device"],
};

/** What is mounted in a volume while it is used. */
export interface VolumeSource {
  readonly type: string;
  readonly device: string;
  /** The words of mount(8)'s `-o`. */
  readonly words: readonly string[];
  /** What is in it is gone when it is used no more. */
  readonly isVolatile: boolean;
}

/**
 * What a volume's options ask to mount, as Docker's driver `local` has them: `type` and `device` as for mount(8), `o` as
 * its options; a directory of the host with `type=none`, `o=bind` and `device=/DIRECTORY`.
 * @returns undefined for none: the volume is a directory of its own
 * @throws UsageError they contradict themselves, or there is no such option
 */
export function volumeSource(options: Readonly<Record<string, string>> = {}): VolumeSource | undefined {
  for (const key of Object.keys(options)) {
    const needed = Object.hasOwn(known, key) ? known[key] : undefined;
    if (needed === undefined) throw wrong(`there is no option ${JSON.stringify(key)}`);
    const missing = needed.find((other) => !Object.hasOwn(options, other));
    if (missing !== undefined) throw wrong(`${key} needs ${missing}`);
  }
  const { type, device, o = "" } = options;
  if (type === undefined || device === undefined) return undefined;
  const words = o.split(",").filter((word) => word !== "");
  const { bind, remount, idMap, copyUp } = parseMountOptions(words);
  if (remount === true || idMap !== undefined || copyUp === true) throw wrong(`o=${o} is not for volumes`);
  if (bind === undefined && (type === "none" || type === "bind" || type === "")) {
    throw wrong(`type=${type} needs o=bind or o=rbind`);
  }
  if (bind !== undefined && !device.startsWith("/"))
    throw wrong(`the device ${JSON.stringify(device)} is not absolute`);
  return { type, device, words, isVolatile: bind === undefined && (type === "tmpfs" || type === "ramfs") };
}

function wrong(reason: string): UsageError {
  return new UsageError(`invalid options of a volume: ${reason}`, {
    hint: "they look like type=tmpfs, device=tmpfs, o=size=64m; or type=none, device=/host/directory, o=bind",
  });
}
