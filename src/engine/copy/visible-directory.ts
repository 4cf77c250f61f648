import { fstatSync, statfsSync } from "node:fs";
import type { ByteString } from "../../linux/at.ts";
import { PlainDirectory } from "../../linux/directory-tree.ts";
import type { TreeEntry } from "../../linux/copy-tree.ts";
import type { OwnedFd } from "../../linux/fd.ts";

/**
 * File systems in which the kernel answers for itself: linux/magic.h. What is in there is nothing that could be copied:
 * files without a size, and some that do something when they are read.
 */
const kernelFileSystems: ReadonlySet<number> = new Set([
  0x9fa0, // procfs
  0x6265_6572, // sysfs
  0x27_e0eb, // cgroup
  0x6367_7270, // cgroup2
  0x1cd1, // devpts
  0x1980_0202, // mqueue
  0x6462_6720, // debugfs
  0x7472_6163, // tracefs
  0x7363_6673, // securityfs
  0xcafe_4a11, // bpf
  0x6265_6570, // configfs
]);

/** A directory as a copy sees it: those of the kernel's file systems are empty. */
export class VisibleDirectory extends PlainDirectory {
  readonly #isKernels: boolean;

  /** Takes over the descriptor. @param device of the directory that it was found in: a mount begins where it is another */
  constructor(fd: OwnedFd, device?: { readonly number: bigint; readonly isKernels: boolean }) {
    super(fd);
    const isSame = device !== undefined && device.number === fstatSync(fd.number, { bigint: true }).dev;
    this.#isKernels = isSame ? device.isKernels : kernelFileSystems.has(statfsSync(`/proc/self/fd/${fd.number}`).type);
  }

  override names(): ByteString[] {
    return this.#isKernels ? [] : super.names();
  }

  override lookup(name: ByteString): TreeEntry | undefined {
    const entry = super.lookup(name);
    if (entry?.kind !== "directory") return entry;
    return new VisibleDirectory(entry.fd, { number: this.stat.dev, isKernels: this.#isKernels });
  }
}
