import { errnos } from "./errno.ts";
import type { OwnedFd } from "./fd.ts";
import { SystemCallError } from "../util/errors.ts";
import { walkTree } from "./walk-tree.ts";
import { setXattr } from "./xattr.ts";

/**
 * Gives a file, or a directory with everything in it, a label of SELinux's: as {@link walkTree} walks. File systems that
 * keep no labels stay as they are. selinux(8)
 * @throws SystemCallError
 */
export function relabel(top: OwnedFd, label: string): void {
  // The kernel counts the NUL at its end.
  const value = Buffer.from(`${label}\0`);
  walkTree(top, (file) => {
    try {
      setXattr(file.number, "security.selinux", value);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.errno !== errnos.EOPNOTSUPP) throw error;
    }
  });
}
