import { type BigIntStats, fstatSync } from "node:fs";
import { type ByteString, namesIn, tryOpenAt } from "./at.ts";
import { O_PATH, S_IFDIR } from "./constants.ts";
import type { TreeDirectory, TreeEntry } from "./copy-tree.ts";
import type { OwnedFd } from "./fd.ts";
import { isType } from "./file-type.ts";

/** A directory as it is, with what is mounted in it. Nothing is followed, and nothing but directories is opened. */
export class PlainDirectory implements TreeDirectory {
  readonly kind = "directory";
  readonly fd: OwnedFd;

  /** Takes over the descriptor, which may be O_PATH. */
  constructor(fd: OwnedFd) {
    this.fd = fd;
  }

  get stat(): BigIntStats {
    return fstatSync(this.fd.number, { bigint: true });
  }

  names(): ByteString[] {
    return namesIn(this.fd.number);
  }

  lookup(name: ByteString): TreeEntry | undefined {
    const fd = tryOpenAt(this.fd.number, name, O_PATH);
    if (fd === undefined) return undefined;
    const stat = fstatSync(fd.number, { bigint: true });
    if (isType(stat, S_IFDIR)) return new PlainDirectory(fd);
    return { kind: "file", fd, stat, [Symbol.dispose]: () => fd.close() };
  }

  [Symbol.dispose](): void {
    this.fd.close();
  }
}
