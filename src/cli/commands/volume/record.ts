import type { VolumeDetails } from "../../../engine/volumes.ts";

/** The label by which Docker knows volumes that nobody gave a name. */
const anonymousLabel = "com.docker.volume.anonymous";

/** The labels of a volume as Docker shows them. */
export function shownLabels({
  anonymous,
  labels,
}: Pick<VolumeDetails, "anonymous" | "labels">): Record<string, string> {
  return { ...labels, ...(anonymous && { [anonymousLabel]: "" }) };
}

/** Docker's JSON of a volume. */
export function volumeDocument(volume: VolumeDetails): Readonly<Record<string, unknown>> {
  return {
    CreatedAt: volume.created.replace(/\.\d+Z$/, "Z"),
    Driver: "local",
    Labels: orNull(shownLabels(volume)),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: orNull(volume.options ?? {}),
    Scope: "local",
  };
}

function orNull(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(values).length === 0 ? null : values;
}
