import { fstatSync, readlinkSync } from "node:fs";
import type { Bundle } from "../../runtime/bundle.ts";
import { UsageError } from "../../util/errors.ts";

/** Those above belong to what a terminal is made by, and to the system's usual limit of 1,024. */
const most = 900;

/**
 * The value of `--preserve-fds`: how many descriptors after the standard ones the caller hands on. They are all there, so
 * that none of gocker's own goes with them.
 * @throws UsageError one of them is not open, or a directory: `..` leads from there to all of the host (CVE-2024-21626)
 */
function preservedDescriptors(text: string): number {
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

/** What the caller hands on, and the variables by which the program knows of sockets among it. */
export interface HandedOn {
  readonly preservedDescriptors: number;
  readonly variables: readonly string[];
}

/**
 * The descriptors of `--preserve-fds`, and those that systemd has for gocker and that are the container's: they come first,
 * and process 1 is who they are for then. sd_listen_fds(3)
 * @throws UsageError one of them is not open, or a directory
 */
export function handedOn(text: string | undefined, env = process.env): HandedOn {
  const { LISTEN_FDS: count = "", LISTEN_PID: pid } = env;
  const isForUs = pid === String(process.pid) && /^[1-9]\d{0,2}$/.test(count);
  const sockets = isForUs ? Number(count) : 0;
  const preserved = preservedDescriptors(text === undefined || text === "" ? "0" : text);
  if (sockets === 0) return { preservedDescriptors: preserved, variables: [] };
  const all = preservedDescriptors(String(preserved + sockets));
  return { preservedDescriptors: all, variables: [`LISTEN_FDS=${count}`, "LISTEN_PID=1"] };
}

/** A bundle whose process gets these variables besides its own. What is kept of the specification stays as it was. */
export function withVariables(bundle: Bundle, variables: readonly string[]): Bundle {
  const { process } = bundle.spec;
  if (process === undefined || variables.length === 0) return bundle;
  return { ...bundle, spec: { ...bundle.spec, process: { ...process, env: [...(process.env ?? []), ...variables] } } };
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
