import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { openAt, openDirectory } from "../linux/at.ts";
import { mountIdOf, unmountTree } from "../linux/attached-mount.ts";
import { MOUNT_ATTR_RDONLY, O_DIRECTORY, O_PATH } from "../linux/constants.ts";
import { mountDetached } from "../linux/detached-mount.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { FileLock } from "../linux/lock.ts";
import { changeMount, copyMount, placeMount } from "../linux/placed-mount.ts";
import { attributesOf, type MountOptions, parseMountOptions } from "../runtime/mount-options.ts";
import { errorMessage, GockerError } from "../util/errors.ts";
import type { VolumeSource } from "./volume-options.ts";

/** A volume with something to be mounted in it. */
export interface MountableVolume {
  /** Its directory: `_data` in it is mounted on, and `users` has a file for each container that wants it to be. */
  readonly place: string;
  /** Whether a container is looked after by somebody: whoever does not live any more uses no volume. */
  isAlive(this: void, container: string): boolean;
}

/**
 * Mounts what a volume's options ask for, unless it is mounted already, for a container.
 * @param container its ID; whoever calls has its lock
 * @throws GockerError it cannot be mounted
 */
export async function mountVolume(
  { place }: MountableVolume,
  name: string,
  source: VolumeSource,
  container: string,
): Promise<void> {
  const address = await addressOf(source);
  using _lock = await lockVolume(place);
  mkdirSync(usersPath(place), { recursive: true, mode: 0o700 });
  // First: whatever happens, somebody finds that there may be something to unmount.
  writeFileSync(`${usersPath(place)}/${container}`, "");
  if (!isMounted(place)) mount(place, name, source, address);
}

/**
 * Unmounts what is mounted in a volume, unless it is there for a container that somebody looks after.
 * @param container one that wants it no more
 * @returns whether nothing is mounted there now
 */
export async function unmountVolume({ place, isAlive }: MountableVolume, container?: string): Promise<boolean> {
  using _lock = await lockVolume(place);
  if (!existsSync(usersPath(place))) return true;
  const forget = (id: string) => rmSync(`${usersPath(place)}/${id}`, { force: true });
  if (container !== undefined) forget(container);
  const others = readdirSync(usersPath(place));
  if (others.some((id) => isAlive(id))) return false;
  while (isMounted(place)) {
    using data = openData(place);
    unmountTree(data.number, `${place}/_data`);
  }
  for (const id of others) forget(id);
  return true;
}

/** Held for moments, and while a volume is filled. @throws an error of node:fs with ENOENT: there is no such volume */
export function lockVolume(place: string, signal?: AbortSignal): Promise<FileLock> {
  return FileLock.acquire(`${place}/lock`, "exclusive", { signal });
}

function usersPath(place: string): string {
  return `${place}/users`;
}

/** The directory that is mounted on, or what is mounted there. */
function openData(place: string): OwnedFd {
  using volume = openDirectory(place);
  return openAt(volume.number, "_data", O_PATH | O_DIRECTORY);
}

function isMounted(place: string): boolean {
  using volume = openDirectory(place);
  using data = openData(place);
  return mountIdOf(volume.number) !== mountIdOf(data.number);
}

function mount(place: string, name: string, source: VolumeSource, address: string | undefined): void {
  try {
    using made = makeMount(source, address);
    using data = openData(place);
    placeMount(made, data);
  } catch (cause) {
    const { type, device, words } = source;
    throw new GockerError("VOLUME_MOUNT", `cannot mount the volume ${name}: ${errorMessage(cause)}`, {
      hint: `its options are type=${type}, device=${device}, o=${words.join(",")}`,
      cause,
    });
  }
}

/** Whole before anybody sees it. */
function makeMount({ type, device, words }: VolumeSource, address: string | undefined): OwnedFd {
  const options = parseMountOptions(words);
  using cleanup = new DisposableStack();
  const made = cleanup.use(
    options.bind === undefined
      ? mountDetached(type, fileSystemOptions(device, options, address), attributesOf(options))
      : copyMount(device, options.bind === "rbind"),
  );
  if (options.bind !== undefined) {
    const { set, clear, recursiveSet, recursiveClear } = options;
    if ((set | clear) !== 0) changeMount(made, { set, clear, recursive: false });
    if ((recursiveSet | recursiveClear) !== 0) {
      changeMount(made, { set: recursiveSet, clear: recursiveClear, recursive: true });
    }
  }
  for (const { type: propagation, recursive } of options.propagations) changeMount(made, { propagation, recursive });
  cleanup.move();
  return made;
}

function fileSystemOptions(device: string, options: MountOptions, address: string | undefined): string[] {
  const data = options.data.map((word) =>
    address !== undefined && word.startsWith("addr=") ? `addr=${address}` : word,
  );
  // Of the file system as well, which writes even to a read-only mount otherwise: what a journal has left to do.
  return [`source=${device}`, ...data, ...((options.set & MOUNT_ATTR_RDONLY) === 0 ? [] : ["ro"])];
}

/** The kernel's NFS wants the server's address, where people write its name. nfs(5) */
async function addressOf({ words }: VolumeSource): Promise<string | undefined> {
  const host = words.find((word) => word.startsWith("addr="))?.slice("addr=".length);
  if (host === undefined) return undefined;
  const { lookup } = await import("node:dns/promises");
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new GockerError("VOLUME_MOUNT", `cannot find the address of ${host}, which a volume is mounted from`, {
      cause,
    });
  }
}
