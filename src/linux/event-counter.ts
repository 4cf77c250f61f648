import { O_CLOEXEC } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** A counter that can be read when it is not 0, and that closes on exec. eventfd(2) @throws SystemCallError */
export function createEventCounter(): OwnedFd {
  const number = Number(libc.syscall(syscallNumber("eventfd2"), 0, O_CLOEXEC, 0, 0, 0, 0));
  if (number < 0) throw systemCallError("eventfd2");
  return new OwnedFd(number);
}
