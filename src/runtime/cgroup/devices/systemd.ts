import { CgroupError } from "../errors.ts";
import type { UnitProperty } from "../systemd.ts";
import type { DeviceRules } from "./rules.ts";
import { deviceWrites } from "./v1.ts";

/**
 * Device rules as properties of a unit, for cgroups of version 1: systemd writes the files of that controller anew
 * whenever it is reloaded, and without these it would allow everything. In version 2 the rules are a program of gocker's
 * own, which systemd leaves alone. systemd.resource-control(5), "DeviceAllow="
 * @throws CgroupError systemd cannot be told to deny a single device, or the kernel cannot
 */
export function deviceProperties(rules: DeviceRules): UnitProperty[] {
  const writes = deviceWrites(rules);
  if (rules.allowByDefault) {
    if (writes.length === 0) return policy("auto", []);
    throw new CgroupError(
      "CGROUPS_UNABLE",
      "linux.resources.devices denies single devices and allows all others, which systemd cannot do with cgroups of version 1",
      { hint: "list the devices that are allowed, or leave --systemd-cgroup out" },
    );
  }
  const allowed = writes.flatMap(({ file, value }) => (file === "devices.allow" ? entryOf(value) : []));
  return policy("strict", allowed);
}

function policy(name: string, allowed: readonly (readonly [string, string])[]): UnitProperty[] {
  return [
    ["DevicePolicy", { signature: "s", value: name }],
    ["DeviceAllow", { signature: "a(ss)", value: allowed }],
  ];
}

/**
 * A line of `devices.allow` as systemd names it. Numbers instead of the names of /proc/devices are known since version
 * 240. There is no form for one minor number of all majors: that holds by the file, until systemd is reloaded.
 */
function entryOf(line: string): (readonly [string, string])[] {
  const [, type = "", major = "", minor = "", access = ""] = /^([bc]) (\S+):(\S+) (\w+)$/.exec(line) ?? [];
  const kind = type === "c" ? "char" : "block";
  if (minor !== "*") return major === "*" ? [] : [[`/dev/${kind}/${major}:${minor}`, access]];
  return [[`${kind}-${major}`, access]];
}
