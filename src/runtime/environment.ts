import { readBelow } from "../linux/read-below.ts";
import type { Process } from "../oci/runtime-spec.ts";
import { GockerError } from "../util/errors.ts";

/** In bytes. */
const largest = 4 * 2 ** 20;

/** PATH_MAX, with the final NUL. limits.h(0p) */
const longestPath = 4096;

/**
 * A process with the environment that its program gets: the last of variables with one name, and HOME, which is the
 * user's by the container's /etc/passwd where it is missing or empty.
 * @param root of the container: a descriptor of its root directory
 */
export function withEnvironment(process: Process, root: number): Process {
  const variables = new Map<string, string>();
  for (const entry of process.env ?? []) {
    const equals = entry.indexOf("=");
    const name = equals < 0 ? entry : entry.slice(0, equals);
    // What is set again takes the place of the last one.
    variables.delete(name);
    variables.set(name, entry);
  }
  const home = variables.get("HOME");
  if (home === undefined || home === "HOME=") variables.set("HOME", `HOME=${homeOf(root, process.user.uid)}`);
  return { ...process, env: [...variables.values()] };
}

/** The home directory of a user by the container's /etc/passwd; `/` where that says nothing that could be one. passwd(5) */
function homeOf(root: number, uid: number): string {
  const fields = passwd(root)
    .split("\n")
    .map((line) => line.split(":"))
    .find(([, , number]) => number === String(uid));
  const home = fields?.[5] ?? "";
  return home.startsWith("/") && !home.includes("\0") && Buffer.byteLength(home) < longestPath ? home : "/";
}

/** One that is too large is no user database. */
function passwd(root: number): string {
  try {
    return Buffer.from(readBelow(root, "/etc/passwd", largest) ?? []).toString("utf8");
  } catch (error) {
    if (error instanceof GockerError && error.code === "FILE_TOO_LARGE") return "";
    throw error;
  }
}
