import { fstatSync, statSync } from "node:fs";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_NEWNS,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { slot } from "../linux/launch/plan.ts";
import { descriptorFrom } from "../linux/launch/sent-descriptor.ts";
import { ConflictError, SystemCallError } from "../util/errors.ts";

const path = "/dev/shm";

/**
 * What a container has at /dev/shm, as a mount that is in no tree: who shares its IPC namespace shares that too, by which
 * shm_overview(7) works. A copy of another namespace's mount is taken there, and by that namespace's paths.
 * @param mounts the container's mount namespace
 * @param name the container's
 * @param options.mayBeHosts the container has the host's IPC namespace, and so the host's shared memory
 * @throws ConflictError it has none, or not yet; SystemCallError
 */
export async function takeSharedMemory(
  mounts: number,
  name: string,
  options: { readonly mayBeHosts: boolean },
): Promise<OwnedFd> {
  try {
    const tree = await descriptorFrom({ ...steps(mounts), what: `the shared memory of container ${name}` });
    if (options.mayBeHosts || !isHosts(tree)) return tree;
    tree.close();
  } catch (error) {
    if (!(error instanceof SystemCallError && error.errnoName === "ENOENT")) throw error;
  }
  throw new ConflictError(`cannot join the IPC namespace of container ${name}: it has no ${path} of its own`, {
    hint: "try again if it is just being started",
  });
}

function steps(mounts: number) {
  const group = "namespaces";
  const place = slot("place of shared memory");
  const result = slot("shared memory");
  const how = new BigUint64Array([
    BigInt(O_PATH | O_DIRECTORY | O_CLOEXEC),
    0n,
    BigInt(RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS),
  ]);
  return {
    steps: [
      { label: "Join the mount namespace", group, syscall: "setns", args: [mounts, CLONE_NEWNS] },
      {
        label: `Find ${path} in it`,
        group,
        syscall: "openat2",
        args: [AT_FDCWD, path, new Uint8Array(how.buffer), how.byteLength],
        result: place,
      },
      {
        label: "Take a copy of the mount",
        group,
        syscall: "open_tree",
        args: [place, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
        result,
      },
    ],
    result,
    descriptors: [mounts],
  } as const;
}

/** Before a container has its root directory, the host's is in its place. */
function isHosts(tree: OwnedFd): boolean {
  const host = statSync(path, { throwIfNoEntry: false });
  const { dev, ino } = fstatSync(tree.number);
  return host?.dev === dev && host.ino === ino;
}
