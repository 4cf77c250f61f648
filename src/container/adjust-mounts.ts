import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from "../linux/constants.ts";
import { openDirectory, openInDirectory } from "../linux/at.ts";
import { changeOwner } from "../linux/change-owner.ts";
import { systemCallError } from "../linux/errno.ts";
import { OwnedFd } from "../linux/fd.ts";
import { libc } from "../linux/libc.ts";
import { lsmSupport } from "../linux/lsm.ts";
import { relabel } from "../linux/relabel.ts";
import { NotFoundError, UsageError } from "../util/errors.ts";
import type { MountAdjustment } from "./options.ts";

/** User and group of a container's process. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/** What containers may read and write, in the policies of Linux distributions. container_selinux(8) */
const containerFiles = "system_u:object_r:container_file_t:s0";

/**
 * Directories that all of the host lives by: no container's user gets them, and no label of containers' is put on them.
 * What lies in them may be given away.
 */
const hosts = new Set(
  (
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr " +
    "/usr/bin /usr/lib /usr/lib64 /usr/local /usr/sbin /usr/share /var /var/cache /var/lib /var/log /var/run /var/tmp"
  ).split(" "),
);

/**
 * Does to the source of a bind mount what its options ask for (`:U`, `:z`, `:Z`).
 * @throws UsageError the host needs it as it is; SystemCallError
 */
export async function adjustBind(path: string, adjustment: MountAdjustment, owner: FileOwner): Promise<void> {
  const { realpath } = await import("node:fs/promises");
  const real = await realpath(path);
  const needed = adjustment.chown === true || (adjustment.relabel === true && lsmSupport().selinux);
  if (needed && hosts.has(real)) {
    throw new UsageError(`the files of ${path} cannot be given to a container: the host needs them as they are`, {
      hint: "mount a directory in it, or leave out U, z and Z",
    });
  }
  const fd = libc.openat(AT_FDCWD, real, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) throw systemCallError("open", { path });
  using top = new OwnedFd(fd);
  adjust(top, adjustment, owner);
}

/**
 * Does the same to a volume, or to what is at a path in it, whose links lead nowhere else.
 * @param data the volume's directory on the host
 * @throws NotFoundError there is nothing at the path
 */
export function adjustVolume(
  data: string,
  subpath: string | undefined,
  adjustment: MountAdjustment,
  owner: FileOwner,
): void {
  using whole = openDirectory(data);
  const found = openInDirectory(
    whole.number,
    subpath ?? "/",
    O_PATH | O_CLOEXEC | (subpath === undefined ? O_DIRECTORY : 0),
  );
  if (found === undefined) throw new NotFoundError(`there is no ${subpath ?? "/"} in the volume at ${data}`);
  using top = found;
  adjust(top, adjustment, owner);
}

function adjust(top: OwnedFd, { chown, relabel: relabels }: MountAdjustment, owner: FileOwner): void {
  if (chown === true) changeOwner(top, owner);
  if (relabels === true && lsmSupport().selinux) relabel(top, containerFiles);
}
