import { bootId } from "../linux/boot-id.ts";
import { syncFileSystem } from "../linux/sync.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { annotation, annotations, readEntries, writeEntries } from "./index-file.ts";
import type { StorePaths } from "./paths.ts";

/*
 * A pull does not wait until everything it unpacked is on the disk: that takes as long again, and the kernel does it by
 * itself within half a minute. So that a loss of power leaves no lie all the same, the index says of each image in which
 * boot it was recorded, until a later command, when there is next to nothing left to write, has made sure of it. An image
 * of an earlier boot that nobody made sure of is checked and unpacked again from its blobs (repair.ts).
 */

/** After so many milliseconds the kernel has begun to write everything: dirty_expire_centisecs is 30 s. */
const settlingTime = 60_000;

/** The value of the annotation `unsettled` for an image that is recorded now. */
export function unsettledNow(): string {
  return `${bootId()} ${new Date().toISOString()}`;
}

/** Whether an entry's image is what the index says, even if the power has failed since. */
export function isCertain(entry: Descriptor, boot: () => string = bootId): boolean {
  const unsettled = annotation(entry, "unsettled");
  return unsettled === undefined || unsettled.split(" ")[0] === boot();
}

/** What settling needs of an ImageStore. */
export interface LockableStore {
  readonly paths: StorePaths;
  lock(): Promise<Disposable>;
}

/** Makes sure that images recorded in this boot, but not just now, are on the disk, and writes that into the index. */
export async function settle(store: LockableStore, now = Date.now()): Promise<void> {
  const boot = bootId();
  const isDue = (entry: Descriptor) => {
    const [recordedIn, when = ""] = annotation(entry, "unsettled")?.split(" ") ?? [];
    return recordedIn === boot && !(now - Date.parse(when) < settlingTime);
  };
  const due = readEntries(store.paths).filter(isDue);
  if (due.length === 0) return;
  syncFileSystem(store.paths.root);
  using _lock = await store.lock();
  // An entry that was recorded anew in the meantime has another annotation.
  const settled = new Set(due.map((entry) => `${entry.digest} ${annotation(entry, "unsettled")}`));
  writeEntries(
    store.paths,
    readEntries(store.paths).map((entry) => {
      if (!settled.has(`${entry.digest} ${annotation(entry, "unsettled")}`)) return entry;
      const { [annotations.unsettled]: _, ...rest } = entry.annotations ?? {};
      return { ...entry, annotations: rest };
    }),
  );
}
