import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { DownloadError } from "../../../src/image/errors.ts";
import type { ProgressEvent } from "../../../src/image/progress.ts";
import { pullImage, type PullOptions } from "../../../src/image/pull.ts";
import type { ImageStore } from "../../../src/image/store.ts";
import { FileLock } from "../../../src/linux/lock.ts";
import { type Digest, digestOf } from "../../../src/oci/digest.ts";
import { mediaTypes } from "../../../src/oci/media-types.ts";
import { parsePlatform } from "../../../src/oci/platform.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { VerificationError } from "../../../src/util/errors.ts";
import { MemoryRegistry, pretendUnpacker, temporaryStore } from "../../helpers/memory-images.ts";

const name = "registry.test/app:1";

function pull(store: ImageStore, registry: MemoryRegistry, options: PullOptions = {}, reference = name) {
  return pullImage(store, registry, parseReference(reference), { startUnpacker: pretendUnpacker, ...options });
}

/** Bytes that do not shrink when they are compressed. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, length)));
  return bytes;
}

describe("pullImage", () => {
  test("brings an image into the store and finds it by every name", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const made = registry.add(name, [noise(5000), noise(3000)]);
    const image = await pull(temporary.store, registry);
    expect(image.id).toBe(made.id);
    expect(image.references).toEqual([name]);
    expect(image.repositoryDigests).toEqual([`registry.test/app@${made.manifestDigest}`]);
    expect(image.size).toBe(8000);
    expect(image.layerDirectories).toEqual(made.diffIds.map((diffId) => temporary.store.layerDirectory(diffId)));
    for (const directory of image.layerDirectories) expect(existsSync(`${directory}/layer.tar`)).toBe(true);
    const hex = made.id.slice(7);
    const names = [name, made.id, hex, hex.slice(0, 8), `sha256:${hex.slice(0, 8)}`];
    for (const text of [...names, `registry.test/app@${made.manifestDigest}`, `${name}@${made.manifestDigest}`]) {
      expect(temporary.store.resolve(text)?.id).toBe(made.id);
    }
    expect(temporary.store.resolve("registry.test/app")).toBeUndefined();
    expect(temporary.store.resolve(`other.test/app@${made.manifestDigest}`)).toBeUndefined();
    expect(temporary.files().filter((file) => file.startsWith("tmp/"))).toEqual([]);
  });

  test("downloads nothing that is there", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const shared = noise(4000);
    const first = registry.add(name, [shared, noise(10)]);
    registry.add("registry.test/other:2", [shared, noise(20)]);
    await pull(temporary.store, registry);
    registry.opened.length = 0;
    const events: ProgressEvent[] = [];
    await pull(temporary.store, registry, { onProgress: (event) => events.push(event) }, "registry.test/other:2");
    expect(registry.opened.map(({ digest }) => digest)).not.toContain(first.layers[0]?.digest as Digest);
    expect(events.filter(({ kind }) => kind === "exists")).toHaveLength(1);
    expect(events.filter(({ kind }) => kind === "done")).toHaveLength(1);
  });

  test("goes on where a body broke off", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const made = registry.add(name, [noise(9500)]);
    const layer = made.layers[0]!;
    const retries: number[] = [];
    registry.onOpen = (digest) => {
      if (digest === layer.digest) registry.breaks.push(...(registry.opened.length < 4 ? [{ after: 3000 }] : []));
    };
    await pull(temporary.store, registry, {
      onProgress: (event) => event.kind === "retrying" && retries.push(event.delay),
    });
    const offsets = registry.opened.filter(({ digest }) => digest === layer.digest).map(({ offset }) => offset);
    expect(offsets).toEqual([0, 3000, 6000]);
    expect(retries).toHaveLength(2);
  });

  test("copes with a server that ignores Range and with bodies that end too early", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    registry.ignoresRange = true;
    const made = registry.add(name, [noise(9500)]);
    registry.onOpen = (digest) => {
      const layer = made.layers[0]?.digest;
      if (digest === layer && registry.opened.length === 2) registry.breaks.push({ after: 5000, quietly: true });
    };
    expect((await pull(temporary.store, registry)).id).toBe(made.id);
  });

  test("keeps what arrived when the network stays away, and uses it the next time", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const made = registry.add(name, [noise(9500)]);
    const layer = made.layers[0]!;
    const aborting = new AbortController();
    registry.onOpen = (digest) => {
      if (digest === layer.digest) registry.breaks.push({ after: 4000 });
    };
    const pulling = pull(temporary.store, registry, {
      signal: aborting.signal,
      onProgress: (event) => event.kind === "retrying" && aborting.abort(new Error("enough")),
    });
    await expect(pulling).rejects.toThrow("enough");
    expect(temporary.store.list()).toEqual([]);
    expect(temporary.files().filter((file) => file.startsWith("tmp/"))).toEqual([`tmp/${layer.digest.slice(7)}.blob`]);
    registry.onOpen = undefined;
    registry.breaks.length = registry.opened.length = 0;
    expect((await pull(temporary.store, registry)).id).toBe(made.id);
    expect(registry.opened).toContainEqual({ digest: layer.digest, offset: 4000 });
  });

  test("throws away a kept part that was damaged", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const made = registry.add(name, [noise(9500)]);
    temporary.store.paths.create();
    for (const damaged of [noise(4000), noise(9900)]) {
      writeFileSync(temporary.store.paths.partialBlob(made.layers[0]!.digest), damaged);
      expect((await pull(temporary.store, registry)).id).toBe(made.id);
      await temporary.store.remove([made.manifestDigest]);
      const { collectGarbage } = await import("../../../src/image/garbage.ts");
      expect(await collectGarbage(temporary.store)).toMatchObject({ blobs: 3, layers: 1 });
    }
  });

  test("takes over a layer whose owner died, and leaves alone what a living one works on", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const made = registry.add(name, [noise(9500)]);
    const blob = made.layers[0]!.digest;
    temporary.store.paths.create();
    const owner = await FileLock.acquire(temporary.store.paths.workLock(blob), "exclusive");
    const waiting = Promise.withResolvers<void>();
    const pulling = pull(temporary.store, registry, {
      onProgress: (event) => event.kind === "waiting" && waiting.resolve(),
    });
    await waiting.promise;
    expect(registry.opened.map(({ digest }) => digest)).not.toContain(blob);
    owner.release();
    expect((await pulling).id).toBe(made.id);
  });

  test("two pulls at once share the work", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const made = registry.add(name, [noise(200_000), noise(300_000)]);
    const images = await Promise.all([pull(temporary.store, registry), pull(temporary.store, registry)]);
    expect(images.map(({ id }) => id)).toEqual([made.id, made.id]);
    for (const { digest } of made.layers) {
      expect(registry.opened.filter((opened) => opened.digest === digest)).toHaveLength(1);
    }
  });

  test("takes an image without layers, with empty layers and with a layer twice", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const twice = noise(100);
    registry.add("registry.test/none:1", []);
    registry.add("registry.test/twice:1", [twice, noise(50), twice]);
    expect((await pull(temporary.store, registry, {}, "registry.test/none:1")).layerDirectories).toEqual([]);
    const { layerDirectories, config } = await pull(temporary.store, registry, {}, "registry.test/twice:1");
    const [first, second, third] = config.rootfs.diff_ids.map((diffId) => temporary.store.layerDirectory(diffId));
    expect(first).toBe(third);
    expect(layerDirectories).toEqual([second!, third!]);
    const empty = registry.addBlob(new Uint8Array(), mediaTypes.ociLayer);
    const config2 = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [empty.digest] } };
    const configDescriptor = registry.addBlob(Buffer.from(JSON.stringify(config2)), mediaTypes.ociConfig);
    registry.addManifest("registry.test/empty:1", {
      mediaType: mediaTypes.ociManifest,
      schemaVersion: 2,
      config: configDescriptor,
      layers: [empty],
    });
    const image = await pull(temporary.store, registry, {}, "registry.test/empty:1");
    expect(image.size).toBe(0);
    expect(registry.opened.map(({ digest }) => digest)).not.toContain(empty.digest);
  });

  test("moving a tag leaves the old image untagged", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const old = registry.add(name, [noise(100)]);
    await pull(temporary.store, registry);
    const newer = registry.add(name, [noise(120)]);
    await pull(temporary.store, registry);
    expect(temporary.store.resolve(name)?.id).toBe(newer.id);
    expect(temporary.store.resolve(old.id)?.references).toEqual([]);
    expect(temporary.store.resolve(old.id)?.repositoryDigests).toEqual([`registry.test/app@${old.manifestDigest}`]);
  });

  test("remembers for which name another tag was taken", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const made = registry.add(name, [noise(100)]);
    await pull(temporary.store, registry, { substituteFor: parseReference("registry.test/app:latest") });
    expect(temporary.store.resolve("registry.test/app")?.id).toBe(made.id);
    expect(temporary.store.resolve("registry.test/app:latest")).toBeUndefined();
  });

  test("chooses the platform's image from an index, and records the index as its origin", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    const images = ["amd64", "arm64"].map((architecture) => {
      const made = registry.add(`registry.test/${architecture}:1`, [noise(64)], { architecture });
      return { made, architecture };
    });
    const manifests = images.map(({ made, architecture }) => ({
      mediaType: mediaTypes.ociManifest,
      digest: made.manifestDigest,
      size: made.manifest.length,
      platform: { os: "linux", architecture },
    }));
    const index = registry.addManifest(name, { mediaType: mediaTypes.ociIndex, schemaVersion: 2, manifests });
    const image = await pull(temporary.store, registry, { platform: parsePlatform("linux/arm64") });
    expect(image.config.architecture).toBe("arm64");
    expect(image.repositoryDigests).toEqual([`registry.test/app@${index.digest}`]);
    expect(temporary.store.resolve(`registry.test/app@${index.digest}`)?.id).toBe(image.id);
    const other = pull(temporary.store, registry, { platform: parsePlatform("linux/s390x") });
    await expect(other).rejects.toThrow(/s390x/);
  });
});

describe("what is wrong is refused and leaves nothing", () => {
  const good = noise(3000);
  const cases: Record<string, (registry: MemoryRegistry) => void> = {
    "the digest of the manifest": (registry) => {
      const manifest = registry.manifests.get(name)!;
      registry.manifests.set(name, { ...manifest, digest: digestOf("other") });
    },
    "the digest of the config": (registry) => change(registry, mediaTypes.ociConfig, (bytes) => flip(bytes)),
    "the size of the config": (registry) => change(registry, mediaTypes.ociConfig, (bytes) => bytes.slice(0, -1)),
    "a config that is longer": (registry) =>
      change(registry, mediaTypes.ociConfig, (bytes) => Buffer.concat([bytes, Buffer.from(" ")])),
    "the digest of a layer": (registry) => change(registry, mediaTypes.ociLayerGzip, (bytes) => flip(bytes)),
    "a layer that is longer": (registry) =>
      change(registry, mediaTypes.ociLayerGzip, (bytes) => Buffer.concat([bytes, Buffer.from([0])])),
    "the plain digest of a layer": (registry) => {
      registry.add(name, [good, noise(10)], { rootfs: { type: "layers", diff_ids: [digestOf(good), digestOf("x")] } });
    },
    "the number of diff IDs": (registry) => {
      registry.add(name, [good, noise(10)], { rootfs: { type: "layers", diff_ids: [digestOf(good)] } });
    },
  };

  for (const [what, spoil] of Object.entries(cases)) {
    test(what, async () => {
      using temporary = temporaryStore();
      const registry = new MemoryRegistry();
      registry.add(name, [good, noise(100_000)]);
      spoil(registry);
      const failure = await pull(temporary.store, registry).then(
        () => undefined,
        (error: unknown) => error as Error,
      );
      expect(failure?.name).toMatch(/^(VerificationError|InvalidDocumentError)$/);
      expect(temporary.files().filter((file) => !existsAsDirectory(temporary.root, file))).toEqual(
        temporary.files().includes("images.lock") ? ["images.lock"] : [],
      );
      expect(temporary.store.list()).toEqual([]);
    });
  }

  test("a layer of another image that is shared stays", async () => {
    using temporary = temporaryStore();
    const registry = new MemoryRegistry();
    registry.add("registry.test/good:1", [good]);
    const kept = await pull(temporary.store, registry, {}, "registry.test/good:1");
    registry.add(name, [good, noise(10)], { rootfs: { type: "layers", diff_ids: [digestOf(good), digestOf("x")] } });
    await expect(pull(temporary.store, registry)).rejects.toBeInstanceOf(VerificationError);
    expect(temporary.store.list().map(({ id }) => id)).toEqual([kept.id]);
    expect(existsSync(`${kept.layerDirectories[0]}/layer.tar`)).toBe(true);
    expect(temporary.files().filter((file) => /layers\/[0-9a-f]{64}$/.test(file))).toHaveLength(1);
  });

  function change(registry: MemoryRegistry, mediaType: string, how: (bytes: Uint8Array) => Uint8Array): void {
    const { bytes } = registry.manifests.get(name)!;
    const manifest = JSON.parse(Buffer.from(bytes).toString()) as {
      config: { mediaType: string; digest: string };
      layers: { mediaType: string; digest: string }[];
    };
    const blob = [manifest.config, ...manifest.layers].findLast((descriptor) => descriptor.mediaType === mediaType)!;
    registry.blobs.set(blob.digest, how(registry.blobs.get(blob.digest)!));
  }

  function flip(bytes: Uint8Array): Uint8Array {
    const flipped = bytes.slice();
    const middle = flipped.length >> 1;
    flipped[middle] = flipped[middle]! ^ 1;
    return flipped;
  }

  function existsAsDirectory(root: string, file: string): boolean {
    try {
      readFileSync(`${root}/${file}`);
      return false;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EISDIR") return true;
      throw error;
    }
  }
});

test("a download that breaks without a byte in between is given up", async () => {
  const { download } = await import("../../../src/image/download.ts");
  const source = {
    openBlob: () => Promise.reject(new Error("ECONNRESET")),
  };
  const delays: number[] = [];
  const intake = { received: 0, take: () => Promise.resolve() };
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf("x"), size: 1 };
  const downloading = download(source, descriptor, intake, {
    signal: new AbortController().signal,
    onReceived: () => {},
    onRetry: (delay) => delays.push(delay),
    pause: 1,
  });
  await expect(downloading).rejects.toBeInstanceOf(DownloadError);
  expect(delays).toHaveLength(5);
});

test("a body that is shorter than its descriptor says is wrong, not broken", async () => {
  const { download } = await import("../../../src/image/download.ts");
  const source = {
    openBlob: () => Promise.resolve({ offset: 0, stream: new ReadableStream<Uint8Array>({ start: (c) => c.close() }) }),
  };
  const intake = { received: 0, take: () => Promise.resolve() };
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf("x"), size: 1 };
  const downloading = download(source, descriptor, intake, { signal: new AbortController().signal });
  await expect(downloading).rejects.toBeInstanceOf(VerificationError);
});
