import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { findBuiltIn, isBuiltIn, loadBuiltIn } from "../../../src/engine/built-in.ts";
import { listImages } from "../../../src/engine/images.ts";
import { removeImage } from "../../../src/engine/rmi.ts";
import { loadArchive } from "../../../src/image/archive/load.ts";
import { helloManifests } from "../../../src/image/builtin/hello-name.ts";
import { writeUstar } from "../../../src/image/builtin/ustar.ts";
import type { ProgressEvent } from "../../../src/image/progress.ts";
import { hostArchitecture } from "../../../src/linux/arch.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { pretendUnpacker, temporaryStore } from "../../helpers/memory-images.ts";

const own = helloManifests[hostArchitecture];
const name = "gocker/hello";

function temporaryContext() {
  const { store, root, [Symbol.dispose]: dispose } = temporaryStore();
  const context = { root, state: root, images: store, insecureRegistries: [], debug: undefined };
  return { context, store, [Symbol.dispose]: dispose };
}

/** The options of an installation whose events can be looked at. */
function watched(platform?: string) {
  const kinds: ProgressEvent["kind"][] = [];
  const onProgress = ({ kind }: ProgressEvent) => void kinds.push(kind);
  return { kinds, options: { platform, startUnpacker: pretendUnpacker, onProgress } };
}

/** What docker save writes, with an image of that name. */
function archiveOfAnother(tag: string): Uint8Array {
  const layer = writeUstar([{ name: "file", mode: 0o644, content: Buffer.from("another") }]);
  const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digestOf(layer)] } };
  const manifest = [{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar"] }];
  return writeUstar([
    { name: "layer.tar", mode: 0o644, content: layer },
    { name: "config.json", mode: 0o644, content: Buffer.from(JSON.stringify(config)) },
    { name: "manifest.json", mode: 0o644, content: Buffer.from(JSON.stringify(manifest)) },
  ]);
}

describe("the name", () => {
  const same = ["gocker/hello", "gocker/hello:latest", "docker.io/gocker/hello", "index.docker.io/gocker/hello:latest"];
  test.each(same)("%s is the built-in image's", (text) => {
    expect(isBuiltIn(text)).toBe(true);
  });

  const others = [
    "gocker/hello:1.0",
    `gocker/hello@${digestOf("x")}`,
    `gocker/hello:latest@${digestOf("x")}`,
    "ghcr.io/gocker/hello",
    "localhost:5000/gocker/hello",
    "gocker/hello-world",
    "my/gocker/hello",
    "hello",
    digestOf("x"),
  ];
  test.each(others)("%s is not", (text) => {
    expect(isBuiltIn(text)).toBe(false);
  });
});

describe("findBuiltIn", () => {
  test("loads the image once", async () => {
    using temporary = temporaryContext();
    const first = watched();
    const image = await findBuiltIn(temporary.context, name, first.options);
    expect(image.references).toEqual(["docker.io/gocker/hello:latest"]);
    expect(image.manifestDigest).toBe(own);
    expect(first.kinds).toContain("done");

    const second = watched();
    expect((await findBuiltIn(temporary.context, "gocker/hello:latest", second.options)).id).toBe(image.id);
    expect(second.kinds).toEqual([]);
  });

  test("gives the name back to the built-in image when another one has it", async () => {
    using temporary = temporaryContext();
    const { context, store } = temporary;
    const [other] = await loadArchive(store, archiveOfAnother(name), { startUnpacker: pretendUnpacker });
    expect(store.findManifest(name)).toBe(other?.image.manifestDigest as typeof own);
    expect((await findBuiltIn(context, name, watched().options)).manifestDigest).toBe(own);
    expect(store.findManifest(name)).toBe(own);
    // As after a pull of a newer image, the other one stays without a name.
    expect(store.resolve(other?.image.id ?? "")?.references).toEqual([]);
  });

  test("takes the wanted platform, and the host's again without one", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    for (const [platform, architecture] of [
      ["linux/amd64", "x86_64"],
      ["linux/arm64", "aarch64"],
    ] as const) {
      const image = await findBuiltIn(context, name, watched(platform).options);
      expect(image.manifestDigest).toBe(helloManifests[architecture]);
    }
    expect((await findBuiltIn(context, name, watched().options)).manifestDigest).toBe(own);
  });

  test("says for which platforms it exists", async () => {
    using temporary = temporaryContext();
    await expect(findBuiltIn(temporary.context, name, watched("linux/s390x").options)).rejects.toThrow(
      "it exists for linux/amd64, linux/arm64",
    );
    expect(temporary.store.findManifest(name)).toBeUndefined();
  });

  test("repairs what was removed or changed in the store", async () => {
    using temporary = temporaryContext();
    const { context, store } = temporary;
    const { manifest } = await findBuiltIn(context, name, watched().options);
    rmSync(store.paths.blob(own));
    expect((await findBuiltIn(context, name, watched().options)).manifestDigest).toBe(own);
    writeFileSync(store.paths.blob(manifest.config.digest), "{}");
    expect((await findBuiltIn(context, name, watched().options)).manifestDigest).toBe(own);
    expect(store.resolve(name)?.manifestDigest).toBe(own);
  });

  test("two at once load the same", async () => {
    using temporary = temporaryContext();
    const images = await Promise.all([1, 2].map(() => findBuiltIn(temporary.context, name, watched().options)));
    expect(images.map(({ manifestDigest }) => manifestDigest)).toEqual([own, own]);
    expect(temporary.store.list()).toHaveLength(1);
  });
});

test("it is listed and removed like others, and comes back", async () => {
  using temporary = temporaryContext();
  const { context } = temporary;
  const { id } = await loadBuiltIn(context, watched().options);
  expect(listImages(context, { name }).map(({ repository, tag }) => ({ repository, tag }))).toEqual([
    { repository: "docker.io/gocker/hello", tag: "latest" },
  ]);
  expect(await removeImage(context, name)).toEqual({ untagged: ["docker.io/gocker/hello:latest"], deleted: [id] });
  expect(listImages(context)).toEqual([]);
  expect((await findBuiltIn(context, name, watched().options)).id).toBe(id);
});
