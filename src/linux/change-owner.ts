import { AT_EMPTY_PATH } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import type { OwnedFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { walkTree } from "./walk-tree.ts";

/**
 * Gives a file, or a directory with everything in it, to an owner: as {@link walkTree} walks. What belongs to the owner
 * already is not touched, so that its set-user-ID bits and capabilities stay.
 * @throws SystemCallError
 */
export function changeOwner(top: OwnedFd, owner: { readonly uid: number; readonly gid: number }): void {
  walkTree(top, (file, stat) => {
    if (Number(stat.uid) === owner.uid && Number(stat.gid) === owner.gid) return;
    if (libc.fchownat(file.number, "", owner.uid, owner.gid, AT_EMPTY_PATH) < 0) {
      throw systemCallError("fchownat", { step: "give files to the container's user" });
    }
  });
}
