import { describe, expect, test } from "bun:test";
import { createReadStream, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { Header } from "tar";
import type { ArchiveInput } from "../../../src/image/archive/bytes.ts";
import { loadArchive, type LoadOptions } from "../../../src/image/archive/load.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { mediaTypes } from "../../../src/oci/media-types.ts";
import { parsePlatform } from "../../../src/oci/platform.ts";
import { pretendUnpacker, temporaryStore } from "../../helpers/memory-images.ts";

interface TarFile {
  path: string;
  content?: string | Uint8Array;
  linkpath?: string;
  type?: "SymbolicLink" | "Link";
}

function tarOf(files: readonly TarFile[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { path, content = "", linkpath, type } of files) {
    const bytes = Buffer.from(content as Uint8Array);
    const header = new Header({ path, size: bytes.length, mode: 0o644, uid: 0, gid: 0, type: type ?? "File" });
    if (linkpath !== undefined) header.linkpath = linkpath;
    const block = Buffer.alloc(512);
    header.encode(block, 0);
    blocks.push(block, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const layer = Buffer.alloc(10240, "layer");

function configOf(...layers: Uint8Array[]): string {
  const rootfs = { type: "layers", diff_ids: layers.map((bytes) => digestOf(bytes)) };
  return JSON.stringify({ architecture: "amd64", os: "linux", rootfs });
}

function dockerArchive(more: readonly TarFile[] = [], layerName = "layer.tar"): Buffer {
  const manifest = [{ Config: "config.json", RepoTags: ["made:1"], Layers: [layerName] }];
  const files = [
    { path: "layer.tar", content: layer },
    { path: "config.json", content: configOf(layer) },
  ];
  return tarOf([...files, ...more, { path: "manifest.json", content: JSON.stringify(manifest) }]);
}

/** An OCI layout with one image per platform. */
function ociArchive(
  platforms: readonly string[],
  spoil: (path: string, content: string) => string = (_, c) => c,
): Buffer {
  const files: TarFile[] = [{ path: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' }];
  const blob = (mediaType: string, content: string | Uint8Array) => {
    const digest = digestOf(content);
    files.push({ path: `blobs/sha256/${digest.slice(7)}`, content });
    return { mediaType, digest, size: Buffer.from(content as Uint8Array).length };
  };
  const layerDescriptor = blob(mediaTypes.ociLayer, layer);
  const manifests = platforms.map((text) => {
    const { os, architecture } = parsePlatform(text);
    const config = JSON.parse(configOf(layer)) as object;
    const configDescriptor = blob(mediaTypes.ociConfig, JSON.stringify({ ...config, os, architecture }));
    const manifest = { schemaVersion: 2, config: configDescriptor, layers: [layerDescriptor] };
    const annotations = { "io.containerd.image.name": "docker.io/library/made:2" };
    return { ...blob(mediaTypes.ociManifest, JSON.stringify(manifest)), platform: { os, architecture }, annotations };
  });
  files.push({ path: "index.json", content: spoil("index.json", JSON.stringify({ schemaVersion: 2, manifests })) });
  return tarOf(files);
}

async function loadNames(input: ArchiveInput, options: LoadOptions = {}): Promise<string[]> {
  using temporary = temporaryStore();
  const loaded = await loadArchive(temporary.store, input, { startUnpacker: pretendUnpacker, ...options });
  expect(temporary.files().filter((file) => file.startsWith("tmp/"))).toEqual([]);
  return loaded.flatMap(({ references, image }) => references.map((name) => `${name} ${image.config.architecture}`));
}

async function failure(input: ArchiveInput, options: LoadOptions = {}): Promise<string> {
  using temporary = temporaryStore();
  const message = await loadArchive(temporary.store, input, { startUnpacker: pretendUnpacker, ...options }).then(
    () => "loaded",
    (error: unknown) => (error as Error).message,
  );
  expect(temporary.files().filter((file) => /[0-9a-f]{64}/.test(file))).toEqual([]);
  return message;
}

describe("where an archive may come from", () => {
  const archive = dockerArchive();
  const packed = { plain: archive, gzip: gzipSync(archive), zstd: zstdCompressSync(archive) };
  for (const [packing, bytes] of Object.entries(packed)) {
    test(`${packing}: memory, a stream, a file, an open file and a pipe`, async () => {
      const directory = mkdtempSync(join(tmpdir(), "gocker-load-"));
      const path = join(directory, "archive");
      writeFileSync(path, bytes);
      const fd = openSync(path, "r");
      try {
        const expected = ["docker.io/library/made:1 amd64"];
        expect(await loadNames(new Uint8Array(bytes))).toEqual(expected);
        const stream = Readable.toWeb(createReadStream(path, { highWaterMark: 3 })) as ReadableStream<Uint8Array>;
        expect(await loadNames(stream)).toEqual(expected);
        expect(await loadNames(path)).toEqual(expected);
        expect(await loadNames(fd)).toEqual(expected);
        const cat = Bun.spawn(["cat", path], { stdout: "pipe" });
        expect(await loadNames(cat.stdout)).toEqual(expected);
      } finally {
        closeSync(fd);
        rmSync(directory, { recursive: true });
      }
    });
  }

  test("stdin that is a pipe", async () => {
    const script = `
        const { loadArchive } = await import(${JSON.stringify(resolve(import.meta.dir, "../../../src/image/archive/load.ts"))});
        const helper = await import(${JSON.stringify(resolve(import.meta.dir, "../../helpers/memory-images.ts"))});
        using temporary = helper.temporaryStore();
        const loaded = await loadArchive(temporary.store, 0, { startUnpacker: helper.pretendUnpacker });
        console.log(loaded.map(({ references }) => references.join()).join());
      `;
    const child = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe" });
    void child.stdin.write(packed.gzip);
    await child.stdin.end();
    expect(await new Response(child.stdout).text()).toBe("docker.io/library/made:1\n");
    expect(await child.exited).toBe(0);
  });

  test("what is no archive is refused", async () => {
    expect(await failure(new Uint8Array())).toBe("the archive is empty");
    expect(await failure(Buffer.alloc(2000, "x"))).toMatch(/^the file is no image archive/);
    expect(await failure(archive.subarray(0, 5000))).toMatch(/ends inside a file/);
    expect(await failure(packed.gzip.subarray(0, 150))).toMatch(/gzip data is damaged/);
    expect(await failure(packed.zstd.subarray(0, packed.zstd.length - 20))).not.toBe("loaded");
    expect(await failure(Buffer.from("BZh91AY"))).toMatch(/bzip2/);
    expect(await failure("/nonexistent/file")).toBe("there is no file /nonexistent/file");
    expect(await failure(tmpdir())).toMatch(/is a directory/);
  });
});

describe("docker archives", () => {
  test("names with dots, links and hard links lead to the same file", async () => {
    for (const name of ["./layer.tar", "/layer.tar", "x/../layer.tar"]) {
      expect(await loadNames(dockerArchive([], name))).toHaveLength(1);
    }
    const symbolic = { path: "a/b/linked.tar", type: "SymbolicLink", linkpath: "../../layer.tar" } as const;
    expect(await loadNames(dockerArchive([symbolic], "a/b/linked.tar"))).toHaveLength(1);
    const hard = { path: "a/linked.tar", type: "Link", linkpath: "layer.tar" } as const;
    expect(await loadNames(dockerArchive([hard], "a/linked.tar"))).toHaveLength(1);
  });

  test("links never lead out of the archive, nor in circles", async () => {
    const out = { path: "out.tar", type: "SymbolicLink", linkpath: "../../../../../../etc/passwd" } as const;
    expect(await failure(dockerArchive([out], "out.tar"))).toMatch(/lacks the file "out.tar"/);
    const circle = [
      { path: "one", type: "SymbolicLink", linkpath: "two" },
      { path: "two", type: "SymbolicLink", linkpath: "one" },
    ] as const;
    expect(await failure(dockerArchive(circle, "one"))).toMatch(/lacks the file "one"/);
    expect(await failure(dockerArchive([], "../../../etc/passwd"))).toMatch(/lacks the file/);
  });

  test("documents of other forms are refused", async () => {
    const withManifest = (content: string) => failure(tarOf([{ path: "manifest.json", content }]));
    expect(await withManifest("[")).toMatch(/not JSON/);
    expect(await withManifest("[]")).toMatch(/lists no image/);
    expect(await withManifest("[1]")).toMatch(/list of objects/);
    expect(await withManifest("[{}]")).toMatch(/names no config/);
    expect(await withManifest('[{"Config":"c","Layers":[1]}]')).toMatch(/layers/);
    expect(await withManifest('[{"Config":"c"}]')).toMatch(/lacks the file "c"/);
    const named = `${"0".repeat(64)}.json`;
    const item = JSON.stringify([{ Config: named, RepoTags: null, Layers: null }]);
    const archive = tarOf([
      { path: named, content: configOf() },
      { path: "manifest.json", content: item },
    ]);
    expect(await failure(archive)).toMatch(/^the digest of 0000/);
  });
});

describe("OCI archives", () => {
  test("of several platforms the wanted one, the host's or the only one is taken", async () => {
    const arm = { platform: parsePlatform("linux/arm64") };
    expect(await loadNames(ociArchive(["linux/amd64", "linux/arm64"]), arm)).toEqual([
      "docker.io/library/made:2 arm64",
    ]);
    expect(await loadNames(ociArchive(["linux/s390x"]))).toEqual(["docker.io/library/made:2 s390x"]);
    expect(await failure(ociArchive(["linux/s390x"]), arm)).toMatch(/arm64/);
    expect(await failure(ociArchive(["linux/s390x", "linux/riscv64"]))).toMatch(/s390x/);
  });

  test("a layout of another version or without images is refused", async () => {
    const withLayout = (version: string) =>
      tarOf([
        { path: "oci-layout", content: `{"imageLayoutVersion":${version}}` },
        { path: "index.json", content: '{"schemaVersion":2,"manifests":[]}' },
      ]);
    expect(await failure(withLayout('"2.0.0"'))).toMatch(/version "2.0.0"/);
    expect(await failure(withLayout('"1.0.0"'))).toMatch(/no image/);
  });

  test("a descriptor that lies about its manifest is refused", async () => {
    const archive = ociArchive(["linux/amd64"], (_, content) => content.replace(/"size":(\d+)/, '"size":7'));
    expect(await failure(archive)).toMatch(/the size of/);
  });
});
