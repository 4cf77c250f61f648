import type { VolumeRecord } from "../../container/volumes.ts";
import { Dictionary, NilDictionary } from "../../util/document.ts";

/** What `inspect` tells of a volume: the shape and names of Docker's API (GET /volumes/NAME of version 1.50). */
export function volumeDocument({ name, created, labels, anonymous }: VolumeRecord, mountpoint: string) {
  return {
    CreatedAt: created,
    Driver: "local",
    // Docker marks so what `prune` takes.
    Labels: Dictionary.of({ ...(anonymous && { "com.docker.volume.anonymous": "" }), ...labels }),
    Mountpoint: mountpoint,
    Name: name,
    Options: new NilDictionary(),
    Scope: "local",
  };
}
