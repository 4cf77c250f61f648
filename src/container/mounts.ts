import type { Mount } from "../oci/runtime-spec.ts";
import { hintOfProc, replaceableInProc } from "../runtime/proc-mounts.ts";
import { UsageError } from "../util/errors.ts";
import type { EtcFilePaths } from "./etc-files.ts";
import { defaultMounts, writableUnderReadOnlyRoot } from "./linux-defaults.ts";
import { mountTarget } from "./mount-target.ts";
import { referenceTo } from "./namespaces.ts";
import type { BindMountOption, ContainerOptions, MountOption, TmpfsMountOption } from "./options.ts";
import type { MountedVolume } from "./volume-requests.ts";

/** What {@link buildMounts} decides by. */
export interface MountsInput {
  readonly mounts: readonly MountOption[];
  /** The volumes of the user's and the image's, where they lie on the host. */
  readonly volumes: readonly MountedVolume[];
  /** Where the files of images are that are mounted, on the host and in the container. */
  readonly images?: readonly { readonly source: string; readonly target: string }[] | undefined;
  readonly etcFiles?: EtcFilePaths | undefined;
  readonly readOnly: boolean;
  readonly privileged: boolean;
  /** Of /dev/shm, in bytes. */
  readonly shmSize?: number | undefined;
  /** What becomes of /dev/shm; absent: a new one. */
  readonly ipc?: ContainerOptions["ipc"];
  readonly writableCgroups?: boolean | undefined;
  /** The kernel has mount_setattr(2) (Linux 5.12): a read-only bind covers the mounts below its source too. */
  readonly recursiveReadOnly: boolean;
}

/**
 * All mounts of a container in the order in which they are made: the default file systems first, then what the user,
 * the image and gocker add, parents before what lies in them. A mount of the user's replaces the default one at the
 * same place, and one at `/dev` also those below it.
 * @throws UsageError two mounts at one place, one that hides the whole root, or one that takes the place of the kernel's
 *   files in /proc
 */
export function buildMounts(input: MountsInput): Mount[] {
  const own = [
    ...input.mounts.filter((option) => option.type === "tmpfs").map(tmpfsMount),
    ...input.mounts
      .filter((option) => option.type === "bind")
      .map((option) => bindMount(option, input.recursiveReadOnly)),
    ...input.volumes.map((volume) => volumeMount(volume, input.recursiveReadOnly)),
    ...(input.images ?? []).map((image) => volumeMount({ ...image, readOnly: true }, input.recursiveReadOnly)),
  ];
  const taken = new Set<string>();
  for (const mount of own) {
    const { destination } = mount;
    refuseInProc(mount);
    if (taken.has(destination)) throw new UsageError(`duplicate mount point: ${destination}`);
    taken.add(destination);
  }
  const etc = input.etcFiles === undefined ? [] : etcMounts(input.etcFiles, input.readOnly);
  const added = [...own, ...etc.filter(({ destination }) => !taken.has(destination))];
  return [...keptDefaults(input, taken), ...added.sort(byPlace)];
}

/**
 * Anything else at /proc or in it would let an image, by a volume, answer for the kernel: gocker writes settings there,
 * and programs believe what they read (CVE-2019-16884, CVE-2025-52881). The host's own /proc may be given.
 */
function refuseInProc({ destination, source }: Mount): void {
  if (destination !== "/proc" && !destination.startsWith("/proc/")) return;
  if (replaceableInProc.has(destination) || (destination === "/proc" && source === "/proc")) return;
  throw new UsageError(`cannot mount at ${destination}: what /proc says is the kernel's to say`, {
    hint: hintOfProc,
  });
}

function keptDefaults(input: MountsInput, taken: ReadonlySet<string>): Mount[] {
  const ownDev = taken.has("/dev");
  return defaultMounts()
    .filter(({ destination }) => !taken.has(destination) && !(ownDev && destination.startsWith("/dev/")))
    .flatMap((mount) => (mount.destination === "/dev/shm" ? sharedMemory(mount, input.ipc) : [mount]))
    .map((mount) => {
      const { destination, options = [] } = mount;
      if (input.shmSize !== undefined && destination === "/dev/shm") {
        return { ...mount, options: mergeTmpfsOptions([...options, `size=${input.shmSize}`]) };
      }
      // A privileged container may change the kernel's settings, whatever its root is like.
      const isWritable = input.privileged && destination.startsWith("/sys");
      if (isWritable || (input.writableCgroups === true && destination === "/sys/fs/cgroup")) {
        return { ...mount, options: options.filter((option) => option !== "ro") };
      }
      if (!input.readOnly || writableUnderReadOnlyRoot.has(destination) || options.includes("ro")) return mount;
      return { ...mount, options: [...options, "ro"] };
    });
}

