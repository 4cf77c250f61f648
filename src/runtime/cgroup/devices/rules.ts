import { InvalidDocumentError } from "../../../util/errors.ts";
import type { DeviceCgroupRule } from "../../../oci/runtime-spec.ts";

/** What can be done with a device, as bits: the kernel's BPF_DEVCG_ACC_*. linux/bpf.h */
export const deviceAccess = { mknod: 1, read: 2, write: 4, all: 7 } as const;

/** A device rule in one form: a single type, wildcards undefined, access as bits of {@link deviceAccess}. */
export interface DeviceRule {
  readonly allow: boolean;
  readonly type: "c" | "b";
  /** Undefined: every major number. */
  readonly major: number | undefined;
  /** Undefined: every minor number. */
  readonly minor: number | undefined;
  readonly access: number;
}

/**
 * What a list of rules comes to: an answer for every device, and then rules of which the last that fits decides, for
 * each of the accesses on its own.
 */
export interface DeviceRules {
  readonly allowByDefault: boolean;
  readonly rules: readonly DeviceRule[];
}

/**
 * The rules of `linux.resources.devices` in one form; without any rule everything is denied. What stands before a rule
 * for everything is left out, as nothing of it is in force.
 * @throws InvalidDocumentError a rule has a type, a number or an access that the specification does not know
 */
export function normaliseDeviceRules(list: readonly DeviceCgroupRule[]): DeviceRules {
  let allowByDefault = false;
  let rules: DeviceRule[] = [];
  for (const [index, rule] of list.entries()) {
    const where = `linux.resources.devices[${index}]`;
    const { allow } = rule;
    const types = deviceTypes(rule.type, where);
    const major = deviceNumber(rule.major, `${where}.major`);
    const minor = deviceNumber(rule.minor, `${where}.minor`);
    const access = accessBits(rule.access, where);
    if (types.length === 2 && major === undefined && minor === undefined && access === deviceAccess.all) {
      allowByDefault = allow;
      rules = [];
      continue;
    }
    for (const type of types) rules.push({ allow, type, major, minor, access });
  }
  return { allowByDefault, rules };
}

function deviceTypes(type: string | undefined, where: string): readonly ("c" | "b")[] {
  switch (type) {
    case undefined:
    case "a":
      return ["c", "b"];
    case "c":
    case "b":
      return [type];
    default:
      throw new InvalidDocumentError(`${where}.type is "${type}": expected a, b or c`);
  }
}

/** -1 is a wildcard too: Docker and containerd write it. */
function deviceNumber(number: number | undefined, where: string): number | undefined {
  if (number === undefined || number === -1) return undefined;
  if (Number.isInteger(number) && number >= 0 && number <= 0x7fffffff) return number;
  throw new InvalidDocumentError(`${where} is ${number}: expected a device number`);
}

function accessBits(access: string | undefined, where: string): number {
  if (access === undefined) return deviceAccess.all;
  let bits = 0;
  for (const letter of access) {
    switch (letter) {
      case "r":
        bits |= deviceAccess.read;
        break;
      case "w":
        bits |= deviceAccess.write;
        break;
      case "m":
        bits |= deviceAccess.mknod;
        break;
      case "a":
        // runc takes it beside the others, for nothing; alone it is nothing to allow or deny.
        break;
      default:
        throw new InvalidDocumentError(`${where}.access is "${access}": expected some of r, w and m`);
    }
  }
  if (bits === 0) throw new InvalidDocumentError(`${where}.access is "${access}": expected some of r, w and m`);
  return bits;
}

/** Access bits in the letters of the specification, and a number or `*`: for messages and the kernel's version 1 files. */
export function formatDeviceRule(rule: Omit<DeviceRule, "allow">): string {
  const { access } = rule;
  const letters =
    (access & deviceAccess.read ? "r" : "") +
    (access & deviceAccess.write ? "w" : "") +
    (access & deviceAccess.mknod ? "m" : "");
  return `${rule.type} ${rule.major ?? "*"}:${rule.minor ?? "*"} ${letters}`;
}
