import { posix } from "node:path";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";
import { normaliseCgroupPath } from "./cgroup/path.ts";
import { makeNewCgroup, type NewCgroup } from "./cgroup/new-cgroup.ts";
import { deviceRules } from "./default-devices.ts";

/** Where a container's cgroup will be. */
export interface CgroupPlace {
  /** Below each hierarchy's mount point. */
  readonly path: string;
  /** The unit and the slice that it will be in, where systemd makes it. */
  readonly unit?: string;
  readonly slice?: string;
}

/** @throws InvalidDocumentError `linux.cgroupsPath` names no cgroup, or is not of the form that systemd needs */
export async function cgroupPlaceOf(
  { linux }: RuntimeSpec,
  { id, systemdCgroup }: { readonly id: string; readonly systemdCgroup: boolean },
): Promise<CgroupPlace> {
  const path = linux?.cgroupsPath ?? "";
  if (systemdCgroup) return (await import("./cgroup/systemd-path.ts")).parseSystemdCgroupsPath(path, id);
  if (path === "") return { path: `/gocker/${id}` };
  // A path relative to a place of the runtime's choice is gocker's own. config-linux.md, "Cgroups Path"
  const absolute = path.startsWith("/") ? path : posix.join("/gocker", path);
  try {
    normaliseCgroupPath(absolute);
  } catch (error) {
    throw new InvalidDocumentError(`linux.cgroupsPath: ${(error as Error).message}`, { cause: error });
  }
  return { path: absolute };
}

/**
 * Makes the cgroup of a container: by itself, or by systemd.
 * @throws CgroupError it cannot be made here; InvalidDocumentError a limit or an annotation is none
 */
export async function makeContainerCgroup(place: CgroupPlace, spec: RuntimeSpec, id: string): Promise<NewCgroup> {
  const { devices, ...resources } = spec.linux?.resources ?? {};
  const limits = { resources, deviceRules: deviceRules(devices) };
  const { path, unit, slice } = place;
  if (unit === undefined || slice === undefined) return makeNewCgroup(path, limits);
  const { connectSystemd, NewScope } = await import("./cgroup/scope.ts");
  const { annotatedProperties } = await import("./cgroup/systemd-annotations.ts");
  const properties = annotatedProperties(spec.annotations ?? {});
  const description = `gocker container ${id}`;
  return await NewScope.make(await connectSystemd(), { path, unit, slice }, { ...limits, description, properties });
}
