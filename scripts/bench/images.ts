import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";

import type { TestRegistry } from "../../tests/helpers/registry.ts";
import { aptMirror } from "./apt-mirror.ts";
import { mustRun, outputOf } from "./command.ts";

/** An image of one layer in the registry. */
export interface BenchImage {
  readonly repository: string;
  /** `repository:tag` */
  readonly name: string;
  readonly layerDigest: string;
  /** Files of all types in it; a hard link counts once. */
  readonly files: number;
  /** Of the layer, in bytes. */
  readonly compressed: number;
  readonly uncompressed: number;
}

/** Programs that read a layer from stdin, and the ends of the names of what they make of it. */
const compressors = {
  gzip: { command: ["gzip", "-6", "--no-name"], suffix: "gz" },
  zstd: { command: ["zstd", "-q", "-1"], suffix: "zst" },
} as const;

/** How an image's files are made, and the name of what is kept of them. */
interface Recipe {
  readonly repository: string;
  readonly make: (directory: string) => Promise<void>;
  /** gzip, as Docker has it, unless told. */
  readonly compression?: keyof typeof compressors;
}

export const recipes = {
  debian: { repository: "bench/debian", make: debootstrap },
  node: { repository: "bench/node", make: nodeModules },
} as const satisfies Record<string, Recipe>;

/** Large packages of which one has very many small files, two of them large ones, and one is old and plain. */
const packages = ["@mui/icons-material@6.4.12", "googleapis@144.0.0", "typescript@6.0.3", "lodash@4.17.21"];
/** As often the same tree is in the image: about 72,000 files. */
const copies = 2;

/**
 * Pushes an image. Its layer is made once, which needs the network, and kept in the cache.
 * @param cache a directory; remove it to have the images made anew
 */
export async function provideImage(recipe: Recipe, cache: string, registry: TestRegistry): Promise<BenchImage> {
  const { repository, make, compression = "gzip" } = recipe;
  const { command, suffix } = compressors[compression];
  const layer = join(cache, `${repository.replaceAll("/", "-")}.tar.${suffix}`);
  const facts = `${layer}.json`;
  if (!existsSync(facts)) await makeLayer(make, command, cache, layer, facts);
  const name = `${repository}:1`;
  await registry.pushImage(name, { layers: [layer], config: { Cmd: ["sh"] } });
  return { repository, name, ...(JSON.parse(readFileSync(facts, "utf8")) as Omit<BenchImage, "repository" | "name">) };
}

async function makeLayer(
  make: Recipe["make"],
  compressor: readonly string[],
  cache: string,
  layer: string,
  facts: string,
): Promise<void> {
  mkdirSync(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, ".making-"));
  try {
    const root = join(directory, "root");
    mkdirSync(root);
    await make(root);
    const tar = join(directory, "layer.tar");
    await mustRun(
      "tar",
      "-C",
      root,
      "--sort=name",
      "--numeric-owner",
      "--xattrs",
      "--xattrs-include=*",
      "-cf",
      tar,
      ".",
    );
    const uncompressed = Bun.file(tar).size;
    const compressed = join(directory, "layer");
    await mustRun("sh", "-c", 'out=$0; in=$1; shift; "$@" <"$in" >"$out"', compressed, tar, ...compressor);
    const bytes = await Bun.file(compressed).bytes();
    const files = Number(outputOf("sh", "-c", "find \"$0\" -printf '%i\\n' | sort -u | wc -l", root));
    const layerDigest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
    renameSync(compressed, layer);
    // Last: its presence means that the layer is whole.
    writeFileSync(facts, `${JSON.stringify({ layerDigest, files, compressed: bytes.length, uncompressed })}\n`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function debootstrap(root: string): Promise<void> {
  await mustRun("debootstrap", "--variant=minbase", "bookworm", root, aptMirror());
  await mustRun("sh", "-c", 'rm -f "$0"/var/cache/apt/archives/*.deb', root);
}

async function nodeModules(root: string): Promise<void> {
  const first = join(root, "srv", "1");
  mkdirSync(first, { recursive: true });
  writeFileSync(join(first, "package.json"), "{}\n");
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const only = ["--ignore-scripts", "--omit=optional", "--omit=peer"];
  await mustRun("npm", "install", "--prefix", first, ...quiet, ...only, ...packages);
  for (let copy = 2; copy <= copies; copy++) {
    cpSync(first, join(root, "srv", String(copy)), { recursive: true, verbatimSymlinks: true });
  }
}
