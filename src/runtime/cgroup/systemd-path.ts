import { UsageError } from "../../util/errors.ts";

/** A container's cgroup where systemd makes it: a unit of the kind "scope" in a slice. systemd.scope(5) */
export interface SystemdCgroupsPath {
  /** `system.slice`, `machine-libpod_pod_1.slice` */
  readonly slice: string;
  /** `runc-<id>.scope`, or a slice where the path names one. */
  readonly unit: string;
  /** Absolute, where systemd puts it: `/machine.slice/machine-libpod_pod_1.slice/libpod-<id>.scope`. */
  readonly path: string;
}

/**
 * The `cgroupsPath` of a runtime specification in the form that `--systemd-cgroup` calls for: `slice:prefix:name`, as
 * runc has it. Without a slice it is `system.slice`; a name that ends in `.slice` is a slice of its own, without prefix.
 * @throws UsageError it is not of that form
 */
export function parseSystemdCgroupsPath(path: string): SystemdCgroupsPath {
  const parts = path.split(":");
  if (parts.length !== 3) {
    throw new UsageError(`the cgroup path "${path}" is not of the form slice:prefix:name, which systemd needs`);
  }
  const [given, prefix, name] = parts as [string, string, string];
  const slice = given === "" ? "system.slice" : given;
  if (name === "") throw new UsageError(`the cgroup path "${path}" has no name after the last colon`);
  // systemd.unit(5): what a unit's name may consist of; a slash would lead to another cgroup.
  if (!/^[A-Za-z0-9:_.\\-]*$/.test(prefix + name)) {
    throw new UsageError(`the cgroup path "${path}" has characters that no unit of systemd's may have in its name`);
  }
  const unit = name.endsWith(".slice") ? name : prefix === "" ? `${name}.scope` : `${prefix}-${name}.scope`;
  return { slice, unit, path: `${expandSlice(slice)}/${unit}` };
}

/**
 * Where a slice lies: each dash in its name stands for a slice within another. systemd.slice(5)
 * `a-b.slice` is `/a.slice/a-b.slice`, and `-.slice` the root, which is empty.
 * @throws UsageError it is not the name of a slice
 */
export function expandSlice(slice: string): string {
  if (slice === "-.slice") return "";
  const name = slice.endsWith(".slice") ? slice.slice(0, -".slice".length) : "";
  const parts = name.split("-");
  if (!/^[A-Za-z0-9:_.\\-]+$/.test(name) || parts.includes("")) {
    throw new UsageError(`"${slice}" is not the name of a slice of systemd's`);
  }
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}
