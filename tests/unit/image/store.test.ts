import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { StoreDamagedError } from "../../../src/image/errors.ts";
import { collectGarbage, sweepTemporary } from "../../../src/image/garbage.ts";
import { Lease } from "../../../src/image/lease.ts";
import { pullImage } from "../../../src/image/pull.ts";
import { repairImage } from "../../../src/image/repair.ts";
import { settle } from "../../../src/image/settle.ts";
import { bootId } from "../../../src/linux/boot-id.ts";
import type { ImageStore } from "../../../src/image/store.ts";
import { distinctLayers } from "../../../src/image/stored-image.ts";
import { FileLock } from "../../../src/linux/lock.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { ConflictError } from "../../../src/util/errors.ts";
import { MemoryRegistry, pretendUnpacker, temporaryStore } from "../../helpers/memory-images.ts";

const startUnpacker = pretendUnpacker;

async function pulled(store: ImageStore, registry: MemoryRegistry, name: string, ...layers: string[]) {
  registry.add(
    name,
    layers.map((text) => Buffer.from(text)),
    { author: name },
  );
  return pullImage(store, registry, parseReference(name), { startUnpacker });
}

describe("ImageStore", () => {
  test("an empty store has no images, and looking makes nothing", () => {
    using temporary = temporaryStore();
    expect(temporary.store.list()).toEqual([]);
    expect(temporary.store.resolve("alpine")).toBeUndefined();
    expect(temporary.files()).toEqual([]);
  });

  test("names, tags and IDs", async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const registry = new MemoryRegistry();
    const image = await pulled(store, registry, "docker.io/library/app:latest", "one");
    expect(store.resolve("app")?.id).toBe(image.id);
    await store.tag(image, parseReference("registry.test/copy:2"));
    expect(store.resolve("registry.test/copy:2")?.references).toEqual([
      "docker.io/library/app:latest",
      "registry.test/copy:2",
    ]);
    expect((await store.untag("docker.io/library/app:latest")).untagged).toEqual(["docker.io/library/app:latest"]);
    expect(store.resolve("app")).toBeUndefined();
    await store.untag("registry.test/copy:2");
    expect(store.resolve(image.id)?.references).toEqual([]);
    // Its origin is still known, and a name takes it up again.
    expect(store.resolve(image.id)?.repositoryDigests).toEqual([`docker.io/library/app@${image.manifestDigest}`]);
    await store.tag(image, parseReference("again:1"));
    expect(store.list()).toHaveLength(1);
    expect(store.list()[0]?.references).toEqual(["docker.io/library/again:1"]);
    expect((await store.remove([image.manifestDigest])).untagged).toEqual(["docker.io/library/again:1"]);
    expect(store.list()).toEqual([]);
    await expect(store.tag(image, parseReference("gone:1"))).rejects.toBeInstanceOf(StoreDamagedError);
  });

  test("the beginning of an ID must be that of one image only", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const ids = new Map<string, string>();
    for (let number = 0; ; number++) {
      const { id } = await pulled(temporary.store, registry, `registry.test/n:${number}`, `layer ${number}`);
      const first = id.slice(7, 8);
      if (ids.has(first)) {
        expect(() => temporary.store.resolve(`sha256:${first}`)).toThrow(ConflictError);
        expect(() => temporary.store.resolve(first)).toThrow(/ambiguous/);
        expect(temporary.store.resolve(id.slice(7))?.id).toBe(id);
        break;
      }
      ids.set(first, id);
      expect(temporary.store.resolve(first)?.id).toBe(id);
    }
  });

  test("a damaged image is told, left out of the list, repaired by a pull and can be removed", async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const registry = new MemoryRegistry();
    const image = await pulled(store, registry, "registry.test/app:1", "one");
    for (const digest of [image.id, image.manifestDigest]) {
      writeFileSync(store.paths.blob(digest), "{}");
      expect(() => store.resolve("registry.test/app:1")).toThrow(StoreDamagedError);
      const damages: Error[] = [];
      expect(store.list((error) => damages.push(error))).toEqual([]);
      expect(damages).toHaveLength(1);
      expect(store.findManifest("registry.test/app:1")).toBe(image.manifestDigest);
      await pullImage(store, registry, parseReference("registry.test/app:1"), { startUnpacker });
      expect(store.resolve("registry.test/app:1")?.id).toBe(image.id);
      rmSync(store.paths.blob(digest));
      expect(() => store.resolve("registry.test/app:1")).toThrow(StoreDamagedError);
      await pullImage(store, registry, parseReference("registry.test/app:1"), { startUnpacker });
    }
    writeFileSync(store.paths.index, "{");
    expect(() => store.list()).toThrow(/index of the image store/);
  });

  test("a layer of an unfinished pull, unpacked before the power failed, is unpacked again", async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const registry = new MemoryRegistry();
    const image = await pulled(store, registry, "registry.test/app:1", "one");
    await store.remove([image.manifestDigest]);
    const [directory] = image.layerDirectories;
    writeFileSync(`${directory}/layer.tar`, "");
    const record = store.paths.layerRecord(digestOf("one"));
    const content = JSON.parse(readFileSync(record, "utf8")) as object;
    writeFileSync(record, JSON.stringify({ ...content, boot: "another" }));
    writeFileSync(store.paths.blob(image.manifest.layers[0]!.digest), Buffer.alloc(image.manifest.layers[0]!.size));
    await pullImage(store, registry, parseReference("registry.test/app:1"), { startUnpacker });
    expect(readFileSync(`${directory}/layer.tar`, "utf8")).toBe("one");
    expect(digestOf(readFileSync(store.paths.blob(image.manifest.layers[0]!.digest)))).toBe(
      image.manifest.layers[0]!.digest,
    );
  });

  test("an image that the machine went down upon is unpacked again from its blobs, unless they are lost too", async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const registry = new MemoryRegistry();
    const image = await pulled(store, registry, "registry.test/app:1", "one", "two");
    expect(image.certain).toBe(true);
    await store.tag(image, parseReference("registry.test/copy:1"));
    const goDown = () => {
      const boot = bootId();
      for (const path of [
        store.paths.index,
        ...image.config.rootfs.diff_ids.map((id) => store.paths.layerRecord(id)),
      ]) {
        writeFileSync(path, readFileSync(path, "utf8").replaceAll(boot, "12345678-dead"));
      }
      writeFileSync(`${image.layerDirectories[0]}/layer.tar`, "");
    };
    goDown();
    registry.opened.length = 0;
    expect(store.resolve("registry.test/app:1")?.certain).toBe(false);
    const repaired = await repairImage(store, store.resolve(image.id)!, { startUnpacker });
    expect(repaired.certain).toBe(true);
    expect(repaired.references).toEqual(["registry.test/app:1", "registry.test/copy:1"]);
    expect(repaired.repositoryDigests).toEqual(image.repositoryDigests);
    expect(readFileSync(`${image.layerDirectories[0]}/layer.tar`, "utf8")).toBe("one");
    expect(registry.opened).toEqual([]);
    goDown();
    writeFileSync(store.paths.blob(image.manifest.layers[1]!.digest), Buffer.alloc(image.manifest.layers[1]!.size));
    const uncertain = store.resolve(image.id)!;
    await expect(repairImage(store, uncertain, { startUnpacker })).rejects.toBeInstanceOf(StoreDamagedError);
    const again = await pullImage(store, registry, parseReference("registry.test/app:1"), { startUnpacker });
    expect(again.layerDirectories.map((directory) => readFileSync(`${directory}/layer.tar`, "utf8"))).toEqual([
      "one",
      "two",
    ]);
  });

  test("images are settled when the kernel has had its time", async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const image = await pulled(store, new MemoryRegistry(), "registry.test/app:1", "one");
    const annotations = () => JSON.parse(readFileSync(store.paths.index, "utf8")).manifests[0].annotations as object;
    await settle(store);
    expect(annotations()).toHaveProperty(["gocker.image.unsettled"]);
    await settle(store, Date.now() + 120_000);
    expect(annotations()).not.toHaveProperty(["gocker.image.unsettled"]);
    expect(store.resolve(image.id)?.certain).toBe(true);
    expect(store.resolve("registry.test/app:1")?.id).toBe(image.id);
  });

  test("of a layer that stands twice the upper one counts", () => {
    const [a, b, c] = [digestOf("a"), digestOf("b"), digestOf("c")];
    expect(distinctLayers([a, b, a, c, b])).toEqual([a, c, b]);
  });
});

