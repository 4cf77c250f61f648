import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type EngineContext, engineContext } from "../../src/engine/context.ts";
import { listImages } from "../../src/engine/images.ts";
import { pull } from "../../src/engine/pull.ts";
import { removeImage } from "../../src/engine/rmi.ts";
import type { ProgressEvent } from "../../src/image/progress.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { hasRegistry, startRegistry, type TestRegistry } from "../helpers/registry.ts";
import { makeTar } from "../helpers/tar.ts";
import { describeTree } from "../helpers/tree.ts";
import { until } from "../helpers/until.ts";

setDefaultTimeout(60_000);

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("pull tests are skipped: unpacking layers needs root");

/** A root directory of its own; disposing of it removes it. */
function temporaryContext(): { directory: string; context: EngineContext; files: () => string[] } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "gocker-pull-"));
  const context = engineContext({ root: `${directory}/root`, state: `${directory}/state` });
  return {
    directory,
    context,
    files: () => (readdirSync(context.root, { recursive: true }) as string[]).toSorted(),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

type Told = ProgressEvent | { kind: "pulled"; id: string };

/** Pulls in a process of its own: see helpers/pull-process.ts. */
function pullProcess(directory: string, name: string, ...killAt: string[]) {
  const script = resolve(import.meta.dir, "../helpers/pull-process.ts");
  const child = Bun.spawn([process.execPath, script, directory, name, ...killAt], { stdout: "pipe", stderr: "pipe" });
  const told = new Response(child.stdout).text().then((text) =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Told),
  );
  return { child, told };
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, length)));
  return bytes;
}

function layerOf(name: string, content: Uint8Array): Uint8Array {
  return Bun.gzipSync(new Uint8Array(makeTar([{ name, content }])));
}

