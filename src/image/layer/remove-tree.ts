import { AT_REMOVEDIR, type ByteString, moveAt, namesIn, openAt, unlinkAt } from "../../linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../../linux/constants.ts";
import { errnos, systemCallError } from "../../linux/errno.ts";
import { printable } from "./entry-path.ts";

/**
 * Removes the directory `name` of an open directory with all that is in it, however deep that is: directories below are
 * moved up to the first level before they are emptied, so there are never more than three open.
 * @throws SystemCallError
 */
export function removeTree(parent: number, name: ByteString): void {
  using top = openAt(parent, name, O_RDONLY | O_DIRECTORY);
  let counter = 0;
  const empty = (directory: number) => {
    for (const child of namesIn(directory)) {
      const number = unlinkAt(directory, child);
      if (number === 0) continue;
      if (number !== errnos.EISDIR && number !== errnos.EPERM) throw failed("unlinkat", child, number);
      if (directory === top.number) continue;
      let moved: number;
      do moved = moveAt(directory, child, top.number, `.${counter++}`);
      while (moved === errnos.EEXIST);
      if (moved !== 0) throw failed("renameat2", child, moved);
    }
  };
  for (;;) {
    empty(top.number);
    const directories = namesIn(top.number);
    if (directories.length === 0) break;
    for (const child of directories) {
      using directory = openAt(top.number, child, O_RDONLY | O_DIRECTORY);
      empty(directory.number);
      const number = unlinkAt(top.number, child, AT_REMOVEDIR);
      if (number !== 0) throw failed("unlinkat", child, number);
    }
  }
  const number = unlinkAt(parent, name, AT_REMOVEDIR);
  if (number !== 0) throw failed("unlinkat", name, number);
}

function failed(syscall: string, name: ByteString, number: number) {
  return systemCallError(syscall, { path: printable(name), step: "remove a directory of the layer" }, number);
}