describe("collectGarbage", () => {
  test("takes what nothing needs, and nothing else", async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const registry = new MemoryRegistry();
    const kept = await pulled(store, registry, "registry.test/kept:1", "shared", "own");
    const gone = await pulled(store, registry, "registry.test/gone:1", "shared", "gone", "in use");
    expect(await collectGarbage(store)).toMatchObject({ blobs: 0, layers: 0 });
    await store.remove([gone.manifestDigest]);
    const collected = await collectGarbage(store, { inUse: () => [digestOf("in use")] });
    expect(collected).toMatchObject({ blobs: 4, layers: 1 });
    expect(existsSync(store.layerDirectory(digestOf("gone")))).toBe(false);
    expect(existsSync(store.layerDirectory(digestOf("in use")))).toBe(true);
    for (const directory of kept.layerDirectories) expect(existsSync(directory)).toBe(true);
    expect(store.resolve("registry.test/kept:1")?.id).toBe(kept.id);
    expect(await collectGarbage(store)).toMatchObject({ blobs: 0, layers: 1 });
    expect(temporary.files().filter((file) => file.startsWith("tmp/"))).toEqual([]);
  });

  test("spares what a pull under way has leased, and not what a dead one had", async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const registry = new MemoryRegistry();
    const image = await pulled(store, registry, "registry.test/app:1", "one");
    const content = {
      blobs: new Set([image.manifestDigest, image.id, image.manifest.layers[0]!.digest]),
      layers: new Set(image.config.rootfs.diff_ids),
    };
    {
      using _lease = await Lease.take(store, content);
      await store.remove([image.manifestDigest]);
      expect(await collectGarbage(store)).toMatchObject({ blobs: 0, layers: 0 });
    }
    writeFileSync(
      `${store.paths.temporary}/lease-of-the-dead`,
      JSON.stringify({ blobs: [...content.blobs], layers: [] }),
    );
    // Locked, but empty: somebody just looks whether it is alive.
    using _look = FileLock.tryAcquire(`${store.paths.temporary}/lease-looked-at`, "exclusive");
    expect(await collectGarbage(store)).toMatchObject({ blobs: 3, layers: 1 });
    _look?.removeAndRelease();
    expect(temporary.files().filter((file) => file.startsWith("tmp/"))).toEqual([]);
  });

  test("waits for pins", async () => {
    using temporary = temporaryStore();
    const pin = await temporary.store.pin();
    const other = await temporary.store.pin();
    const released: string[] = [];
    const collecting = (async () => {
      await collectGarbage(temporary.store);
      released.push("collected");
    })();
    other.release();
    await new Promise(setImmediate);
    released.push("pin");
    pin.release();
    await collecting;
    expect(released).toEqual(["pin", "collected"]);
  });

  test("never follows links out of a layer", async () => {
    using temporary = temporaryStore();
    const { store, root } = temporary;
    const registry = new MemoryRegistry();
    const image = await pulled(store, registry, "registry.test/app:1", "one");
    mkdirSync(`${root}/outside`);
    writeFileSync(`${root}/outside/file`, "");
    symlinkSync(`${root}/outside`, `${image.layerDirectories[0]}/link`);
    await store.remove([image.manifestDigest]);
    await collectGarbage(store);
    expect(existsSync(`${root}/outside/file`)).toBe(true);
    expect(existsSync(image.layerDirectories[0]!)).toBe(false);
  });
});

