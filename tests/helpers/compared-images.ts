import { expect } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ImageStore } from "../../src/image/store.ts";
import type { StoredImage } from "../../src/image/stored-image.ts";
import { mediaTypes } from "../../src/oci/media-types.ts";
import type { Sandbox } from "./binary.ts";
import { corpusBytes, corpusPath, hasCorpus } from "./corpus.ts";
import { archiveTable } from "./image-archives.ts";
import { madeImages, makeArchive } from "./made-images.ts";
import { makeTar } from "./tar.ts";

/** Images that are unpacked by gocker and by others, each with what gives the path of an archive of it. */
export const comparedImages: readonly (readonly [name: string, archive: (directory: string) => Promise<string>])[] = [
  ...(hasCorpus ? corpusArchives() : []),
  ...Object.entries(madeImages).map(([name, layers]) => {
    const archive = (directory: string) => write(directory, makeArchive(layers.map((members) => makeTar(members))));
    return [name, archive] as const;
  }),
];

function corpusArchives() {
  const whole = Object.entries(archiveTable).filter(([, loaded]) => !(loaded instanceof RegExp));
  const roots = ["alpine-minirootfs-3.6.5-x86_64.tar.gz", "alpine-minirootfs-3.19.4-x86_64.tar.gz"];
  return [
    ...whole.map(([name]) => [name, () => Promise.resolve(corpusPath(`images/${name}`))] as const),
    ...roots.map((name) => {
      const layer = async () => Bun.gunzipSync(new Uint8Array(await corpusBytes(`images/${name}`)));
      return [name, async (directory: string) => await write(directory, makeArchive([await layer()]))] as const;
    }),
  ];
}

async function write(directory: string, archive: Uint8Array): Promise<string> {
  const path = join(directory, "archive.tar");
  await Bun.write(path, archive);
  return path;
}

/** An image that gocker has loaded. */
export interface LoadedImage {
  /** Its ID, for `gocker run`. */
  readonly id: string;
  /** An OCI layout with this image alone, under the tag `image`: other programs find no images without a tag. */
  readonly layout: string;
}

/** Loads an archive into the sandbox by the compiled binary. @returns all images that are in there then */
export async function loadImages(sandbox: Sandbox, archive: string): Promise<LoadedImage[]> {
  const { exitCode, stderr } = await sandbox.gocker(["load", "-q", "-i", archive]);
  if (exitCode !== 0) throw new Error(`gocker load ${archive}: ${stderr}`);
  const store = ImageStore.open(sandbox.root);
  return store.list().map((image) => ({ id: image.id, layout: layoutOf(sandbox, store, image) }));
}

function layoutOf(sandbox: Sandbox, store: ImageStore, image: StoredImage): string {
  const layout = join(sandbox.directory, image.manifestDigest.replace(":", "-"));
  mkdirSync(layout);
  symlinkSync(join(store.paths.images, "blobs"), join(layout, "blobs"));
  writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const manifest = {
    mediaType: image.manifest.mediaType ?? mediaTypes.ociManifest,
    digest: image.manifestDigest,
    size: Bun.file(store.paths.blob(image.manifestDigest)).size,
    annotations: { "org.opencontainers.image.ref.name": "image" },
  };
  writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  return layout;
}

/** Differences from another program that are as they should be. */
export interface Justified {
  readonly reason: string;
  /** Lines of `compareWithContainer`, which must occur. */
  readonly lines: RegExp;
}

/** Expects that lines differ only in what is justified, and that everything justified is there. */
export function expectJustified(differences: readonly string[], justified: readonly Justified[]): void {
  expect(differences.filter((line) => !justified.some(({ lines }) => lines.test(line)))).toEqual([]);
  const missing = justified.filter(({ lines }) => !differences.some((line) => lines.test(line)));
  expect(missing.map(({ reason }) => reason)).toEqual([]);
}
