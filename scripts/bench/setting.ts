import { mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startRegistry, type TestRegistry } from "../../tests/helpers/registry.ts";
import { Runner } from "./runner.ts";

/** What the benchmarks have in common; `await using` stops and removes everything. */
export interface Setting extends AsyncDisposable {
  /** The binary that is measured. */
  readonly gocker: string;
  /** A directory for whatever the benchmarks need; removed in the end. */
  readonly directory: string;
  readonly registry: TestRegistry;
  /** Runs what needs the machine as it is. */
  readonly host: Runner;
  /** Runs the other engines, see {@link Runner.start}. */
  readonly peers: Runner;
  /** Below it lie the cgroups of podman's containers. */
  readonly cgroupParent: string;
}

/** @param scratch where the directory is made; on a disk, since pulls unpack below it */
export async function prepareSetting(gocker: string, scratch = tmpdir()): Promise<Setting> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(scratch, "gocker-bench-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const cgroupParent = `/gocker-bench-${process.pid}`;
  stack.defer(() => removeCgroups(cgroupParent));
  const registry = stack.use(await startRegistry());
  const host = stack.use(Runner.start("host"));
  const peers = stack.use(Runner.start("peers"));
  const owned = stack.move();
  return {
    gocker,
    directory,
    registry,
    host,
    peers,
    cgroupParent,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The words that make gocker use a store below a directory. */
export function gockerWords(setting: Setting, store: string): string[] {
  return [setting.gocker, "--root", join(store, "gocker"), "--state", join(store, "gocker-state")];
}

/** podman with a storage of its own, and crun. Events are not written: gocker writes none either. */
export function podmanWords(store: string): string[] {
  const directories = {
    root: "podman",
    runroot: "podman-run",
    tmpdir: "podman-tmp",
    "network-config-dir": "podman-networks",
  };
  const settings = {
    "storage-driver": "overlay",
    runtime: "crun",
    "cgroup-manager": "cgroupfs",
    "events-backend": "none",
  };
  const options = [
    ...Object.entries(directories).map(([name, path]) => `--${name}=${join(store, path)}`),
    ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
  ];
  return ["podman", ...options];
}

/** Makes a directory below the setting's and returns its path. */
export function ownDirectory(setting: Setting, name: string): string {
  const path = join(setting.directory, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** podman leaves the parent of its cgroups, in every hierarchy, and files where a hierarchy is not mounted. */
async function removeCgroups(parent: string): Promise<void> {
  const root = "/sys/fs/cgroup";
  const tmpfs = 0x01021994;
  for (const hierarchy of ["", ...readdirSync(root)]) {
    const directory = join(root, hierarchy);
    if (statfsSync(directory).type === tmpfs) rmSync(join(directory, parent), { recursive: true, force: true });
    else await removeWhenLeft(join(directory, parent));
  }
}

/** conmon's last act is to start podman in its own cgroup, which may go on for a while when the container is gone. */
async function removeWhenLeft(cgroup: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      removeEmptyTree(cgroup);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY" || Date.now() > deadline) throw error;
      await Bun.sleep(20);
    }
  }
}

function removeEmptyTree(path: string): void {
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return;
    throw error;
  }
  for (const entry of entries) if (entry.isDirectory()) removeEmptyTree(join(path, entry.name));
  rmdirSync(path);
}
