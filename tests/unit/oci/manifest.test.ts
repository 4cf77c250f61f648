import { describe, expect, test } from "bun:test";
import { parseIndex } from "../../../src/oci/index.ts";
import { parseManifest } from "../../../src/oci/manifest.ts";
import { isIndexType, layerCompression, mediaTypeOf, mediaTypes } from "../../../src/oci/media-types.ts";
import { InvalidDocumentError } from "../../../src/util/errors.ts";
import { corpusBytes, hasCorpus } from "../../helpers/corpus.ts";

const digest = `sha256:${"a".repeat(64)}`;
const config = { mediaType: mediaTypes.ociConfig, digest, size: 7 };
const layer = { mediaType: mediaTypes.ociLayerGzip, digest, size: 9 };
const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
const index = {
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests: [{ ...config, mediaType: mediaTypes.ociManifest }],
};
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

describe.skipIf(!hasCorpus)("manifests of the corpus", () => {
  const read = (name: string) => corpusBytes(`registry/manifests/${name}`);

  // File, number of layers.
  test.each([
    ["oci1.json", 5],
    ["oci1-all-media-types.json", 6],
    ["oci1-all-media-types-to-schema2.json", 6],
    ["oci1-extra-config-fields.json", 5],
    ["oci1-to-schema2.json", 5],
    ["ociv1.manifest.json", 3],
    ["ociv1.uncompressed.manifest.json", 3],
    ["ociv1.zstd.manifest.json", 3],
    ["ociv1.nondistributable.manifest.json", 1],
    ["ociv1.nondistributable.gzip.manifest.json", 1],
    ["ociv1.nondistributable.zstd.manifest.json", 1],
    ["ociv1nomime.manifest.json", 3],
    ["schema2.json", 5],
    ["schema2-all-media-types.json", 6],
    ["schema2-all-media-types-to-oci1.json", 6],
    ["schema2-to-oci1.json", 5],
    ["v2s2.manifest.json", 3],
    ["v2s2.nondistributable.manifest.json", 1],
    ["v2s2.nondistributable.gzip.manifest.json", 1],
    ["v2s2.uncompressed.manifest.json", 3],
    ["v2s2nomime.manifest.json", 0],
  ])("%s is an image", async (name, layers) => {
    const parsed = parseManifest(await read(name));
    expect(parsed.layers).toHaveLength(layers);
    for (const { mediaType } of parsed.layers) expect(layerCompression(mediaType)).toBeDefined();
  });

  test.each([
    ["oci1index.json", ["ppc64le", "amd64", "arm64"]],
    ["ociv1.image.index.json", ["ppc64le", "amd64"]],
    ["ociv1nomime.image.index.json", ["ppc64le", "amd64"]],
    ["v2list.manifest.json", ["ppc64le", "amd64", "arm", "arm64", "s390x"]],
    ["schema2list.json", ["amd64", "arm", "arm64", "386", "ppc64le", "s390x"]],
  ])("%s is an index", async (name, architectures) => {
    const parsed = parseIndex(await read(name));
    const found = parsed.manifests.map(({ platform }) => platform?.architecture ?? "none");
    expect(new Set(found)).toEqual(new Set(architectures));
  });

  test.each([
    ["schema1.json", "schema 1"],
    ["schema1-for-oci-config.json", "schema 1"],
    ["oci1-to-schema1.json", "schema 1"],
    ["schema2-to-schema1-by-docker.json", "schema 1"],
    ["v2s1.manifest.json", "schema 1"],
    ["v2s1-unsigned.manifest.json", "schema 1"],
    ["v2s1-invalid-signatures.manifest.json", "schema 1"],
    ["unknown-version.manifest.json", "schemaVersion of the manifest must be 2, it is 99999"],
    ["non-json.manifest.json", "not JSON"],
    ["oci1-artifact.json", "no container image"],
    ["ociv1.artifact.json", "no container image"],
    ["ociv1nomime.artifact.json", "no container image"],
    ["oci1.encrypted.json", "encrypted"],
    ["ociv1.encrypted.manifest.json", "encrypted"],
    ["oci1-invalid-media-type.json", "no layer of a file system"],
    ["ociv1.invalid.mediatype.manifest.json", "no layer of a file system"],
    ["schema2-invalid-media-type.json", "no layer of a file system"],
    ["schema1-to-oci1.json", "size of config of the manifest must be a number of bytes, not -1"],
    ["oci1index.json", "expected the manifest of an image, but the document is an index"],
  ])("%s is refused", async (name, reason) => {
    const content = await read(name);
    expect(() => parseManifest(content)).toThrow(InvalidDocumentError);
    expect(() => parseManifest(content)).toThrow(reason);
  });
});

describe.skipIf(!hasCorpus)("Docker Hub's documents", () => {
  test.each([
    "library-busybox-latest-index.json",
    "ghcr-index-with-attestations.json",
    "bitnami-kubectl-1.30-list-hub.json",
  ])("%s", async (name) => {
    const parsed = parseIndex(await corpusBytes(`registry/dockerhub/${name}`));
    expect(parsed.manifests.length).toBeGreaterThan(1);
    expect(isIndexType(parsed.mediaType ?? "")).toBe(true);
  });

  test.each(["library-busybox-manifest-538721340ded.json", "library-busybox-manifest-8f03917912ea.json"])(
    "%s",
    async (name) => {
      const parsed = parseManifest(await corpusBytes(`registry/dockerhub/${name}`), mediaTypes.ociManifest);
      expect(parsed.layers).toHaveLength(1);
    },
  );
});

