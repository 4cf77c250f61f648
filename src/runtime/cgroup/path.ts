import { UsageError } from "../../util/errors.ts";

/**
 * The `cgroupsPath` of a runtime specification as gocker uses it: absolute below each hierarchy's mount point, plain
 * names only. A relative path is taken from there too, as the specification leaves to the runtime (config-linux.md,
 * "Cgroups Path").
 * @throws UsageError the path leads nowhere else than to the root, climbs with `..`, or is not a path
 */
export function normaliseCgroupPath(path: string): string {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.length === 0) throw new UsageError(`"${path}" does not name a cgroup of the container's own`);
  for (const name of names) {
    if (name === "..") throw new UsageError(`the cgroup path "${path}" must not contain ".."`);
    if (/[\0\n]/.test(name))
      throw new UsageError(`the cgroup path ${JSON.stringify(path)} contains a NUL or a newline`);
  }
  return `/${names.join("/")}`;
}
