import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { libc } from "./libc.ts";

/** gocker's own binary, also when its file was replaced or removed meanwhile. proc(5), /proc/self/exe @throws SystemCallError */
export function openProgram(): OwnedFd {
  const path = "/proc/self/exe";
  const number = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (number < 0) throw systemCallError("open", { path });
  return new OwnedFd(number);
}
