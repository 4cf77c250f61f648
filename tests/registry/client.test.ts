import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { digestOf } from "../../src/oci/digest.ts";
import { parseImageConfig } from "../../src/oci/image-config.ts";
import { parseIndex } from "../../src/oci/index.ts";
import { parseManifest } from "../../src/oci/manifest.ts";
import { isIndexType, mediaTypes } from "../../src/oci/media-types.ts";
import { choosePlatform, parsePlatform } from "../../src/oci/platform.ts";
import { formatReference, parseReference, withVersion } from "../../src/oci/reference.ts";
import { InvalidDocumentError, VerificationError } from "../../src/util/errors.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { registryFailure, testClient } from "../helpers/registry-client.ts";
import { hasRegistry, startRegistry, type TestRegistry } from "../helpers/registry.ts";
import { until } from "../helpers/until.ts";

const layer = new Uint8Array(2048);
const named = (registry: TestRegistry, name: string) => parseReference(`${registry.address}/${name}`);

describe.skipIf(!hasRegistry)("a client at docker-registry", () => {
  test("fetches a manifest by tag and by digest", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    const { client } = tester;
    const pushed = await registry.pushImage("some/image:1", { layers: [layer], config: { Cmd: ["/x"] } });
    const byTag = await client.fetchManifest(named(registry, "some/image:1"));
    expect(byTag).toMatchObject({ mediaType: mediaTypes.ociManifest, digest: pushed.digest });
    expect(digestOf(byTag.bytes)).toBe(pushed.digest);
    const byDigest = await client.fetchManifest(named(registry, `some/image@${pushed.digest}`));
    expect(byDigest.bytes).toEqual(byTag.bytes);
    // Tag and digest together: the digest decides.
    const both = await client.fetchManifest(named(registry, `some/image:nonsense@${pushed.digest}`));
    expect(both.digest).toBe(pushed.digest);
    expect(await client.headManifest(named(registry, "some/image:1"))).toEqual(pushed);
  });

  test.skipIf(!hasCorpus)("finds the config and layers of a platform through an index", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    const { client } = tester;
    await using layout = await unpacked("images/regclient-testrepo.oci.tar");
    await registry.pushLayout(layout.path, "v1", "regclient/testrepo:v1");
    const reference = named(registry, "regclient/testrepo:v1");
    const fetched = await client.fetchManifest(reference);
    expect(isIndexType(fetched.mediaType)).toBe(true);
    const chosen = choosePlatform(parseIndex(fetched.bytes, fetched.mediaType), parsePlatform("linux/arm64"));
    const { bytes, mediaType } = await client.fetchManifest(withVersion(reference, { digest: chosen.digest }));
    const manifest = parseManifest(bytes, mediaType);
    const { stream } = await client.openBlob(reference, manifest.config);
    const config = parseImageConfig(await new Response(stream).bytes());
    expect(config.architecture).toBe("arm64");
    expect(config.rootfs.diff_ids).toHaveLength(manifest.layers.length);
  });

  test.skipIf(!hasCorpus)("refuses an artifact and a manifest of schema 1", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    await registry.push("docker-save-dive-14layers.tar", "fixtures/dive:docker");
    // docker-registry makes schema 1 of an image for clients that accept nothing newer; ours must not be one of them.
    const { mediaType } = await tester.client.fetchManifest(named(registry, "fixtures/dive:docker"));
    expect(mediaType).toBe(mediaTypes.dockerManifest);
    const chart = await registry.pushImage("some/chart:1", {
      layers: [],
      manifest: { config: await registry.pushBlob("some/chart", layer, "application/vnd.cncf.helm.config.v1+json") },
    });
    const fetched = await tester.client.fetchManifest(named(registry, `some/chart@${chart.digest}`));
    expect(() => parseManifest(fetched.bytes, fetched.mediaType)).toThrow(InvalidDocumentError);
  });

  test("refuses a manifest whose bytes have changed", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    const { digest } = await registry.pushImage("some/image:1", { layers: [layer] });
    const text = await Bun.file(registry.blobPath(digest)).text();
    await writeFile(registry.blobPath(digest), text.replace("amd64", "AMD64").replace('"size":', '"size": '));
    for (const name of [`some/image@${digest}`, "some/image:1"]) {
      await expect(tester.client.fetchManifest(named(registry, name))).rejects.toThrow(VerificationError);
    }
  });

  test("lists tags, and takes the last one where latest is missing", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    const { client } = tester;
    const image = { layers: [layer] };
    for (const tag of ["3.18", "3.19", "edge"]) await registry.pushImage(`some/image:${tag}`, image);
    const reference = named(registry, "some/image");
    const tags = await client.listTags(reference);
    expect(new Set(tags)).toEqual(new Set(["3.18", "3.19", "edge"]));

    const resolved = await client.resolveTag(reference);
    expect(resolved.substituted).toBe(tags.at(-1));
    expect(formatReference(resolved.reference)).toBe(`${registry.address}/some/image:${tags.at(-1)}`);

    await registry.pushImage("some/image:latest", image);
    const asked = () => tester.log.filter((line) => /^(GET|HEAD) /.test(line)).length;
    const before = asked();
    const latest = await client.resolveTag(reference);
    expect(latest).toEqual({ reference: withVersion(reference, { tag: "latest" }) });
    await client.fetchManifest(latest.reference);
    // What was fetched to see whether it exists is not fetched again.
    expect(asked() - before).toBe(1);
    expect(await client.resolveTag(named(registry, "some/image:3.18"))).toEqual({
      reference: named(registry, "some/image:3.18"),
    });
  });

  test("tags of signatures are no images", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    const { digest } = await registry.pushImage(`some/image:1`, { layers: [layer] });
    await registry.pushImage(`some/image:${digest.replace(":", "-")}.sig`, { layers: [layer] });
    expect((await tester.client.resolveTag(named(registry, "some/image"))).substituted).toBe("1");
  });

  test("says what a missing tag may have meant", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    for (const tag of ["3.18", "3.19", "edge"]) await registry.pushImage(`some/image:${tag}`, { layers: [layer] });
    const error = await registryFailure(tester.client.fetchManifest(named(registry, "some/image:3.91")));
    expect(error).toMatchObject({
      failure: "not-found",
      status: 404,
      registry: registry.address,
      repository: "some/image",
    });
    expect(error.message).toBe(`${registry.address} does not have the image some/image:3.91`);
    expect(error.hint).toStartWith("did you mean 3.1");
    const far = await registryFailure(tester.client.fetchManifest(named(registry, "some/image:zzzzzzzzz")));
    expect(far.hint).toMatch(/^it has .*edge/);
  });

  test("says that a repository or a blob is missing", async () => {
    await using registry = await startRegistry();
    using tester = testClient();
    const { client } = tester;
    const nowhere = named(registry, "no/such");
    for (const ask of ["resolveTag", "listTags", "fetchManifest"] as const) {
      const error = await registryFailure(client[ask](nowhere));
      expect(error).toMatchObject({ failure: "not-found", status: 404 });
      expect(error.message).toBe(`${registry.address} has no repository no/such`);
    }
    const { digest } = await registry.pushImage("some/image:1", { layers: [layer] });
    const missing = { mediaType: mediaTypes.ociLayer, digest: digestOf("nothing"), size: 7 };
    const error = await registryFailure(client.openBlob(named(registry, `some/image@${digest}`), missing));
    expect(error.message).toContain(`does not have the blob ${missing.digest}`);
  });
});

