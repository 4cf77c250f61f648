import { accessSync, constants, readFileSync } from "node:fs";
import { posix } from "node:path";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";
import { splitPath } from "../util/path.ts";
import { normaliseCgroupPath } from "./cgroup/path.ts";
import { type CgroupHost, type CgroupMembership, detectCgroups, parseProcCgroup } from "./cgroup/detect.ts";
import { CgroupError, codeOf, isRefusal } from "./cgroup/errors.ts";
import { makeNewCgroup, type NewCgroup, withoutCgroup } from "./cgroup/new-cgroup.ts";
import { deviceRules } from "./default-devices.ts";

/** Where a container's cgroup will be. */
export interface CgroupPlace {
  /** gocker may do without, where the host refuses it: see `makeContainerCgroup`. */
  readonly isOptional?: boolean;
  /** Below each hierarchy's mount point. */
  readonly path: string;
  /** The unit and the slice that it will be in, where systemd makes it. */
  readonly unit?: string;
  readonly slice?: string;
}

/** What decides where a container's cgroup will be, besides its specification. */
export interface CgroupPlaceOptions {
  readonly id: string;
  readonly systemdCgroup: boolean;
  /** See `CreateOptions.isRootless`. */
  readonly isRootless?: boolean | undefined;
  /** The cgroup below which gocker has its own. */
  readonly base?: string | undefined;
}

/** @throws InvalidDocumentError `linux.cgroupsPath` names no cgroup, or is not of the form that systemd needs */
export async function cgroupPlaceOf(
  { linux }: RuntimeSpec,
  { id, systemdCgroup, isRootless = false, base = "/" }: CgroupPlaceOptions,
): Promise<CgroupPlace> {
  const path = linux?.cgroupsPath ?? "";
  if (systemdCgroup) return (await import("./cgroup/systemd-path.ts")).parseSystemdCgroupsPath(path, id);
  if (path === "") return { path: posix.join(base, "gocker", id), ...(isRootless && { isOptional: true }) };
  // A path relative to a place of the runtime's choice is gocker's own. config-linux.md, "Cgroups Path"
  const absolute = path.startsWith("/") ? path : posix.join(base, "gocker", path);
  try {
    normaliseCgroupPath(absolute);
  } catch (error) {
    throw new InvalidDocumentError(`linux.cgroupsPath: ${(error as Error).message}`, { cause: error });
  }
  return { path: absolute };
}

/**
 * The cgroup below which a user may have a part of its own: in version 2 beside the one that gocker is in, as with runc,
 * since a process can only be moved to where its mover may write what is above both. cgroup-v2.rst, "Delegation Containment"
 * @param memberships of gocker's own process
 */
export function baseOfUser({ v1 }: CgroupHost, memberships: readonly CgroupMembership[]): string {
  const own = memberships.find(({ hierarchyId }) => hierarchyId === 0)?.path;
  // One that begins with `..` is above the root of gocker's cgroup namespace.
  return v1.length > 0 || own === undefined || own.startsWith("/..") ? "/" : posix.dirname(own);
}

/**
 * Makes the cgroup of a container: by itself, or by systemd; or none, where that is allowed and the host refuses it.
 * @throws CgroupError it cannot be made here; InvalidDocumentError a limit or an annotation is none
 */
export async function makeContainerCgroup(
  place: CgroupPlace,
  spec: RuntimeSpec,
  { id, isRootless = false }: Pick<CgroupPlaceOptions, "id" | "isRootless">,
): Promise<NewCgroup> {
  const { devices, ...resources } = spec.linux?.resources ?? {};
  const limits = { resources, deviceRules: deviceRules(devices) };
  const { path, unit, slice } = place;
  if (unit === undefined || slice === undefined) {
    try {
      if (place.isOptional === true) requireWayInto(path, detectCgroups(), parseProcCgroup(ownMemberships()));
      return makeNewCgroup(path, limits, { isRootless });
    } catch (error) {
      if (place.isOptional !== true || !isRefusal(error)) throw error;
      if (!asksForAnything(resources)) return withoutCgroup((error as Error).message);
      throw new CgroupError("CGROUPS_NOT_WRITABLE", `linux.resources: ${(error as Error).message}`, {
        hint: "leave the limits out, or have a part of the cgroups given to the user who runs gocker (delegation)",
        cause: error,
      });
    }
  }
  const { connectSystemd, NewScope } = await import("./cgroup/scope.ts");
  const { annotatedProperties } = await import("./cgroup/systemd-annotations.ts");
  const properties = annotatedProperties(spec.annotations ?? {});
  const description = `gocker container ${id}`;
  return await NewScope.make(await connectSystemd(), { path, unit, slice }, { ...limits, description, properties });
}

function ownMemberships(): string {
  return readFileSync("/proc/self/cgroup", "utf8");
}

/**
 * Makes sure that processes can be put into a cgroup that is to be made in version 2, before it is.
 * @param mayWrite whether gocker may write to a file; a missing one is another's to complain about
 * @throws CgroupError the kernel would refuse it
 */
export function requireWayInto(
  path: string,
  { v2 }: CgroupHost,
  memberships: readonly CgroupMembership[],
  mayWrite: (file: string) => boolean = isWritable,
): void {
  const own = memberships.find(({ hierarchyId }) => hierarchyId === 0)?.path;
  if (v2 === undefined || own === undefined) return;
  const file = `${v2}${posix.join(commonParent(own, path), "cgroup.procs")}`;
  if (mayWrite(file)) return;
  throw new CgroupError(
    "CGROUPS_NOT_WRITABLE",
    `processes cannot be put into cgroups here: no right to write to ${file}`,
  );
}

/** The deepest directory that is above, or is, both. */
function commonParent(one: string, other: string): string {
  const names = splitPath(one);
  const others = splitPath(other);
  const different = names.findIndex((name, index) => name !== others[index]);
  return `/${names.slice(0, different < 0 ? names.length : different).join("/")}`;
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch (error) {
    return codeOf(error) === "ENOENT";
  }
}

/** Whether there is any value in it, however deep. */
function asksForAnything(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  return typeof value !== "object" || Object.values(value).some(asksForAnything);
}
