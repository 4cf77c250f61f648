import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

import { mustRun } from "../bench/command.ts";

/**
 * Those that a machine boots with, as none lie where its kernel looks for more. The host's files come by 9p, which Debian's
 * cloud kernel has not, and what is written goes to an overlay. Temporary files lie on a disk: ext4 asks for its checksum
 * by name.
 */
export const bootModules: readonly string[] = [
  "virtio_pci",
  "9pnet_virtio",
  "9p",
  "overlay",
  "virtio_blk",
  "crc32c_generic",
  "ext4",
  // File systems that tests make in a file, and quotas of theirs.
  "loop",
  "xfs",
  "quota_v2",
  // Devices of networks, and what the firewall's rules ask for.
  "veth",
  "bridge",
  "dummy",
  "macvlan",
  "sctp",
  "nf_tables",
  "nft_chain_nat",
  "nft_ct",
  "nft_nat",
  "nft_masq",
  "nft_redir",
  "nft_reject_inet",
  "nft_fib_inet",
  "nf_conntrack_netlink",
];

/** A kernel module's bytes, ready to be loaded. */
export interface Module {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Modules and those that they need, each after the ones that it needs; what is built into the kernel is left out.
 * A module itself says what it needs, so that no `modules.dep` is wanted: making that is depmod's, on installation.
 * @param directory `lib/modules/VERSION` of an unpacked kernel package; compressed modules in it are decompressed there
 * @throws Error the kernel has no such module
 */
export async function modulesInOrder(wanted: readonly string[], directory: string): Promise<Module[]> {
  const files = new Map<string, string>();
  for (const path of readdirSync(directory, { recursive: true }).map(String)) {
    if (/\.ko(\.xz|\.zst|\.gz)?$/.test(path)) files.set(moduleName(path), join(directory, path));
  }
  const builtIn = new Set(readFileSync(join(directory, "modules.builtin"), "utf8").trim().split("\n").map(moduleName));
  const loaded = new Map<string, Module>();
  const load = async (name: string): Promise<void> => {
    if (builtIn.has(name) || loaded.has(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`the kernel in ${directory} has no module ${name}`);
    const bytes = readFileSync(await decompress(file));
    for (const needed of dependencies(bytes)) await load(needed);
    loaded.set(name, { name, bytes });
  };
  for (const name of wanted) await load(name);
  return [...loaded.values()];
}

/** `kernel/fs/9p/9p.ko.xz` is `9p`; a dash and an underscore are the same. modprobe(8) */
function moduleName(path: string): string {
  return (basename(path).split(".")[0] ?? "").replaceAll("-", "_");
}

/** The names after `depends=` in the section `.modinfo`, whose strings end with a zero byte. */
function dependencies(bytes: Uint8Array): string[] {
  const names = /(?:^|\0)depends=([^\0]*)\0/.exec(Buffer.from(bytes).toString("latin1"))?.[1] ?? "";
  return names
    .split(",")
    .filter((name) => name !== "")
    .map(moduleName);
}

/** Newer Debian kernels have their modules compressed. */
async function decompress(file: string): Promise<string> {
  const programs: Record<string, string> = { xz: "xz", zst: "zstd", gz: "gzip" };
  const [, ending = ""] = /\.ko\.(\w+)$/.exec(file) ?? [];
  const program = programs[ending];
  if (program === undefined) return file;
  await mustRun(program, "--decompress", "--quiet", file);
  return file.slice(0, -ending.length - 1);
}