describe.skipIf(!hasRegistry)("mirrors", () => {
  test("are asked first, and passed over when they fail", async () => {
    await using origin = await startRegistry();
    await using mirror = await startRegistry({ mirrorOf: origin.url });
    const { digest } = await origin.pushImage("some/image:1", { layers: [layer] });
    const closed = "http://127.0.0.1:1";
    using tester = testClient({ registries: { [origin.address]: { mirrors: [closed, mirror.url] } } });
    const before = requestsOf(origin);
    const fetched = await tester.client.fetchManifest(named(origin, "some/image:1"));
    expect(fetched.digest).toBe(digest);
    // Registries log after they have answered.
    await until("the mirror tells of it", () => mirror.log().includes("/v2/some/image/manifests/1"));
    expect(tester.log.join("\n")).toContain("the mirror 127.0.0.1:1 is passed over");
    // The mirror asks its origin; we did not.
    expect(tester.log.filter((line) => line.startsWith(`GET ${origin.url}`))).toEqual([]);
    await until("the origin tells of it", () => requestsOf(origin) > before);
  });

  test("that do not have an image leave it to the registry", async () => {
    await using origin = await startRegistry();
    await using mirror = await startRegistry();
    const image = await origin.pushImage("some/image:1", { layers: [layer] });
    using tester = testClient({ registries: { [origin.address]: { mirrors: [mirror.url] } } });
    const { client } = tester;
    const reference = named(origin, "some/image:1");
    const { bytes } = await client.fetchManifest(reference);
    expect(digestOf(bytes)).toBe(image.digest);
    const [descriptor] = parseManifest(bytes).layers;
    const { stream } = await client.openBlob(reference, descriptor!);
    expect(await new Response(stream).bytes()).toEqual(layer);
  });

  test("with a path, as caches of several registries have it", async () => {
    await using cache = await startRegistry();
    await cache.pushImage("hub/library/alpine:1", { layers: [layer] });
    using tester = testClient({ registries: { "docker.io": { mirrors: [`${cache.url}/hub`] } } });
    const { digest } = await tester.client.fetchManifest(parseReference("alpine:1"));
    expect(digest).toStartWith("sha256:");
  });

  test("that lie are passed over", async () => {
    await using origin = await startRegistry();
    await using mirror = await startRegistry();
    const { digest } = await origin.pushImage("some/image:1", { layers: [layer] });
    await mirror.pushImage("some/image:1", { layers: [layer] });
    await writeFile(mirror.blobPath(digest), "{}");
    using tester = testClient({ registries: { [origin.address]: { mirrors: [mirror.url] } } });
    expect((await tester.client.fetchManifest(named(origin, "some/image:1"))).digest).toBe(digest);
  });

  test("are named when nobody has an image", async () => {
    await using origin = await startRegistry();
    await using mirror = await startRegistry();
    using tester = testClient({ registries: { [origin.address]: { mirrors: [mirror.url] } } });
    const error = await registryFailure(tester.client.fetchManifest(named(origin, "a/b:1")));
    expect(error).toMatchObject({ failure: "not-found", registry: origin.address });
    expect(error.message).toContain(`mirror ${mirror.address}: ${mirror.address} has no repository a/b`);
  });

  test("know alone what does not exist where the registry cannot be reached", async () => {
    await using mirror = await startRegistry();
    await mirror.pushImage("some/app:1.0", { layers: [layer] });
    await mirror.pushImage("some/app:1.1", { layers: [layer] });
    using tester = testClient({ registries: { "127.0.0.1:1": { mirrors: [mirror.url] } } });
    const { client } = tester;
    const { reference, substituted } = await client.resolveTag(parseReference("127.0.0.1:1/some/app"));
    // docker-registry lists in no order.
    expect(substituted).toBeOneOf(["1.0", "1.1"]);
    expect((await client.fetchManifest(reference)).digest).toStartWith("sha256:");
    const error = await registryFailure(client.fetchManifest(parseReference("127.0.0.1:1/some/app:1.2")));
    expect(error).toMatchObject({ failure: "not-found", registry: mirror.address });
    expect(error.message).toContain(`${mirror.address} does not have the image some/app:1.2 (cannot reach 127.0.0.1:1`);
    expect(error.hint).toMatch(/^did you mean 1\.[01], 1\.[01]\?$/);
  });
});

/** How many requests the registry has logged. */
function requestsOf(registry: TestRegistry): number {
  return registry.log().split('" 200 ').length + registry.log().split('" 404 ').length;
}

async function unpacked(archive: string): Promise<AsyncDisposable & { path: string }> {
  const path = (await Bun.$`mktemp -d -t gocker-layout-XXXXXX`.text()).trim();
  await Bun.$`tar xf ${corpusPath(archive)} -C ${path}`;
  return {
    path,
    async [Symbol.asyncDispose]() {
      await Bun.$`rm -rf ${path}`;
    },
  };
}
