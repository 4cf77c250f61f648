import { parseName } from "../../../container/names.ts";
import type { BindMountOption, MountOption } from "../../../container/options.ts";
import { UsageError } from "../../../util/errors.ts";
import { alternatives } from "../../flags.ts";
import { nearestNames } from "../../../util/nearest.ts";
import { bindSource, targetFault } from "./bind-path.ts";

type MountType = MountOption["type"];

const types: readonly MountType[] = ["bind", "volume", "tmpfs"];

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
  "volume-nocopy": "volume",
  "volume-driver": "volume",
  "tmpfs-size": "tmpfs",
  "tmpfs-mode": "tmpfs",
};

const otherNames: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
};

/** Keys that mean true when they stand alone. */
const switches = new Set(["readonly", "bind-nonrecursive", "volume-nocopy"]);

/** Docker's keys that gocker refuses: it would not do what they say. */
const absent = new Set(["volume-opt", "volume-label", "volume-subpath", "image-subpath"]);

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
  const fields = readFields(text);
  const type = oneOf(text, "type", fields.get("type") ?? "volume", types);
  for (const key of fields.keys()) {
    const only = keys[key];
    if (only !== "any" && only !== type)
      throw wrong(text, `${key} is for mounts of type ${only}, and this is a ${type}`);
  }
  const target = fields.get("target");
  if (target === undefined || target === "") throw wrong(text, "target is required");
  const fault = targetFault(target);
  if (fault !== undefined) throw wrong(text, fault);
  const readOnly = readSwitch(text, fields, "readonly");
  const source = fields.get("source") ?? "";

  if (type === "tmpfs") {
    if (source !== "") throw wrong(text, "a tmpfs has no source");
    return { type, target, options: tmpfsOptions(text, fields, readOnly) };
  }
  if (type === "volume") {
    const driver = fields.get("volume-driver") ?? "local";
    if (driver !== "local") throw wrong(text, `gocker has no volume driver ${driver}`);
    const name = source === "" ? {} : { name: volumeName(text, source) };
    return { type, ...name, target, readOnly, noCopy: readSwitch(text, fields, "volume-nocopy") };
  }
  if (source === "") throw wrong(text, "a bind mount needs a source");
  const path = bindSource(source, currentDirectory);
  if (path === undefined)
    throw wrong(text, `the source ${JSON.stringify(source)} is neither absolute nor begins with .`);
  const propagation = fields.get("bind-propagation");
  return {
    type,
    source: path,
    target,
    readOnly,
    createSource: false,
    recursive: readRecursive(text, fields),
    ...(propagation === undefined ? {} : { propagation: oneOf(text, "bind-propagation", propagation, propagations) }),
  };
}

function readFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitCsv(text)) {
    const equals = field.indexOf("=");
    const given = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = (Object.hasOwn(otherNames, given) ? otherNames[given] : undefined) ?? given;
    if (absent.has(key)) throw wrong(text, `${key} is a key of Docker's that gocker does not have yet`);
    if (!Object.hasOwn(keys, key)) {
      if (equals < 0) throw wrong(text, `the field ${JSON.stringify(field)} is not of the form key=value`);
      const near = nearestNames(key, [...Object.keys(keys), ...Object.keys(otherNames)]);
      const advice = near.length === 0 ? "" : `; did you mean ${alternatives(near)}?`;
      throw wrong(text, `there is no key ${JSON.stringify(given)}${advice}`);
    }
    if (equals < 0 && !switches.has(key)) throw wrong(text, `${key} needs a value`);
    fields.set(key, equals < 0 ? "true" : field.slice(equals + 1));
  }
  return fields;
}

/** The fields of one line of CSV, with Go's rules: a field in double quotes may hold commas and doubled quotes. */
function splitCsv(text: string): string[] {
  const fields: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = field.exec(text);
    if (match === null) throw wrong(text, "a quote stands where none may, or is not closed");
    const [, quoted, plain = "", end] = match;
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "") return fields;
  }
}

function readRecursive(text: string, fields: ReadonlyMap<string, string>): boolean {
  const recursive = fields.get("bind-recursive");
  if (recursive === undefined) return !readSwitch(text, fields, "bind-nonrecursive");
  if (recursive === "writable")
    throw wrong(text, "bind-recursive=writable is not supported: gocker makes all of it read-only");
  // "readonly" is what gocker does anyway with a recursive mount that is read-only.
  return oneOf(text, "bind-recursive", recursive, ["enabled", "disabled", "readonly"]) !== "disabled";
}

function readSwitch(text: string, fields: ReadonlyMap<string, string>, key: string): boolean {
  const value = fields.get(key) ?? "false";
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw wrong(text, `${key} is true or false, not ${JSON.stringify(value)}`);
}

function tmpfsOptions(text: string, fields: ReadonlyMap<string, string>, readOnly: boolean): string[] {
  const options: string[] = readOnly ? ["ro"] : [];
  const size = fields.get("tmpfs-size");
  if (size !== undefined) options.push(`size=${readBytes(text, size)}`);
  const mode = fields.get("tmpfs-mode");
  if (mode !== undefined) {
    if (!/^[0-7]{1,4}$/.test(mode)) throw wrong(text, `tmpfs-mode is an octal number, not ${JSON.stringify(mode)}`);
    options.push(`mode=${mode}`);
  }
  return options;
}

/** Powers of 1024. */
const binaryUnits = ["", "k", "m", "g", "t", "p"];

/** A number of bytes with Docker's binary units (`64m`, `1.5GiB`). */
function readBytes(text: string, size: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(size) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** binaryUnits.indexOf(unit.toLowerCase()));
  if (!Number.isSafeInteger(bytes)) throw wrong(text, `tmpfs-size is a size such as 64m, not ${JSON.stringify(size)}`);
  return bytes;
}

function volumeName(text: string, name: string): string {
  try {
    return parseName(name, "volume");
  } catch (cause) {
    throw new UsageError(`invalid --mount ${JSON.stringify(text)}: ${JSON.stringify(name)} is no name for a volume`, {
      hint: "a directory of the host needs type=bind",
      cause,
    });
  }
}

function oneOf<Value extends string>(text: string, key: string, value: string, allowed: readonly Value[]): Value {
  const found = allowed.find((one) => one === value.toLowerCase());
  if (found === undefined) throw wrong(text, `${key} is ${alternatives(allowed)}, not ${JSON.stringify(value)}`);
  return found;
}

function wrong(text: string, reason: string): UsageError {
  return new UsageError(`invalid --mount ${JSON.stringify(text)}: ${reason}`, {
    hint: "it looks like type=bind,source=/host/directory,target=/in/container,readonly",
  });
}
