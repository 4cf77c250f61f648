import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { RuntimeSpec } from "../../src/oci/runtime-spec.ts";
import type { Contender } from "./alternate.ts";
import { mustRun } from "./command.ts";
import { gockerWords, ownDirectory, podmanWords, type Setting } from "./setting.ts";

export type Network = "none" | "host";

const program = ["true"];

/** An image that every engine has pulled, and the same files as a plain directory. */
export interface WarmImage {
  readonly reference: string;
  readonly rootDirectory: string;
  readonly store: string;
}

/** Makes an image of busybox and lets gocker and podman pull it. podman may be missing: its rows say so then. */
export async function prepareWarmImage(setting: Setting): Promise<WarmImage> {
  const busybox = Bun.which("busybox");
  if (busybox === null) throw new Error("busybox is not installed (Debian: busybox-static)");
  const rootDirectory = ownDirectory(setting, "rootfs");
  for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp"]) mkdirSync(join(rootDirectory, name));
  copyFileSync(busybox, join(rootDirectory, "bin/busybox"));
  for (const name of ["true", "sh", "sleep", "yes", "head"]) symlinkSync("busybox", join(rootDirectory, "bin", name));
  writeFileSync(join(rootDirectory, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(rootDirectory, "etc/group"), "root:x:0:\n");
  const layer = join(setting.directory, "busybox.tar.gz");
  await mustRun("tar", "-C", rootDirectory, "--numeric-owner", "-czf", layer, ".");
  await setting.registry.pushImage("bench/busybox:1", { layers: [layer], config: { Cmd: ["sh"] } });

  const reference = `${setting.registry.address}/bench/busybox:1`;
  const store = ownDirectory(setting, "warm");
  // Whatever was deleted from the machine's own file system a moment ago would make new files slow. The mounts end with
  // the runners.
  for (const [name, runner] of Object.entries({ host: setting.host, peers: setting.peers })) {
    await runner.freshFileSystem(join(setting.directory, `file-system-${name}`), store, 0);
  }
  await setting.host.run({ words: [...gockerWords(setting, store), "pull", "-q", reference] }, { memory: false });
  const podman = [...podmanWords(store), "pull", "-q", "--tls-verify=false", reference];
  if (Bun.which("podman") !== null) await setting.peers.run({ words: podman }, { memory: false });
  return { reference, rootDirectory, store };
}

/** `run --rm --network NETWORK IMAGE true` of gocker and of whoever does the same or a part of it. */
export async function warmContenders(setting: Setting, image: WarmImage, network: Network): Promise<Contender[]> {
  const { host, peers } = setting;
  const { reference, rootDirectory, store } = image;
  const gocker = gockerWords(setting, store);
  const podmanFlags = ["--network", network, "--cgroup-parent", setting.cgroupParent, ...ownLimits()];
  const bare = await bareBundle(setting, image, network);
  const same = await sameBundle(setting, image, network);
  const runtime = (name: "crun" | "runc", bundle: string) => ({
    runner: peers,
    words: [name, "--root", ownDirectory(setting, `${name}-state`), "run", "--bundle", bundle, `bench-${name}`],
  });
  const isolate = ["--mount", "--uts", "--ipc", "--pid", "--fork", ...(network === "none" ? ["--net"] : [])];
  return [
    {
      name: "gocker run",
      runner: host,
      words: [...gocker, "run", "--rm", "--network", network, reference, ...program],
    },
    { name: "crun run (its own specification)", ...runtime("crun", bare) },
    { name: "crun run (gocker's specification)", ...runtime("crun", same) },
    { name: "runc run (its own specification)", ...runtime("runc", bare) },
    {
      name: "podman run, with crun",
      runner: peers,
      words: [...podmanWords(store), "run", "--rm", ...podmanFlags, reference, ...program],
    },
    { name: "unshare and chroot", runner: host, words: ["unshare", ...isolate, "chroot", rootDirectory, ...program] },
  ];
}

/** A bundle as `crun spec` makes it: no seccomp filter, few mounts, no image, no layers. */
export async function bareBundle(
  setting: Setting,
  image: Pick<WarmImage, "rootDirectory">,
  network: Network,
): Promise<string> {
  const bundle = ownDirectory(setting, `bundle-bare-${network}`);
  // Another section has made it.
  if (existsSync(join(bundle, "config.json"))) return bundle;
  const generator = ["crun", "runc"].find((name) => Bun.which(name) !== null);
  if (generator === undefined) throw new Error("neither crun nor runc is installed");
  await mustRun("sh", "-c", 'cd "$0" && exec "$1" spec', bundle, generator);
  rewriteSpec(join(bundle, "config.json"), join(bundle, "config.json"), (spec) => ({
    ...spec,
    ...(spec.process && { process: { ...spec.process, terminal: false, args: program } }),
    root: { path: image.rootDirectory },
    linux: {
      ...spec.linux,
      namespaces: (spec.linux?.namespaces ?? []).filter(({ type }) => network === "none" || type !== "network"),
    },
  }));
  return bundle;
}

/** A bundle of the specification that gocker has made for the command: the same isolation, carried out by the peer. */
async function sameBundle(setting: Setting, image: WarmImage, network: Network): Promise<string> {
  const bundle = ownDirectory(setting, `bundle-same-${network}`);
  const idFile = join(bundle, "id");
  const words = [...gockerWords(setting, image.store), "run", "--cidfile", idFile, "--network", network];
  await setting.host.run({ words: [...words, image.reference, ...program] }, { memory: false });
  const container = join(image.store, "gocker", "containers", readFileSync(idFile, "utf8").trim());
  // Its files for /etc too: the store is mounted for gocker alone.
  const copy = join(bundle, "container");
  await setting.host.run({ words: ["cp", "-r", container, copy] }, { memory: false });
  rewriteSpec(join(copy, "config.json"), join(bundle, "config.json"), (spec) => ({
    ...spec,
    root: { path: image.rootDirectory },
    mounts: (spec.mounts ?? []).map((mount) => ({
      ...mount,
      ...(mount.source !== undefined && { source: mount.source.replace(container, copy) }),
    })),
  }));
  return bundle;
}

/** podman wants higher limits than it has, which needs CAP_SYS_RESOURCE; with these it keeps what it has. */
export function ownLimits(): string[] {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = (label: string) => {
    const value = Number(new RegExp(`^${label}\\s+\\S+\\s+(\\d+)`, "m").exec(limits)?.[1] ?? Number.NaN);
    return Number.isNaN(value) ? 2 ** 20 : value;
  };
  // It lowers its own limit of processes to the largest number of one.
  const processes = Math.min(hard("Max processes"), Number(readFileSync("/proc/sys/kernel/pid_max", "utf8")));
  const files = hard("Max open files");
  return ["--ulimit", `nofile=${files}:${files}`, "--ulimit", `nproc=${processes}:${processes}`];
}

function rewriteSpec(from: string, to: string, change: (spec: RuntimeSpec) => RuntimeSpec): void {
  writeFileSync(to, JSON.stringify(change(JSON.parse(readFileSync(from, "utf8")) as RuntimeSpec)));
}
