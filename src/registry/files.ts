import { open } from "node:fs/promises";
import { constants } from "node:fs";

const largest = 1024 * 1024;

/**
 * Reads a configuration file. It is opened without blocking and read only when it is a regular file, so that a FIFO or
 * device under its name cannot hold gocker up.
 *
 * @param owner when given, the file must belong to this user or to root: a privileged process reads no other's.
 * @returns undefined when it does not exist or may not be read.
 */
export async function readSmallFile(path: string, owner?: number): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return undefined;
    throw error;
  }
  try {
    const status = await file.stat();
    if (!status.isFile() || status.size > largest) return undefined;
    if (owner !== undefined && status.uid !== owner && status.uid !== 0) return undefined;
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}
