import { shownLabels, type VolumeRecord } from "../../container/volume-record.ts";
import { Dictionary, NilDictionary } from "../../util/document.ts";

/** What `inspect` tells of a volume: the shape and names of Docker's API (GET /volumes/NAME of version 1.50). */
export function volumeDocument(volume: VolumeRecord, mountpoint: string) {
  return {
    CreatedAt: volume.created.replace(/\.\d+Z$/, "Z"),
    Driver: "local",
    Labels: dictionary(shownLabels(volume)),
    Mountpoint: mountpoint,
    Name: volume.name,
    Options: dictionary(volume.options ?? {}),
    Scope: "local",
  };
}

function dictionary(values: Readonly<Record<string, string>>): Dictionary<string> {
  return Object.keys(values).length === 0 ? new NilDictionary() : Dictionary.of(values);
}
