import { resolve } from "node:path";

/**
 * The absolute path that a mount's source stands for, or undefined when it is the name of a volume: a path begins with
 * `/`, or with `.` and is taken from the current directory then.
 */
export function bindSource(source: string, currentDirectory: string): string | undefined {
  return /^[./]/.test(source) ? resolve(currentDirectory, source) : undefined;
}

/** What is wrong with a path at which something is to be mounted, or undefined. */
export function targetFault(target: string): string | undefined {
  if (!target.startsWith("/")) return `the target ${JSON.stringify(target)} is not an absolute path`;
  if (resolve(target) === "/") return "the target is the container's root directory";
  return undefined;
}
