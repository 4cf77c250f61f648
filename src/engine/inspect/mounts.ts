import type { BindMountOption, MountOption } from "../../container/options.ts";
import type { RecordedMount } from "../../container/record.ts";
import { omitEmpty } from "../../util/document.ts";
import type { ContainerFacts } from "./facts.ts";

/** What is mounted in a container by its user's wish or its image's, as `.Mounts` has it. */
export function mountPoints(facts: ContainerFacts) {
  return facts.record.mounts.map((mount) => mountPoint(mount, facts));
}

function mountPoint(mount: RecordedMount, facts: ContainerFacts) {
  const { type, name = "", source = "", destination, readOnly, propagation = "rprivate" } = mount;
  const asked = facts.record.options?.mounts?.find(({ target }) => target === destination);
  return omitEmpty(
    {
      Type: type,
      Name: name,
      Source: type === "volume" ? facts.volumePath(name) : source,
      Destination: destination,
      Driver: type === "volume" ? "local" : "",
      Mode: asked === undefined ? "" : modeOf(asked).join(","),
      RW: !readOnly,
      Propagation: type === "bind" ? propagation : "",
    },
    "Name",
    "Driver",
  );
}

/** What stands behind the second colon of `-v`. */
function modeOf(mount: MountOption): string[] {
  if (mount.type === "tmpfs" || mount.type === "image") return [];
  const { chown, relabel } = mount.adjust ?? {};
  const words = [...(mount.readOnly ? ["ro"] : []), ...(relabel ? ["z"] : []), ...(chown ? ["U"] : [])];
  if (mount.type === "volume") return mount.noCopy ? [...words, "nocopy"] : words;
  return mount.propagation === undefined ? words : [...words, mount.propagation];
}

/** What `-v` asked for, as it is written there. `--mount` is told apart by that it makes no directories on the host. */
export function bindTexts(mounts: readonly MountOption[]): string[] {
  return mounts.flatMap((mount) => {
    if (mount.type === "tmpfs" || mount.type === "image" || (mount.type === "bind" && !mount.createSource)) return [];
    const source = mount.type === "bind" ? mount.source : mount.name;
    if (source === undefined) return [];
    const mode = modeOf(mount).join(",");
    return [`${source}:${mount.target}${mode === "" ? "" : `:${mode}`}`];
  });
}

/** What `--mount` asked for of the host's files and of images, as `.HostConfig.Mounts` has it. */
export function mountRequests(mounts: readonly MountOption[]) {
  return [...bindRequests(mounts), ...imageRequests(mounts)];
}

function imageRequests(mounts: readonly MountOption[]) {
  return mounts.flatMap((mount) => {
    if (mount.type !== "image") return [];
    const { image, target, subpath } = mount;
    const options = subpath === undefined ? null : { Subpath: subpath };
    return [omitEmpty({ Type: "image", Source: image, Target: target, ImageOptions: options }, "ImageOptions")];
  });
}

function bindRequests(mounts: readonly MountOption[]) {
  return mounts
    .filter((mount): mount is BindMountOption => mount.type === "bind" && !mount.createSource)
    .map(({ source, target, readOnly, propagation = "", recursive, createMountpoint = false }) =>
      omitEmpty(
        {
          Type: "bind",
          Source: source,
          Target: target,
          ReadOnly: readOnly,
          BindOptions:
            propagation === "" && recursive && !createMountpoint
              ? null
              : omitEmpty(
                  { Propagation: propagation, NonRecursive: !recursive, CreateMountpoint: createMountpoint },
                  "Propagation",
                  "NonRecursive",
                  "CreateMountpoint",
                ),
        },
        "ReadOnly",
        "BindOptions",
      ),
    );
}

/** What `--tmpfs` asked for: options by targets. */
export function tmpfsOptions(mounts: readonly MountOption[]): [string, string][] {
  return mounts.flatMap((mount) => (mount.type === "tmpfs" ? [[mount.target, mount.options.join(",")]] : []));
}
