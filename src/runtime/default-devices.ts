import type { DeviceCgroupRule, RuntimeSpec } from "../oci/runtime-spec.ts";
import { splitPath } from "../util/path.ts";
import { defaultDevices } from "./plan/devices.ts";

const allow = (type: "c" | "b", major: number | undefined, minor: number | undefined, access: string) => ({
  allow: true,
  type,
  ...(major !== undefined && { major }),
  ...(minor !== undefined && { minor }),
  access,
});

/**
 * What every container may use besides what its specification says, as runc has it: to make any device (which does not
 * open it), the default devices, and terminals. The last rule that fits decides, so these come after the others.
 */
const alwaysAllowed: readonly DeviceCgroupRule[] = [
  allow("c", undefined, undefined, "m"),
  allow("b", undefined, undefined, "m"),
  allow("c", 1, 3, "rwm"), // null
  allow("c", 1, 5, "rwm"), // zero
  allow("c", 1, 7, "rwm"), // full
  allow("c", 5, 0, "rwm"), // tty
  allow("c", 1, 8, "rwm"), // random
  allow("c", 1, 9, "rwm"), // urandom
  allow("c", 136, undefined, "rwm"), // terminals of a devpts
  allow("c", 5, 2, "rwm"), // ptmx
];

/** The device rules of a container: those of its specification, else that nothing is allowed, and the above. */
export function deviceRules(own: readonly DeviceCgroupRule[] | undefined): DeviceCgroupRule[] {
  const rules = own === undefined || own.length === 0 ? [{ allow: false, access: "rwm" }] : own;
  return [...rules, ...alwaysAllowed];
}

/**
 * A specification that has nothing at /dev gets the default devices among its own, so that they are made in the root
 * directory. Where there is a mount they are made in it, unless it is the host's; and in a user namespace none can be made,
 * nor a place for the host's in a directory that is not its root's. config-linux.md, "Default Devices"
 */
export function withDefaultDevices(spec: RuntimeSpec): RuntimeSpec {
  const places = new Set((spec.mounts ?? []).map(({ destination }) => splitPath(destination).join("/")));
  const hasUsers = (spec.linux?.namespaces ?? []).some(({ type }) => type === "user");
  if (places.has("dev") || places.has("") || hasUsers) return spec;
  const own = spec.linux?.devices ?? [];
  const named = new Set(own.map(({ path }) => path));
  const missing = defaultDevices.filter(({ path }) => !named.has(path));
  return { ...spec, linux: { ...spec.linux, devices: [...missing, ...own] } };
}
