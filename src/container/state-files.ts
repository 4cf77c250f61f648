import { closeSync, existsSync, openSync, rmSync, statSync } from "node:fs";
import { writeFileAtomic, writeFully } from "../util/atomic-file.ts";
import { readIfThere } from "../util/read-if-there.ts";
import { type ContainerState, parseState } from "./record.ts";

const runningFile = "running.json";
const exitedFile = "exited.json";

/** Docker's for what ran when the machine stopped. */
const lostExitCode = 255;

/** The one that counts comes first. */
const files = [exitedFile, runningFile];

/**
 * Where a container is in its life.
 * @param directory the container's
 * @throws InvalidDocumentError its state is damaged, or not one that this version of gocker understands
 */
export function readState(directory: string): ContainerState {
  for (const name of files) {
    const path = `${directory}/${name}`;
    const text = readIfThere(path);
    if (text !== undefined && text !== "") return parseState(text, path);
  }
  return { status: "created" };
}

/**
 * The state of a container whose end is lost: that it ended is certain, but not how. A file for it may be there, empty, by
 * which its time is known.
 * @param directory the container's
 * @param last what it says of a container that runs
 */
export function lostEnd(directory: string, { startedAt, restartCount }: ContainerState): ContainerState {
  const finishedAt =
    statSync(`${directory}/${exitedFile}`, { throwIfNoEntry: false })?.mtime.toISOString() ?? startedAt;
  return {
    status: "exited",
    exitCode: lostExitCode,
    error: "its end was not on the disk when the machine stopped",
    ...(startedAt !== undefined && { startedAt }),
    ...(restartCount !== undefined && { restartCount }),
    ...(finishedAt !== undefined && { finishedAt }),
  };
}

/** Whether a container was ever started, by its files. @param directory the container's */
export function wasStarted(directory: string): boolean {
  return files.some((name) => (statSync(`${directory}/${name}`, { throwIfNoEntry: false })?.size ?? 0) > 0);
}

/**
 * Writes where a container is in its life. Each state is a new file: to replace one makes ext4 write the new content to
 * the disk at once (mount option auto_da_alloc), which takes milliseconds.
 * @param directory the container's
 * @throws what node:fs throws
 */
export function writeState(directory: string, state: ContainerState): void {
  if (state.status !== "exited") rmSync(`${directory}/${exitedFile}`, { force: true });
  if (state.status === "created") return rmSync(`${directory}/${runningFile}`, { force: true });
  const name = state.status === "running" ? runningFile : exitedFile;
  const text = `${JSON.stringify(state)}\n`;
  try {
    writeFileAtomic(`${directory}/${name}`, text);
  } catch (error) {
    if (!isForLackOfRoom(error) || !overwrite(directory, text)) throw error;
  }
}

function isForLackOfRoom(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/**
 * Puts a state in the place of the last one: what has room already has it on a full disk, too. Who reads in that moment
 * may find neither, which is better than a container that seems to run for ever.
 * @returns false when there is none, or it has less room
 */
function overwrite(directory: string, text: string): boolean {
  const path = files.map((name) => `${directory}/${name}`).find((candidate) => existsSync(candidate));
  if (path === undefined) return false;
  const { size, blocks } = statSync(path);
  const bytes = Buffer.from(text);
  // statvfs(3) counts blocks of 512 bytes, whatever the file system's are.
  if (bytes.length > Math.max(size, blocks * 512)) return false;
  const file = openSync(path, "r+");
  try {
    // Blanks behind the document mean nothing: the file need not be cut.
    writeFully(file, Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length), " ")]), 0);
  } finally {
    closeSync(file);
  }
  return true;
}
