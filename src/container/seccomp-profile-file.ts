import { readFileSync } from "node:fs";
import { type ErrnoName, errnos } from "../linux/errno.ts";
import { type KernelVersion, parseKernelVersion } from "../linux/kernel.ts";
import { asArray, asObject, asString, asStrings, kindOf, optional, withoutUndefined } from "../oci/json.ts";
import type { SeccompAction, SeccompArg, SeccompOperator } from "../oci/runtime-spec.ts";
import { returnValue } from "../runtime/seccomp/actions.ts";
import { readCondition } from "../runtime/seccomp/conditions.ts";
import { GockerError, InvalidDocumentError, UsageError } from "../util/errors.ts";
import { parseExactJson } from "../util/exact-json.ts";
import type { ProfileArchitecture, ProfileFilter, ProfileRule, SeccompProfile } from "./seccomp-profile-rules.ts";

/**
 * Reads a profile in Docker's format from a file of the host.
 * Throws UsageError when it cannot be read, and as {@link parseSeccompProfile} does.
 */
export function readSeccompProfile(path: string): SeccompProfile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`the seccomp profile ${path} cannot be read`, { cause });
  }
  return parseSeccompProfile(text, path);
}

/**
 * Reads a profile in Docker's format. Keys that it does not have are ignored, as Docker ignores them; podman's `errno`
 * and `defaultErrno` (an error's name) count when the number is absent.
 * Throws InvalidDocumentError that names the file and the place in it.
 */
export function parseSeccompProfile(text: string, path: string): SeccompProfile {
  try {
    let document: unknown;
    try {
      document = parseExactJson(text);
    } catch (cause) {
      throw new InvalidDocumentError(`not JSON (${(cause as Error).message})`, { cause });
    }
    return readProfile(document);
  } catch (error) {
    if (!(error instanceof GockerError)) throw error;
    throw new InvalidDocumentError(`the seccomp profile ${path} is wrong: ${error.message}`, {
      hint: error.hint,
      cause: error,
    });
  }
}

function readProfile(value: unknown): SeccompProfile {
  const document = asObject(value, "the profile");
  const { defaultAction, archMap, architectures, flags, listenerPath, listenerMetadata, syscalls } = document;
  if (defaultAction === undefined) {
    throw new InvalidDocumentError("defaultAction is missing", {
      hint: "to run without a filter give seccomp=unconfined",
    });
  }
  const profile = withoutUndefined<SeccompProfile>({
    defaultAction: asString(defaultAction, "defaultAction") as SeccompAction,
    defaultErrnoRet: errorNumber(document["defaultErrnoRet"], document["defaultErrno"], "defaultErrno"),
    archMap: optional(archMap, (map) => readList(map, "archMap", readArchitecture)),
    architectures: optional(architectures, (names) => asStrings(names, "architectures")),
    flags: optional(flags, (names) => asStrings(names, "flags")),
    listenerPath: optional(listenerPath, (text) => asString(text, "listenerPath")),
    listenerMetadata: optional(listenerMetadata, (text) => asString(text, "listenerMetadata")),
    syscalls: optional(syscalls, (rules) => readList(rules, "syscalls", readRule)) ?? [],
  });
  returnValue(profile.defaultAction, profile.defaultErrnoRet);
  if (profile.archMap?.length && profile.architectures?.length) {
    throw new InvalidDocumentError("it has both architectures and archMap", { hint: "give one of them" });
  }
  return profile;
}

/** Reads a list, and adds the place to errors that do not name it. */
function readList<Entry>(value: unknown, what: string, read: (entry: unknown) => Entry): Entry[] {
  return asArray(value, what).map((entry, index) => {
    try {
      return read(entry);
    } catch (error) {
      if (!(error instanceof GockerError)) throw error;
      throw new InvalidDocumentError(`${what}[${index}]: ${error.message}`, { hint: error.hint, cause: error });
    }
  });
}

function readArchitecture(value: unknown): ProfileArchitecture {
  const entry = asObject(value, "the entry");
  return {
    architecture: asString(entry["architecture"], "architecture"),
    subArchitectures: optional(entry["subArchitectures"], (names) => asStrings(names, "subArchitectures")) ?? [],
  };
}

function readRule(value: unknown): ProfileRule {
  const { name, names, action, errnoRet, errno, args, includes, excludes } = asObject(value, "the rule");
  const rule = withoutUndefined<ProfileRule>({
    names: readNames(name, names),
    action: asString(action, "action") as SeccompAction,
    errnoRet: errorNumber(errnoRet, errno, "errno"),
    args: optional(args, (list) => readList(list, "args", readArg)),
    includes: optional(includes, (filter) => readFilter(filter, "includes")),
    excludes: optional(excludes, (filter) => readFilter(filter, "excludes")),
  });
  returnValue(rule.action, rule.errnoRet);
  return rule;
}

/** `name` is how a rule was written before it could have several. */
function readNames(name: unknown, names: unknown): string[] {
  const single = optional(name, (text) => asString(text, "name")) ?? "";
  const several = optional(names, (list) => asStrings(list, "names")) ?? [];
  if (single !== "" && several.length > 0) throw new InvalidDocumentError("it has both name and names");
  if (single !== "") return [single];
  if (several.length === 0) throw new InvalidDocumentError("names is missing or empty");
  return several;
}

function readArg(value: unknown): SeccompArg {
  const entry = asObject(value, "the condition");
  const arg: SeccompArg = {
    index: asNumber(entry["index"] ?? 0, "index") as number,
    op: asString(entry["op"], "op") as SeccompOperator,
    value: asNumber(entry["value"] ?? 0, "value"),
    valueTwo: asNumber(entry["valueTwo"] ?? 0, "valueTwo"),
  };
  readCondition(arg);
  return arg;
}

function readFilter(value: unknown, what: string): ProfileFilter {
  const { caps, arches, minKernel } = asObject(value, what);
  return withoutUndefined<ProfileFilter>({
    caps: optional(caps, (names) => asStrings(names, `${what}.caps`)),
    arches: optional(arches, (names) => asStrings(names, `${what}.arches`)),
    minKernel: optional(minKernel, (version) => readKernel(version, `${what}.minKernel`)),
  });
}

function readKernel(value: unknown, what: string): KernelVersion | undefined {
  const text = asString(value, what);
  if (text === "") return undefined;
  if (/^\d{1,3}\.\d{1,3}$/.test(text)) return parseKernelVersion(text);
  throw new InvalidDocumentError(`${what} must be like "4.8", not ${JSON.stringify(text)}`);
}

function errorNumber(number: unknown, name: unknown, what: string): number | undefined {
  if (number !== undefined && number !== null) return asNumber(number, `${what}Ret`) as number;
  const text = optional(name, (entry) => asString(entry, what)) ?? "";
  if (text === "") return undefined;
  if (Object.hasOwn(errnos, text)) return errnos[text as ErrnoName];
  throw new InvalidDocumentError(`${what} is unknown: ${JSON.stringify(text)}`);
}

function asNumber(value: unknown, what: string): number | bigint {
  if (typeof value === "number" || typeof value === "bigint") return value;
  throw new InvalidDocumentError(`${what} must be a number, not ${kindOf(value)}`);
}