describe.skipIf(!hasRegistry || !isRoot)("pulling from docker-registry", () => {
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
    await registry.pushImage("big:1", {
      layers: [layerOf("a", noise(6_000_000)), layerOf("b", noise(3_000_000)), layerOf("c", noise(20_000))],
    });
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  const image = (name: string) => `${registry.address}/${name}`;

  test.skipIf(!hasCorpus)("an image of the corpus, listed and removed again", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    await registry.push(corpusPath("images/busybox-1.37.0-musl-amd64.oci.tar"), "library/busybox:1.37");
    const { image: stored, reference, isNew } = await pull(context, image("library/busybox:1.37"));
    expect(reference).toBe(image("library/busybox:1.37"));
    expect(isNew).toBe(true);
    expect((await pull(context, image("library/busybox:1.37"))).isNew).toBe(false);
    expect(existsSync(`${stored.layerDirectories[0]}/bin/busybox`)).toBe(true);
    expect(listImages(context)).toMatchObject([
      { id: stored.id, repository: image("library/busybox"), tag: "1.37", digest: stored.manifestDigest, os: "linux" },
    ]);
    const removed = await removeImage(context, image("library/busybox:1.37"));
    expect(removed).toEqual({ untagged: [reference], deleted: [stored.id] });
    expect(temporary.files().filter((file) => /[0-9a-f]{64}/.test(file))).toEqual([]);
  });

  test("the last tag is taken when there is no latest, and found again without the registry", async () => {
    using temporary = temporaryContext();
    await registry.pushImage("tagged:1.9", { layers: [] });
    await registry.pushImage("tagged:1.24", { layers: [] });
    const { substituted, image: stored } = await pull(temporary.context, image("tagged"));
    expect(["1.9", "1.24"]).toContain(substituted!);
    expect(temporary.context.images.resolve(image("tagged"))?.id).toBe(stored.id);
  });

  for (const [kind, count] of [
    ["manifest", 1],
    ["downloading", 1],
    ["downloading", 10],
    ["unpacking", 5],
    ["done", 1],
    ["done", 2],
    ["recording", 1],
  ] as const) {
    test(`killed at ${kind} ${count}, the next pull completes it`, async () => {
      using temporary = temporaryContext();
      const { child } = pullProcess(temporary.directory, image("big:1"), kind, `${count}`);
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
      expect(temporary.context.images.list()).toEqual([]);
      const { image: stored } = await pull(temporary.context, image("big:1"));
      expect(temporary.files().filter((file) => file.startsWith("tmp/"))).toEqual([]);
      using fresh = temporaryContext();
      const { image: expected } = await pull(fresh.context, image("big:1"));
      expect(stored.id).toBe(expected.id);
      for (const [position, directory] of stored.layerDirectories.entries()) {
        expect(describeTree(directory, { ignoreRoot: true })).toEqual(
          describeTree(expected.layerDirectories[position]!, { ignoreRoot: true }),
        );
      }
    });
  }

  test("what had arrived when the process was killed is not downloaded again", async () => {
    using temporary = temporaryContext();
    const { child } = pullProcess(temporary.directory, image("big:1"), "downloading", "10");
    await child.exited;
    const kept = temporary.files().filter((file) => file.endsWith(".blob"));
    const before = registry.log().length;
    await pull(temporary.context, image("big:1"));
    expect(kept.length).toBeGreaterThan(0);
    const rest = /GET \/v2\/big\/blobs\/\S+ HTTP\/1.1" 206/;
    await until("the rest is asked for", () => rest.test(registry.log().slice(before)));
  });

  test("two processes at once download each layer once, and one takes over from the other", async () => {
    using temporary = temporaryContext();
    const before = registry.log().length;
    const pulls = [pullProcess(temporary.directory, image("big:1")), pullProcess(temporary.directory, image("big:1"))];
    for (const { child } of pulls) expect(await child.exited).toBe(0);
    const [one, other] = await Promise.all(pulls.map(({ told }) => told));
    expect(one!.at(-1)).toEqual(other!.at(-1));
    const layers = temporary.context.images.list()[0]!.manifest.layers;
    const downloads = (digest: string) =>
      registry
        .log()
        .slice(before)
        .split("\n")
        .filter((line) => line.includes(`GET /v2/big/blobs/${digest}`) && line.includes('HTTP/1.1" 2'));
    for (const { digest } of layers) {
      await until("the download is logged", () => downloads(digest).length > 0);
      expect(downloads(digest)).toHaveLength(1);
    }

    using next = temporaryContext();
    const dying = pullProcess(next.directory, image("big:1"), "unpacking", "4");
    const surviving = pullProcess(next.directory, image("big:1"));
    expect(await surviving.child.exited).toBe(0);
    await dying.child.exited;
    expect(next.context.images.list()).toHaveLength(1);
    expect(next.files().filter((file) => file.endsWith(".layer"))).toEqual([]);
  });

  test("removing images never takes what a pull under way needs", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    await pull(context, image("big:1"));
    const stored = context.images.resolve(image("big:1"))!;
    const leased = Promise.withResolvers<void>();
    const again = pull(context, image("big:1"), {
      onProgress: ({ kind }) => kind === "manifest" && leased.resolve(),
    });
    await leased.promise;
    await removeImage(context, stored.id);
    const { image: kept } = await again;
    for (const directory of kept.layerDirectories) expect(existsSync(directory)).toBe(true);
    expect(context.images.resolve(image("big:1"))?.id).toBe(kept.id);
  });

  describe("wrong bytes are refused and leave nothing", () => {
    const cases: Record<string, (bytes: Buffer) => Uint8Array> = {
      "a changed byte": (bytes) => {
        const changed = Buffer.from(bytes);
        changed[changed.length >> 1]! ^= 1;
        return changed;
      },
      "a missing end": (bytes) => bytes.subarray(0, -10),
      "more than there should be": (bytes) => Buffer.concat([bytes, Buffer.from("more")]),
    };
    for (const what of ["layer", "config"] as const) {
      for (const [how, spoil] of Object.entries(cases)) {
        test(`${what}: ${how}`, async () => {
          using temporary = temporaryContext();
          const name = `wrong-${what}-${how.replaceAll(" ", "-")}`;
          const layers = [noise(1000), noise(2_000_000)].map((content) => layerOf("file", content));
          await registry.pushImage(`${name}:1`, { layers, config: { Labels: { name } } });
          const manifest = (await (
            await registry.request(`/v2/${name}/manifests/1`, {
              headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
            })
          ).json()) as { config: { digest: string }; layers: { digest: string }[] };
          const path = registry.blobPath(what === "layer" ? manifest.layers[1]!.digest : manifest.config.digest);
          writeFileSync(path, spoil(readFileSync(path)));
          const failure = await pull(temporary.context, image(`${name}:1`)).then(
            () => undefined,
            (error: unknown) => error as Error,
          );
          expect(`${failure?.name}: ${failure?.message}`).toMatch(/^(VerificationError|InvalidDocumentError)/);
          expect(temporary.files().filter((file) => /[0-9a-f]{64}|index\.json/.test(file))).toEqual([]);
        });
      }
    }

    test("a layer whose plain digest is another", async () => {
      using temporary = temporaryContext();
      const rootfs = { type: "layers", diff_ids: [`sha256:${"1".repeat(64)}`] };
      const layers = [layerOf("file", noise(1000))];
      await registry.pushImage("wrong-plain:1", { layers, imageConfig: { rootfs } });
      await expect(pull(temporary.context, image("wrong-plain:1"))).rejects.toThrow(/plain digest/);
      expect(temporary.files().filter((file) => /[0-9a-f]{64}|index\.json/.test(file))).toEqual([]);
    });
  });
});

describe.skipIf(!hasRegistry || !isRoot || !hasCorpus)("ways to a registry", () => {
  for (const options of [{ redirect: true }] as const) {
    test(`with ${JSON.stringify(options)}`, async () => {
      using temporary = temporaryContext();
      await using registry = await startRegistry(options);
      await registry.push(corpusPath("images/docker-save-dive-14layers.tar"), "dive:1");
      const { image } = await pull(temporary.context, `${registry.address}/dive:1`);
      expect(image.config.rootfs.diff_ids).toHaveLength(14);
    });
  }
});
