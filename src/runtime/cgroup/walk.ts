import { readdirSync } from "node:fs";
import { type ByteString, openAt, tryOpenAt } from "../../linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../../linux/constants.ts";
import { duplicate, type OwnedFd } from "../../linux/fd.ts";
import { isGone } from "./errors.ts";

/*
 * A container that may write to its cgroup makes others below it, as deep and by such names as it likes. Those are
 * only reached from open directories, by names of bytes; and one directory is open at a time, however deep they are.
 */

/** What is done with the cgroups below one. Whatever is thrown ends the walk. */
interface CgroupVisitor {
  /** @returns true when nothing is to be done with it, and with what is below it */
  skip?(parent: number, name: ByteString): boolean;
  /** Before those below it. */
  enter?(directory: number): void;
  /** After those below it. */
  leave?(parent: number, name: ByteString): void;
}

interface Level {
  /** Of the cgroup whose children these are; the one that the walk began at has none. */
  readonly name: ByteString | undefined;
  /** Of the children that are still to be visited. */
  readonly left: ByteString[];
}

/**
 * Visits all cgroups below one. Those that are removed meanwhile are left out.
 * @throws SystemCallError
 */
export function walkBelow(top: OwnedFd, visitor: CgroupVisitor): void {
  let current = duplicate(top.number);
  try {
    const levels: Level[] = [{ name: undefined, left: childNames(current) }];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.left.pop();
      if (name !== undefined) {
        if (visitor.skip?.(current.number, name) === true) continue;
        const child = tryOpenAt(current.number, name, O_RDONLY | O_DIRECTORY);
        if (child === undefined) continue;
        current.close();
        current = child;
        visitor.enter?.(current.number);
        levels.push({ name, left: childNames(current) });
      } else {
        levels.pop();
        if (level.name === undefined) return;
        // Nobody moves a cgroup to another parent, and one that is removed still knows its own.
        const parent = openAt(current.number, "..", O_RDONLY | O_DIRECTORY);
        current.close();
        current = parent;
        visitor.leave?.(current.number, level.name);
      }
    }
  } finally {
    current.close();
  }
}

/** The names of the cgroups directly below one. */
function childNames(directory: OwnedFd): ByteString[] {
  try {
    return readdirSync(`/proc/self/fd/${directory.number}`, { withFileTypes: true, encoding: "latin1" })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}
