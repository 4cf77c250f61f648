import { parseName } from "../../../container/names.ts";
import type { BindMountOption, MountOption, VolumeMountOption } from "../../../container/options.ts";
import { relativePath } from "../../../container/relative-path.ts";
import { parseKeyValues } from "../../key-values.ts";
import { bindSource, targetFault } from "./bind-path.ts";
import { MountFields } from "./mount-fields.ts";

type MountType = MountOption["type"];

const types: readonly MountType[] = ["bind", "volume", "tmpfs", "image"];

/** The keys that gocker knows, by Docker's names, and the one type for which a key is (none: all). */
const keys: Readonly<Record<string, MountType | "any">> = {
  type: "any",
  source: "any",
  target: "any",
  readonly: "any",
  consistency: "any",
  "bind-propagation": "bind",
  "bind-recursive": "bind",
  "bind-nonrecursive": "bind",
  "bind-create-src": "bind",
  "volume-nocopy": "volume",
  "volume-driver": "volume",
  "volume-label": "volume",
  "volume-opt": "volume",
  "volume-subpath": "volume",
  "tmpfs-size": "tmpfs",
  "tmpfs-mode": "tmpfs",
  "image-subpath": "image",
};

const propagations = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
] as const satisfies readonly NonNullable<BindMountOption["propagation"]>[];

/**
 * Reads a value of `--mount`: fields `key=value` with commas between them, as a line of CSV, by Docker's keys.
 * @throws {UsageError} a key that does not exist or does not fit the type, a value of the wrong form, no target
 */
export function parseMountFlag(text: string, currentDirectory: string): MountOption {
  const fields = new MountFields(text, Object.keys(keys));
  const type = fields.oneOf("type", fields.get("type") ?? "volume", types);
  for (const key of fields.keys) {
    const only = keys[key];
    if (only !== "any" && only !== type) {
      throw fields.wrong(`${key} is for mounts of type ${only}, and this is a ${type}`);
    }
  }
  const target = fields.get("target");
  if (target === undefined || target === "") throw fields.wrong("target is required");
  const fault = targetFault(target);
  if (fault !== undefined) throw fields.wrong(fault);
  if (type === "bind") return bindMount(fields, target, currentDirectory);
  if (type === "image") return imageMount(fields, target);
  return type === "volume" ? volumeMount(fields, target) : tmpfsMount(fields, target);
}

function bindMount(fields: MountFields, target: string, currentDirectory: string): BindMountOption {
  const source = fields.get("source") ?? "";
  if (source === "") throw fields.wrong("a bind mount needs a source");
  const path = bindSource(source, currentDirectory);
  if (path === undefined) {
    throw fields.wrong(`the source ${JSON.stringify(source)} is neither absolute nor begins with .`);
  }
  const propagation = fields.get("bind-propagation");
  return {
    type: "bind",
    source: path,
    target,
    readOnly: fields.isSet("readonly"),
    createSource: false,
    ...(fields.isSet("bind-create-src") && { createMountpoint: true }),
    ...recursion(fields),
    ...(propagation !== undefined && { propagation: fields.oneOf("bind-propagation", propagation, propagations) }),
  };
}

/** Where a recursive mount is read-only, all of it is, unless `writable` says otherwise. */
function recursion(fields: MountFields): Pick<BindMountOption, "recursive" | "writableBelow"> {
  const given = fields.get("bind-recursive");
  if (given === undefined) return { recursive: !fields.isSet("bind-nonrecursive") };
  const kind = fields.oneOf("bind-recursive", given, ["enabled", "disabled", "writable", "readonly"]);
  if ((kind === "writable" || kind === "readonly") && !fields.isSet("readonly")) {
    throw fields.wrong(`bind-recursive=${kind} is for mounts that are readonly`);
  }
  return { recursive: kind !== "disabled", ...(kind === "writable" && { writableBelow: true }) };
}

function volumeMount(fields: MountFields, target: string): VolumeMountOption {
  const source = fields.get("source") ?? "";
  const driver = fields.get("volume-driver") ?? "local";
  if (driver !== "local") throw fields.wrong(`gocker has no volume driver ${driver}`);
  const subpath = relativePath(fields.get("volume-subpath"), "a volume");
  const labels = fields.all("volume-label");
  const options = fields.all("volume-opt");
  return {
    type: "volume",
    ...(source !== "" && { name: volumeName(fields, source) }),
    target,
    readOnly: fields.isSet("readonly"),
    noCopy: fields.isSet("volume-nocopy"),
    ...(subpath !== undefined && { subpath }),
    ...(labels.length > 0 && { labels: parseKeyValues("--mount volume-label", labels) }),
    ...(options.length > 0 && { driverOptions: parseKeyValues("--mount volume-opt", options) }),
  };
}

function volumeName(fields: MountFields, name: string): string {
  try {
    return parseName(name, "volume");
  } catch (cause) {
    const reason = `${JSON.stringify(name)} is no name for a volume`;
    throw fields.wrong(reason, { hint: "a directory of the host needs type=bind", cause });
  }
}

/** Read-only in any case: what is written would be of no use to anybody. */
function imageMount(fields: MountFields, target: string): MountOption {
  const image = fields.get("source") ?? "";
  if (image === "") throw fields.wrong("a mount of an image needs its name as the source");
  if (fields.get("readonly") !== undefined && !fields.isSet("readonly")) {
    throw fields.wrong("an image cannot be written to", { hint: "a volume or a directory of the host can" });
  }
  const subpath = relativePath(fields.get("image-subpath"), "an image");
  return { type: "image", image, target, ...(subpath !== undefined && { subpath }) };
}

function tmpfsMount(fields: MountFields, target: string): MountOption {
  if ((fields.get("source") ?? "") !== "") throw fields.wrong("a tmpfs has no source");
  const options: string[] = fields.isSet("readonly") ? ["ro"] : [];
  const size = fields.get("tmpfs-size");
  if (size !== undefined) options.push(`size=${readBytes(fields, size)}`);
  const mode = fields.get("tmpfs-mode");
  if (mode !== undefined) {
    if (!/^[0-7]{1,4}$/.test(mode)) throw fields.wrong(`tmpfs-mode is an octal number, not ${JSON.stringify(mode)}`);
    options.push(`mode=${mode}`);
  }
  return { type: "tmpfs", target, options };
}

/** Powers of 1024. */
const binaryUnits = ["", "k", "m", "g", "t", "p"];

/** A number of bytes with Docker's binary units (`64m`, `1.5GiB`). */
function readBytes(fields: MountFields, size: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(size) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** binaryUnits.indexOf(unit.toLowerCase()));
  if (!Number.isSafeInteger(bytes)) throw fields.wrong(`tmpfs-size is a size such as 64m, not ${JSON.stringify(size)}`);
  return bytes;
}
