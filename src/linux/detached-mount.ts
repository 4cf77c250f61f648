import { ptr } from "bun:ffi";
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
} from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { cString, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/**
 * A mount of a new file system that is in no tree: it goes when its last descriptor is closed, unless move_mount(2) has
 * put it somewhere. fsopen(2), fsconfig(2), fsmount(2), Linux 5.2
 * @param options `key=value`, or `key` alone for a flag
 * @param attributes MOUNT_ATTR_… of the mount
 * @returns a descriptor that serves as a place only (O_PATH)
 * @throws SystemCallError
 */
export function mountDetached(type: string, options: readonly string[], attributes: number): OwnedFd {
  const name = cString(type);
  const step = `make a file system of the type ${type}`;
  using context = new OwnedFd(call("fsopen", step, ptr(name), FSOPEN_CLOEXEC));
  for (const option of options) {
    const equals = option.indexOf("=");
    const command = equals < 0 ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    const key = cString(equals < 0 ? option : option.slice(0, equals));
    const value = equals < 0 ? undefined : cString(option.slice(equals + 1));
    const setting = `${step}: set ${option}`;
    call("fsconfig", setting, context.number, command, ptr(key), value === undefined ? 0 : ptr(value));
  }
  call("fsconfig", step, context.number, FSCONFIG_CMD_CREATE, 0, 0);
  return new OwnedFd(call("fsmount", step, context.number, FSMOUNT_CLOEXEC, attributes));
}

function call(name: "fsopen" | "fsconfig" | "fsmount", step: string, ...args: number[]): number {
  const [first = 0, second = 0, third = 0, fourth = 0] = args;
  const result = Number(libc.syscall(syscallNumber(name), first, second, third, fourth, 0, 0));
  if (result < 0) throw systemCallError(name, { step });
  return result;
}
