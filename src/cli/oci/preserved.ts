import { fstatSync, readlinkSync } from "node:fs";
import { UsageError } from "../../util/errors.ts";

/** Those above belong to what a terminal is made by, and to the system's usual limit of 1,024. */
const most = 900;

/**
 * The value of `--preserve-fds`: how many descriptors after the standard ones the caller hands on. They are all there, so
 * that none of gocker's own goes with them.
 * @throws UsageError one of them is not open, or a directory: `..` leads from there to all of the host (CVE-2024-21626)
 */
export function preservedDescriptors(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (!/^\d{1,6}$/.test(text) || Number(text) > most) {
    throw new UsageError(`--preserve-fds must be a number up to ${most}, not ${JSON.stringify(text)}`);
  }
  const count = Number(text);
  for (let number = 3; number < 3 + count; number++) {
    if (!isFromCaller(number)) {
      throw new UsageError(`descriptor ${number} of --preserve-fds ${count} is not open`, {
        hint: `it takes the descriptors from 3 to ${2 + count}`,
      });
    }
    if (fstatSync(number).isDirectory()) {
      throw new UsageError(`descriptor ${number} is a directory`, {
        hint: "a container could leave its root by it: mount the directory",
      });
    }
  }
  return count;
}

/**
 * Bun marks all descriptors alike when it starts (close_range(2) with CLOSE_RANGE_CLOEXEC), so that their flags do not
 * tell whose they are. But the first that it opens for good is that of its event loop, which takes the lowest number that
 * the caller has left free: what is below was open before.
 * @param number one above those that are known to be the caller's
 */
function isFromCaller(number: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${number}`) !== "anon_inode:[eventpoll]";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
