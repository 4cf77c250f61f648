import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

import { createSandbox, type Sandbox } from "../helpers/binary.ts";
import { hasRegistry, startRegistry, type TestRegistry } from "../helpers/registry.ts";
import { makeTar } from "../helpers/tar.ts";
import { isRoot } from "../helpers/temporary.ts";

interface Pushed {
  readonly manifestDigest: string;
  readonly manifest: {
    readonly config: { readonly digest: string; readonly size: number };
    readonly layers: readonly { readonly digest: string; readonly size: number }[];
  };
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** A byte, a digest or a size that is not what was promised, anywhere: no image, exit code 125, and nothing of it kept. */
describe.skipIf(!hasRegistry || !isRoot)("an image with something wrong in it is refused by run", () => {
  let registry: TestRegistry;
  let sandbox: Sandbox;
  beforeAll(async () => {
    registry = await startRegistry();
    sandbox = await createSandbox();
  });
  afterAll(async () => {
    await sandbox?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });

  const layers = () =>
    ["lower", "upper"].map((name) => Bun.gzipSync(new Uint8Array(makeTar([{ name, content: crypto.randomUUID() }]))));

  async function push(name: string, imageConfig: Record<string, unknown> = {}): Promise<Pushed> {
    const { digest } = await registry.pushImage(`${name}:1`, {
      layers: layers(),
      config: { Cmd: ["/x"] },
      imageConfig,
    });
    const answer = await registry.request(`/v2/${name}/manifests/1`, { headers: { accept: manifestType } });
    return { manifestDigest: digest, manifest: (await answer.json()) as Pushed["manifest"] };
  }

  /** Changes one byte of what the registry serves under a digest. */
  function spoil(digest: string): void {
    const path = registry.blobPath(digest);
    const bytes = readFileSync(path);
    const middle = bytes.length >> 1;
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
    writeFileSync(path, bytes);
  }

  async function expectRefused(reference: string, why: RegExp): Promise<void> {
    const { stdout, stderr, exitCode } = await sandbox.gocker(["run", "-q", `${registry.address}/${reference}`]);
    expect(stderr).toMatch(why);
    expect(stderr).toStartWith("gocker: ");
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    const kept = readdirSync(sandbox.root, { recursive: true }).map(String);
    expect(kept.filter((path) => /[0-9a-f]{64}/.test(path))).toEqual([]);
    const { stdout: images } = await sandbox.gocker(["images", "-q"]);
    expect(images).toBe("");
  }

  test("the manifest", async () => {
    const { manifestDigest } = await push("manifest");
    // A changed letter that leaves it JSON: the registry would not serve anything else.
    const path = registry.blobPath(manifestDigest);
    writeFileSync(path, readFileSync(path, "utf8").replace(`"schemaVersion":2`, `"schemaVersion":2 `));
    await expectRefused(`manifest@${manifestDigest}`, /digest/);
  });

  test("the config", async () => {
    const { manifest } = await push("config");
    spoil(manifest.config.digest);
    await expectRefused("config:1", /config.*(digest|expected)/);
  });

  for (const position of [0, 1]) {
    test(`layer ${position}, as it is sent`, async () => {
      const { manifest } = await push(`sent${position}`);
      spoil(manifest.layers[position]?.digest ?? "");
      await expectRefused(`sent${position}:1`, /expected sha256:|damaged|gzip/);
    });
  }

  test("a layer, as it is when unpacked", async () => {
    const promised = [`sha256:${"1".repeat(64)}`, `sha256:${"2".repeat(64)}`];
    await push("plain", { rootfs: { type: "layers", diff_ids: promised } });
    await expectRefused("plain:1", /plain digest.*expected sha256:[12]{64}/);
  });

  for (const what of ["config", "layer"] as const) {
    for (const difference of [-1, 1]) {
      test(`the size of the ${what}, by ${difference}`, async () => {
        const name = `size-${what}${difference}`;
        const { manifest } = await push(name);
        const [first, ...rest] = manifest.layers;
        const wrong = <T extends { size: number }>(descriptor: T) => ({
          ...descriptor,
          size: descriptor.size + difference,
        });
        const changed =
          what === "config"
            ? { ...manifest, config: wrong(manifest.config) }
            : { ...manifest, layers: [wrong(first ?? { size: 0 }), ...rest] };
        await registry.pushManifest(`${name}:2`, changed, manifestType);
        await expectRefused(`${name}:2`, /size|bytes/);
      });
    }
  }

  test("the same image with nothing wrong is pulled", async () => {
    await push("right");
    const { stderr, exitCode } = await sandbox.gocker(["pull", "-q", `${registry.address}/right:1`]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const { stdout } = await sandbox.gocker(["images", "-q"]);
    expect(stdout).toMatch(/^[0-9a-f]{12}\n$/);
  });
});
