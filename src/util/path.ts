/**
 * The names on an absolute path of a container, in order: empty ones and `.` are left out, `..` goes up and stays at
 * the root. Purely by the words: links are the kernel's business.
 */
export function splitPath(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

/** Whether `path` is `directory` or below it, by the words. Both are absolute, and without a slash at their end. */
export function isWithin(path: string, directory: string): boolean {
  if (!path.startsWith(directory)) return false;
  return path.length === directory.length || directory === "/" || path[directory.length] === "/";
}