describe("sweepTemporary", () => {
  test("removes what dead processes left, and keeps what can be resumed or is being worked on", async () => {
    using temporary = temporaryStore();
    const { paths } = temporary.store;
    await sweepTemporary(paths);
    paths.create();
    const [dead, living, old, fresh] = ["dead", "living", "old", "fresh"].map((text) => digestOf(text));
    for (const digest of [dead!, living!]) {
      mkdirSync(`${paths.partialLayer(digest)}/etc`, { recursive: true });
      writeFileSync(paths.workLock(digest), "");
    }
    for (const digest of [old!, fresh!]) writeFileSync(paths.partialBlob(digest), "part");
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 60 * 60;
    utimesSync(paths.partialBlob(old!), twoDaysAgo, twoDaysAgo);
    mkdirSync(`${paths.temporary}/trash-1/deep`, { recursive: true });
    writeFileSync(`${paths.temporary}/lease-1`, "{}");
    using _lock = await FileLock.acquire(paths.workLock(living!), "exclusive");
    await sweepTemporary(paths);
    const left = temporary.files().filter((file) => file.startsWith("tmp/"));
    const hex = living!.slice(7);
    expect(left).toEqual(
      [`tmp/${hex}.layer`, `tmp/${hex}.layer/etc`, `tmp/${hex}.lock`, `tmp/${fresh!.slice(7)}.blob`].toSorted(),
    );
  });
});
