import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadArchive } from "../../../../src/image/archive/load.ts";
import { helloArchive, helloManifestDigest } from "../../../../src/image/builtin/hello-image.ts";
import { helloManifests } from "../../../../src/image/builtin/hello-name.ts";
import { helloExecutable } from "../../../../src/image/builtin/hello-program.ts";
import type { Architecture } from "../../../../src/linux/arch.ts";
import { parsePlatform } from "../../../../src/oci/platform.ts";
import { pretendUnpacker, temporaryStore } from "../../../helpers/memory-images.ts";

test("the digests that are written down are those of the image: after a change of the program, write the new ones", () => {
  expect({
    x86_64: helloManifestDigest("x86_64"),
    aarch64: helloManifestDigest("aarch64"),
  }).toEqual(helloManifests);
});

test("it is the same bytes each time", () => {
  expect(Buffer.compare(helloArchive(), helloArchive())).toBe(0);
});

const architectures: [string, Architecture][] = [
  ["linux/amd64", "x86_64"],
  ["linux/arm64", "aarch64"],
  ["linux/arm64/v8", "aarch64"],
];

for (const [platform, architecture] of architectures) {
  test(`loads as any archive, for ${platform}`, async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    const options = { platform: parsePlatform(platform), startUnpacker: pretendUnpacker };
    const loaded = await loadArchive(store, helloArchive(), options);
    expect(loaded.map(({ references }) => references)).toEqual([["docker.io/gocker/hello:latest"]]);
    const image = store.resolve("gocker/hello");
    expect(image?.manifestDigest).toBe(helloManifests[architecture]);
    expect(image?.config.config).toEqual({ Cmd: ["/hello"], WorkingDir: "/" });

    const layer = join(image?.layerDirectories[0] ?? "", "layer.tar");
    const names = Bun.spawnSync(["tar", "--list", "--verbose", "--utc", "--file", layer]).stdout.toString();
    const size = helloExecutable(architecture).length;
    expect(names).toBe(`-rwxr-xr-x root/root ${String(size).padStart(9)} 1970-01-01 00:00 hello\n`);
    const program = Bun.spawnSync(["tar", "--extract", "--to-stdout", "--file", layer, "hello"]).stdout;
    expect(program.equals(Buffer.from(helloExecutable(architecture)))).toBe(true);
    expect(readFileSync(layer).length % 512).toBe(0);
  });
}

test("a changed byte in it is refused", async () => {
  const archive = helloArchive();
  const position = Buffer.from(archive).indexOf("Hello from gocker!");
  archive[position] = 0x68;
  using temporary = temporaryStore();
  const options = { platform: parsePlatform("linux/amd64"), startUnpacker: pretendUnpacker };
  await expect(loadArchive(temporary.store, archive, options)).rejects.toThrow(/digest/);
});
