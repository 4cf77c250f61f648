import { existsSync } from "node:fs";
import { readIfThere } from "../util/read-if-there.ts";

/** Which of the security modules that take labels are in force. */
export interface LsmSupport {
  readonly apparmor: boolean;
  readonly selinux: boolean;
}

/**
 * The security modules of this host. apparmor(7): the module tells Y or N; selinux(8): the kernel makes the place of its
 * file system only where it is enabled.
 */
export function lsmSupport(): LsmSupport {
  return {
    apparmor: readIfThere("/sys/module/apparmor/parameters/enabled")?.startsWith("Y") ?? false,
    selinux: existsSync("/sys/fs/selinux"),
  };
}
