import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { corpusPath, hasCorpus } from "./corpus.ts";
import { hasRegistry, startRegistry, type TestRegistry } from "./registry.ts";
import { isRoot } from "./temporary.ts";

/** Whether containers of the corpus' images can be run here: they are programs for x86-64. */
export const canRunCorpus = isRoot && hasRegistry && hasCorpus && process.arch === "x64" && Bun.which("umoci") !== null;

if (!canRunCorpus) {
  console.warn("run tests are skipped: they need root, x86-64, the corpus, docker-registry, skopeo and umoci");
}

/** Real images by the names that they get in the registry; files of `corpus/images` that skopeo copies as they are. */
const archives = {
  "library/busybox:glibc": "busybox-1.37.0-glibc-amd64.oci.tar",
  "library/busybox:musl": "busybox-1.37.0-musl-amd64.oci.tar",
  "library/busybox:uclibc": "busybox-1.37.0-uclibc-amd64.oci.tar",
  "library/busybox:arm64": "busybox-1.37.0-musl-arm64v8.oci.tar",
  "library/hello-world:2018": "docker-save-hello-world-2018.tar",
  "library/hello-world:latest": "docker-save-v25-hello-world.tar",
  "google/pause:2.0": "docker-pause-2.0.tar",
  "jib/busybox:1": "jib-busybox.tar",
  "wagoodman/dive:14": "docker-save-dive-14layers.tar",
} as const;

/** Root file systems as Alpine gives them out: umoci makes images of them. */
const rootFileSystems = {
  "library/alpine:3.6": "alpine-minirootfs-3.6.5-x86_64.tar.gz",
  "library/alpine:3.19": "alpine-minirootfs-3.19.4-x86_64.tar.gz",
} as const;

export type CorpusImage = keyof typeof archives | keyof typeof rootFileSystems;

/** Debian's docker-registry on loopback with some images of the corpus. */
export async function startCorpusRegistry(names: readonly CorpusImage[]): Promise<TestRegistry> {
  const registry = await startRegistry();
  try {
    await Promise.all(names.map((name) => pushCorpusImage(registry, name)));
  } catch (error) {
    await registry[Symbol.asyncDispose]();
    throw error;
  }
  return registry;
}

/** The root file system of Alpine 3.19, to make images with other configurations of: a layer. */
export const alpineLayer = corpusPath("images/alpine-minirootfs-3.19.4-x86_64.tar.gz");

function isArchive(name: CorpusImage): name is keyof typeof archives {
  return Object.hasOwn(archives, name);
}

async function pushCorpusImage(registry: TestRegistry, name: CorpusImage): Promise<void> {
  if (isArchive(name)) return await registry.push(archives[name], name);
  const tarball = rootFileSystems[name];
  const directory = await mkdtemp(join(tmpdir(), "gocker-umoci-"));
  try {
    const layout = join(directory, "layout");
    const image = `${layout}:made`;
    const layer = join(directory, "layer.tar");
    await Bun.write(layer, Bun.gunzipSync(await Bun.file(corpusPath(`images/${tarball}`)).bytes()));
    await tool("umoci", "init", "--layout", layout);
    await tool("umoci", "new", "--image", image);
    await tool("umoci", "raw", "add-layer", "--image", image, layer);
    await tool("umoci", "config", "--image", image, "--config.cmd", "/bin/sh");
    await registry.pushLayout(layout, "made", name);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs a program that must succeed. */
export async function tool(...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}