/** /dev/shm is of the IPC namespace, although the kernel does not know: shm_overview(7) */
function sharedMemory(mount: Mount, ipc: ContainerOptions["ipc"]): Mount[] {
  if (ipc === "none") return [];
  if (ipc === undefined || ipc === "private" || ipc === "shareable") return [mount];
  const source = ipc === "host" ? mount.destination : referenceTo(ipc.container);
  return [{ destination: mount.destination, type: "bind", source, options: ["bind", "rprivate"] }];
}

/** By the names along the path, so that `/a` comes before `/a/b`, and `/a/b` before `/a-b`. */
function byPlace(a: Mount, b: Mount): number {
  const left = a.destination.split("/");
  const right = b.destination.split("/");
  for (const [index, name] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (name !== other) return name < other ? -1 : 1;
  }
  return left.length - right.length;
}

function bindMount(option: BindMountOption, recursiveReadOnly: boolean): Mount {
  return {
    destination: mountTarget(option.target),
    type: "bind",
    source: option.source,
    options: [
      option.recursive ? "rbind" : "bind",
      ...accessOptions(option.readOnly, option.recursive && option.writableBelow !== true && recursiveReadOnly),
      option.propagation ?? "rprivate",
    ],
  };
}

function volumeMount(volume: Pick<MountedVolume, "source" | "target" | "readOnly">, recursiveReadOnly: boolean): Mount {
  return {
    destination: mountTarget(volume.target),
    type: "bind",
    source: volume.source,
    options: ["rbind", ...accessOptions(volume.readOnly, recursiveReadOnly), "rprivate"],
  };
}

/** A mount that is not to be read-only is as its source is: any option would take `nosuid` and its like away. */
function accessOptions(readOnly: boolean, recursive: boolean): string[] {
  if (!readOnly) return [];
  return recursive ? ["ro", "rro"] : ["ro"];
}

function etcMounts(paths: EtcFilePaths, readOnly: boolean): Mount[] {
  const files: [destination: string, source: string][] = [
    ["/etc/hostname", paths.hostname],
    ["/etc/hosts", paths.hosts],
    ["/etc/resolv.conf", paths.resolvConf],
  ];
  return files.map(([destination, source]) => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", readOnly ? "ro" : "rw", "rprivate"],
  }));
}

/** Words of mount(8) that undo each other; the last given counts. */
const opposites: readonly (readonly string[])[] = [
  ["ro", "rw"],
  ["suid", "nosuid"],
  ["dev", "nodev"],
  ["exec", "noexec"],
  ["async", "sync", "dirsync"],
  ["diratime", "nodiratime"],
  ["relatime", "norelatime", "atime", "noatime", "strictatime", "nostrictatime"],
  ["swap", "noswap"],
  ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"],
];

/** What tmpfs(5) takes with a value; `size` and its like may end in k, m, g or %. */
const tmpfsValues = new Set(["size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "huge", "mpol"]);

function tmpfsMount(option: TmpfsMountOption): Mount {
  return {
    destination: mountTarget(option.target),
    type: "tmpfs",
    source: "tmpfs",
    options: mergeTmpfsOptions(["noexec", "nosuid", "nodev", "rprivate", ...option.options]),
  };
}

/**
 * Options of a tmpfs without those that later ones undo or set anew.
 * @throws UsageError a word that tmpfs(5) and mount(8) do not have
 */
export function mergeTmpfsOptions(options: readonly string[]): string[] {
  const kept = new Map<string, string>();
  for (const option of options) {
    if (option === "") continue;
    const key = option.split("=", 1)[0] as string;
    const group = opposites.find((words) => words.includes(option));
    const known = option.includes("=") ? tmpfsValues.has(key) : group !== undefined;
    if (!known) {
      throw new UsageError(`invalid tmpfs option ${JSON.stringify(option)}`, {
        hint: "options are those of mount(8) and tmpfs(5), such as size=64m, mode=1777, exec or ro",
      });
    }
    const slot = group?.[0] ?? key;
    // What is given later also comes later.
    kept.delete(slot);
    kept.set(slot, option);
  }
  return [...kept.values()];
}
