import { describe, expect, test } from "bun:test";
import { checkLayerCount, parseImageConfig } from "../../../src/oci/image-config.ts";
import { parseManifest } from "../../../src/oci/manifest.ts";
import { mediaTypes } from "../../../src/oci/media-types.ts";
import { InvalidDocumentError } from "../../../src/util/errors.ts";
import { corpusBytes, hasCorpus } from "../../helpers/corpus.ts";

const digest = `sha256:${"a".repeat(64)}`;
const minimal = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest] } };
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const parse = (change: object) => parseImageConfig(bytes({ ...minimal, ...change }));

describe.skipIf(!hasCorpus)("image configs of the corpus", () => {
  test.each([
    ["oci1-config.json", 5, ["httpd-foreground"]],
    ["oci1-all-media-types-config.json", 6, ["httpd-foreground"]],
    ["oci1-config-extra-fields.json", 5, ["httpd-foreground"]],
    ["schema2-to-oci1-config.json", 5, ["httpd-foreground"]],
    ["schema1-to-oci1-config.json", 0, ["kolla_start"]],
    ["schema1-to-schema2-config.json", 0, ["kolla_start"]],
  ])("%s", async (name, layers, command) => {
    const config = parseImageConfig(await corpusBytes(`registry/manifests/${name}`));
    expect(config.os).toBe("linux");
    if (layers > 0) expect(config.rootfs.diff_ids).toHaveLength(layers);
    expect(config.config?.Cmd).toEqual(command);
    expect(config.config?.Env?.[0]).toStartWith("PATH=");
  });

  test("Docker Hub's busybox", async () => {
    const config = parseImageConfig(await corpusBytes("registry/dockerhub/library-busybox-config-amd64.json"));
    expect(config.config).toMatchObject({ Cmd: ["sh"], WorkingDir: "/", ArgsEscaped: true });
    expect(config.config).not.toHaveProperty("OnBuild");
    expect(config.history?.map(({ empty_layer }) => empty_layer)).toEqual([undefined, true]);
  });
});

describe("parseImageConfig", () => {
  test("reads the least that there must be", () => {
    expect(parse({})).toEqual(minimal as never);
  });

  test("reads sets, and a string as a command of one word", () => {
    const { config } = parse({
      config: {
        ExposedPorts: { "80/tcp": {} },
        Volumes: { "/data": null },
        Entrypoint: "/run",
        Cmd: null,
        Labels: { a: "b" },
      },
    });
    expect(config).toEqual({
      ExposedPorts: { "80/tcp": {} },
      Volumes: { "/data": {} },
      Entrypoint: ["/run"],
      Labels: { a: "b" },
    });
  });

  test.each([
    [{ architecture: undefined }, "must have architecture and os"],
    [{ os: "" }, "must have architecture and os"],
    [{ rootfs: undefined }, "rootfs of the image config must be an object, not missing"],
    [{ rootfs: { type: "disk", diff_ids: [] } }, 'must be "layers", not "disk"'],
    [{ rootfs: { type: "layers", diff_ids: ["sha256:x"] } }, "is not a digest"],
    [{ config: { Env: "A=b" } }, "Env of config of the image config must be an array, not a string"],
    [{ config: { Cmd: [1] } }, "Cmd of config of the image config[0] must be a string"],
    [{ config: { StopTimeout: "1" } }, "StopTimeout of config of the image config must be a number"],
    [{ config: { ArgsEscaped: 1 } }, "must be a boolean"],
    [{ history: {} }, "history of the image config must be an array"],
    [{ config: [] }, "config of the image config must be an object, not an array"],
  ])("refuses %j", (change, reason) => {
    expect(() => parse(change)).toThrow(InvalidDocumentError);
    expect(() => parse(change)).toThrow(reason);
  });

  test("refuses what is not UTF-8", () => {
    expect(() => parseImageConfig(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toThrow("not JSON");
  });

  test("no key reaches an object's prototype", () => {
    const { config } = parseImageConfig(
      new TextEncoder().encode(
        `{"architecture":"a","os":"linux","rootfs":{"type":"layers"},"config":{"Labels":{"__proto__":"x"}}}`,
      ),
    );
    expect(Object.getPrototypeOf(config?.Labels)).toBe(Object.prototype);
    expect(Object.keys(config?.Labels ?? {})).toEqual(["__proto__"]);
  });
});

test("checkLayerCount wants one diff_id for each layer", () => {
  const layer = { mediaType: mediaTypes.ociLayer, digest, size: 1 };
  const config = { mediaType: mediaTypes.ociConfig, digest, size: 1 };
  const manifest = (count: number) =>
    parseManifest(bytes({ schemaVersion: 2, config, layers: Array.from({ length: count }, () => layer) }));
  expect(() => checkLayerCount(manifest(1), parse({}))).not.toThrow();
  expect(() => checkLayerCount(manifest(2), parse({}))).toThrow("2 layers, but the image config has 1 diff_ids");
});
