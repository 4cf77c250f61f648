import { fchownSync, fstatSync } from "node:fs";
import { makeDevice } from "../linux/device-number.ts";
import { UsageError } from "../util/errors.ts";

/**
 * Which of the descriptors 0, 1 and 2 would be the host's null device. null(4)
 * @throws UsageError one of them is a directory: `..` leads from there to all of the host (CVE-2024-21626)
 */
export function nullDescriptors(stdio: readonly number[]): number[] {
  const device = makeDevice(1, 3);
  return [...stdio.keys()].filter((target) => {
    const stat = fstatSync(stdio[target] as number, { bigint: true });
    if (stat.isDirectory()) {
      throw new UsageError(`descriptor ${target} (${["stdin", "stdout", "stderr"][target]}) is a directory`, {
        hint: "a container could leave its root by it; to give it a directory use -v",
      });
    }
    return stat.isCharacterDevice() && stat.rdev === device;
  });
}

/**
 * The program may open /dev/stdout and its like anew, which asks for permission on what lies behind.
 * @param owner the program's user, as the host numbers it
 */
export function giveStdio(stdio: readonly number[], owner: number): void {
  if (owner === 0) return;
  const keepGroup = -1;
  for (const target of ownedStdio(stdio)) fchownSync(stdio[target] as number, owner, keepGroup);
}

/** Which of the descriptors 0, 1 and 2 would be pipes or sockets, which somebody owns for as long as they are open. */
export function ownedStdio(stdio: readonly number[]): number[] {
  return [...stdio.keys()].filter((target) => {
    const stat = fstatSync(stdio[target] as number);
    return stat.isFIFO() || stat.isSocket();
  });
}
