import { fstatSync, readSync } from "node:fs";
import { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY } from "../linux/constants.ts";
import { openInDirectory, tryReopen } from "../linux/at.ts";
import type { Process } from "../oci/runtime-spec.ts";

/** A larger file is no user database. */
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

/**
 * No link leads out of the container, and nothing but a regular file is opened: to open a device is to use it, and this
 * process is not held by the container's rules for devices. What a process of the container keeps back is not waited for.
 */
function passwd(root: number): string {
  using place = openInDirectory(root, "etc/passwd", O_PATH | O_CLOEXEC);
  if (place === undefined) return "";
  const stat = fstatSync(place.number);
  if (!stat.isFile() || stat.size > largest) return "";
  using file = tryReopen(place.number, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (file === undefined) return "";
  const bytes = Buffer.alloc(stat.size);
  return bytes.toString("utf8", 0, readSync(file.number, bytes, 0, bytes.length, 0));
}