describe("what Content-Type and mediaType say", () => {
  test("must agree, parameters aside", () => {
    expect(parseManifest(bytes(manifest), `${mediaTypes.ociManifest}; charset=utf-8`).layers).toHaveLength(1);
    expect(() => parseManifest(bytes(manifest), mediaTypes.dockerManifest)).toThrow(
      /says that it is .* but it came as/,
    );
    expect(() => parseManifest(bytes(manifest), mediaTypes.ociIndex)).toThrow(/says that it is .* but it came as/);
  });

  test.each(["application/json", "text/plain; charset=utf-8", "application/octet-stream", ""])(
    "%p says nothing",
    (contentType) => {
      expect(parseManifest(bytes(manifest), contentType).layers).toHaveLength(1);
    },
  );

  test("need not both be there", () => {
    const { mediaType: _, ...silent } = manifest;
    expect(parseManifest(bytes(silent)).mediaType).toBeUndefined();
    expect(parseManifest(bytes(silent), mediaTypes.dockerManifest).layers).toHaveLength(1);
    expect(() => parseManifest(bytes(silent), mediaTypes.ociIndex)).toThrow("it has the keys of a manifest");
    expect(() => parseIndex(bytes({ ...index, mediaType: undefined }), mediaTypes.ociManifest)).toThrow(
      "keys of an index",
    );
  });

  test("must be a manifest's", () => {
    expect(() => parseManifest(bytes(manifest), "text/html")).toThrow("but it came as");
    expect(() => parseManifest(bytes({ ...manifest, mediaType: "text/html" }))).toThrow("no type of manifest");
    expect(() => parseManifest(bytes({ ...manifest, mediaType: mediaTypes.dockerManifestV1 }), "")).toThrow();
    expect(() => parseManifest(bytes(manifest), mediaTypes.dockerManifestV1Signed)).toThrow("schema 1");
  });
});

describe("documents with two meanings (CVE-2021-41190)", () => {
  test.each([
    ["manifests and layers", { ...manifest, manifests: [] }],
    ["manifests and config", { ...index, config }],
    ["layers and fsLayers", { ...manifest, fsLayers: [] }],
    ["all of them", { ...manifest, ...index }],
  ])("%s", (_, document) => {
    for (const parse of [parseManifest, parseIndex]) {
      expect(() => parse(bytes(document))).toThrow("ambiguous");
    }
  });

  test("an index that says it is a manifest, and the other way round", () => {
    expect(() => parseIndex(bytes({ ...index, mediaType: mediaTypes.ociManifest }))).toThrow("keys of an index");
    expect(() => parseManifest(bytes({ ...manifest, mediaType: mediaTypes.ociIndex }))).toThrow("keys of a manifest");
  });
});

describe("descriptors", () => {
  const withLayer = (change: object) => bytes({ ...manifest, layers: [{ ...layer, ...change }] });

  test.each([
    [{ size: -1 }, "size of layers[0] of the manifest must be a number of bytes, not -1"],
    [{ size: 1.5 }, "not 1.5"],
    [{ size: 2 ** 53 }, "must be a number of bytes"],
    [{ size: "7" }, "not a string"],
    [{ size: undefined }, "not missing"],
    [{ digest: undefined }, "digest of layers[0] of the manifest must be a string, not missing"],
    [{ digest: "sha256:../../etc/passwd" }, "is not a digest"],
    [{ mediaType: 7 }, "mediaType of layers[0] of the manifest must be a string, not a number"],
    [{ urls: "https://x" }, "urls of layers[0] of the manifest must be an array"],
    [{ annotations: { a: 1 } }, 'annotations of layers[0] of the manifest["a"] must be a string'],
    [{ data: "!" }, "not base64"],
    [{ data: "YWJj" }, "not what its size and digest say"],
  ])("%j is refused", (change, reason) => {
    expect(() => parseManifest(withLayer(change))).toThrow(reason);
  });

  test("keep what the specification names, and nothing else", () => {
    const data = {
      size: 3,
      digest: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      data: "YWJj",
      urls: ["https://x/y"],
      annotations: { a: "b" },
    };
    const [read] = parseManifest(withLayer({ ...data, other: 1, platform: null })).layers;
    expect(read).toEqual({ ...layer, ...data } as never);
  });

  test("Go's null is nothing", () => {
    expect(parseManifest(bytes({ ...manifest, layers: null, annotations: null })).layers).toEqual([]);
    expect(parseIndex(bytes({ ...index, manifests: null })).manifests).toEqual([]);
  });

  test("layers must be there", () => {
    expect(() => parseManifest(bytes({ ...manifest, layers: undefined }))).toThrow("no layers key");
    expect(() => parseManifest(bytes({ ...manifest, config: undefined }))).toThrow("config of the manifest");
  });
});

test("artifacts are called by their names", () => {
  const artifact = (mediaType: string, more: object = {}) =>
    bytes({ ...manifest, ...more, config: { ...config, mediaType } });
  expect(() => parseManifest(artifact("application/vnd.cncf.helm.config.v1+json"))).toThrow("a Helm chart");
  expect(() => parseManifest(artifact("application/vnd.docker.plugin.v1+json"))).toThrow("a Docker plugin");
  const sbom = { artifactType: "application/spdx+json" };
  expect(() => parseManifest(artifact(mediaTypes.ociEmpty, sbom))).toThrow("application/spdx+json");
});

test("media types lose their parameters", () => {
  expect(mediaTypeOf(" Application/JSON ; charset=utf-8")).toBe("application/json");
  expect(layerCompression("toString")).toBeUndefined();
});
