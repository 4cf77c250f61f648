import { InvalidDocumentError } from "../../util/errors.ts";

/** A container's cgroup where systemd makes it: a unit of the kind "scope" in a slice. systemd.scope(5) */
export interface SystemdCgroupsPath {
  /** `system.slice`, `machine-libpod_pod_1.slice` */
  readonly slice: string;
  /** `runc-<id>.scope` */
  readonly unit: string;
  /** Absolute, where systemd puts it: `/machine.slice/machine-libpod_pod_1.slice/libpod-<id>.scope`. */
  readonly path: string;
}

/** How the names of units begin for which the specification has no prefix, as runc's do with its own name. */
const defaultPrefix = "gocker";

/**
 * `linux.cgroupsPath` in the form that `--systemd-cgroup` calls for: `slice:prefix:name`, as runc has it. Without a slice
 * it is `system.slice`; without a path at all the name is the container's ID.
 * @throws InvalidDocumentError it is not of that form
 */
export function parseSystemdCgroupsPath(path: string, id: string): SystemdCgroupsPath {
  const parts = (path === "" ? `:${defaultPrefix}:${id}` : path).split(":");
  const where = `linux.cgroupsPath ${JSON.stringify(path === "" ? id : path)}`;
  if (parts.length !== 3) {
    throw new InvalidDocumentError(`${where} is not of the form slice:prefix:name, which systemd needs`, {
      hint: "with --systemd-cgroup a cgroup is named like system.slice:gocker:ID; without it a path such as /gocker/ID",
    });
  }
  const [given, prefix, name] = parts as [string, string, string];
  const slice = given === "" ? "system.slice" : given;
  if (name === "") throw new InvalidDocumentError(`${where} has no name after the last colon`);
  if (name.endsWith(".slice"))
    throw new InvalidDocumentError(`${where} names a slice, in which there are no processes`);
  // systemd.unit(5): what a unit's name may consist of; a slash would lead to another cgroup.
  if (!/^[A-Za-z0-9:_.\\-]*$/.test(prefix + name)) {
    throw new InvalidDocumentError(`${where} has characters that no unit of systemd's may have in its name`);
  }
  const unit = `${prefix === "" ? name : `${prefix}-${name}`}.scope`;
  // UNIT_NAME_MAX of systemd's.
  if (unit.length > 255) throw new InvalidDocumentError(`${where} is longer than a unit's name may be`);
  return { slice, unit, path: `${expandSlice(slice, where)}/${unit}` };
}

/**
 * Where a slice lies: each dash in its name stands for a slice within another. systemd.slice(5)
 * `a-b.slice` is `/a.slice/a-b.slice`, and `-.slice` the root, which is empty.
 * @param where the property's path and value, for errors
 * @throws InvalidDocumentError it is not the name of a slice
 */
export function expandSlice(slice: string, where: string): string {
  if (slice === "-.slice") return "";
  const name = slice.endsWith(".slice") ? slice.slice(0, -".slice".length) : "";
  const parts = name.split("-");
  if (!/^[A-Za-z0-9:_.\\-]+$/.test(name) || parts.includes("")) {
    throw new InvalidDocumentError(`${where}: "${slice}" is not the name of a slice of systemd's`);
  }
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}
