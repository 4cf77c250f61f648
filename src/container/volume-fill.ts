import { fstatSync } from "node:fs";
import { type ByteString, makeDirectoryAt, moveAt, namesIn, openAt, openDirectory, tryOpenAt } from "../linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import { copyAttributes } from "../linux/copy-attributes.ts";
import { errnos, systemCallError } from "../linux/errno.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { removeTreeAt } from "../linux/remove-tree.ts";
import type { LayeredDirectory, LayeredRoot } from "./layered-root.ts";
import { lockVolume } from "./volume-mount.ts";

/** Where a copy is made, and what it is called when it is whole. */
interface Staging {
  readonly filling: ByteString;
  readonly filled: ByteString;
}

/** Beside `_data`. */
const besideData: Staging = { filling: ".filling", filled: ".filled" };

/** In `_data`, where something else is mounted there: names are moved within one mount only. */
const inData: Staging = { filling: ".gocker-filling", filled: ".gocker-filled" };

/**
 * Fills an empty volume with what the image has at its place. The copy is made apart and moved into `_data` name by name
 * when it is whole, so that a crash leaves a volume that is still empty, or one that the next use completes. Of several
 * that want this at once one does it, and the others wait.
 * @param volume its directory, and whether something is mounted at `_data`
 */
export async function fillVolume(
  volume: { readonly place: string; readonly isMounted: boolean },
  image: LayeredRoot,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  using _lock = await lockVolume(volume.place, signal);
  using directory = openDirectory(volume.place);
  using data = openAt(directory.number, "_data", O_RDONLY | O_DIRECTORY);
  const staging = volume.isMounted ? inData : besideData;
  const parent = volume.isMounted ? data : directory;
  using whole = tryOpenAt(parent.number, staging.filled, O_RDONLY | O_DIRECTORY);
  if (whole !== undefined) return moveFilled(parent, whole, data, staging);
  if (namesIn(data.number).some((name) => name !== staging.filling)) return;

  using source = image.resolve(target);
  if (source?.kind !== "directory") return;
  await copyApart(parent, source, staging);
  using copy = openAt(parent.number, staging.filled, O_RDONLY | O_DIRECTORY);
  moveFilled(parent, copy, data, staging);
}

async function copyApart(parent: OwnedFd, source: LayeredDirectory, { filling, filled }: Staging): Promise<void> {
  const { copyTree } = await import("../linux/copy-tree.ts");
  removeTreeAt(parent.number, filling);
  makeDirectoryAt(parent.number, filling, 0o700);
  using copy = openAt(parent.number, filling, O_RDONLY | O_DIRECTORY);
  copyTree(source, copy);
  const result = moveAt(parent.number, filling, parent.number, filled);
  if (result !== 0) throw systemCallError("renameat2", { step: "fill the volume" }, result);
}

/**
 * Moves what was copied into the volume. What a container that has the volume already made there meanwhile stays; so
 * does what was moved before a crash.
 */
function moveFilled(parent: OwnedFd, copy: OwnedFd, data: OwnedFd, { filled }: Staging): void {
  const model = fstatSync(copy.number, { bigint: true });
  for (const name of namesIn(copy.number)) {
    const result = moveAt(copy.number, name, data.number, name);
    if (result !== 0 && result !== errnos.EEXIST) {
      throw systemCallError("renameat2", { step: "fill the volume" }, result);
    }
  }
  copyAttributes(copy, model, data);
  removeTreeAt(parent.number, filled);
  // To remove something from the directory has changed its times.
  if (parent === data) copyAttributes(copy, model, data);
}
