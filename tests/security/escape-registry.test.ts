import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { parseReference } from "../../src/oci/reference.ts";
import { createSandbox, type Sandbox } from "../helpers/binary.ts";
import { type RawAnswer, rawAnswer, startRawServer } from "../helpers/raw-server.ts";
import { registryFailure, testClient } from "../helpers/registry-client.ts";
import { makeTar } from "../helpers/tar.ts";
import { isRoot } from "../helpers/temporary.ts";

// Registries that want more than to give an image.

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await createSandbox();
});
afterAll(() => sandbox[Symbol.asyncDispose]());

const types = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const;

const sha256 = (bytes: Uint8Array | string) => `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Answers for an image whose documents and blobs may be anything. */
class FalseImage {
  readonly #blobs = new Map<string, Uint8Array>();
  manifest: Uint8Array = new Uint8Array();
  contentType: string = types.manifest;

  blob(content: Uint8Array, mediaType: string) {
    const digest = sha256(content);
    this.#blobs.set(digest, content);
    return { mediaType, digest, size: content.length };
  }

  answer: RawAnswer = ({ target }) => {
    const version = /\/manifests\/([^?]+)/.exec(target)?.[1];
    if (version !== undefined) {
      const bytes = this.#blobs.get(version) ?? this.manifest;
      return rawAnswer("200 OK", { "content-type": this.contentType }, bytes);
    }
    const blob = this.#blobs.get(/\/blobs\/([^?]+)/.exec(target)?.[1] ?? "");
    return blob === undefined ? rawAnswer("404 Not Found") : rawAnswer("200 OK", {}, blob);
  };
}

/** An image of one layer that could be pulled if nothing was changed. */
function falseImage(
  change: { config?: object; manifest?: (parts: { config: object; layers: object[] }) => object } = {},
): FalseImage {
  const image = new FalseImage();
  const plain = makeTar([{ name: "file", content: "x" }]);
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [sha256(plain)] },
    ...change.config,
  };
  const parts = {
    config: image.blob(json(config), types.config),
    layers: [image.blob(Bun.gzipSync(new Uint8Array(plain)), types.layer)],
  };
  image.manifest = json(change.manifest?.(parts) ?? { schemaVersion: 2, mediaType: types.manifest, ...parts });
  return image;
}

/** What of the image's is in the store: nothing, when it was refused. */
function stored(): string[] {
  const { stdout } = Bun.spawnSync(["find", ".", "-regex", ".*[0-9a-f]{64}.*", "-regextype", "posix-extended"], {
    cwd: sandbox.root,
  });
  const names = stdout.toString().split("\n");
  const index = join(sandbox.root, "images/index.json");
  return [...names.filter((name) => /[0-9a-f]{64}$/.test(name)), ...(existsSync(index) ? ["index.json"] : [])];
}

async function expectRefused(image: FalseImage, reason: RegExp): Promise<void> {
  using server = startRawServer(image.answer);
  const { stdout, stderr, exitCode } = await sandbox.gocker(["pull", `${server.address}/evil/image:1`]);
  expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
  expect(stderr).toMatch(reason);
  expect(stored()).toEqual([]);
}

describe.skipIf(!isRoot)("documents of two kinds (CVE-2021-41190)", () => {
  const manifests = [{ mediaType: types.manifest, digest: `sha256:${"0".repeat(64)}`, size: 2 }];

  test("a manifest with manifests is refused", async () => {
    await expectRefused(
      falseImage({ manifest: (parts) => ({ schemaVersion: 2, mediaType: types.manifest, ...parts, manifests }) }),
      /manifest|index/,
    );
  });

  test("an index with layers is refused", async () => {
    const image = falseImage({
      manifest: (parts) => ({ schemaVersion: 2, mediaType: types.index, ...parts, manifests }),
    });
    image.contentType = types.index;
    await expectRefused(image, /manifest|index/);
  });

  test("a document that says both, and no type of its own, is refused", async () => {
    for (const contentType of [types.manifest, types.index, types.dockerList, "application/json"]) {
      const image = falseImage({ manifest: (parts) => ({ schemaVersion: 2, ...parts, manifests }) });
      image.contentType = contentType;
      await expectRefused(image, /manifest|index/);
    }
  });

  test("a document whose type is not the one it is sent as is refused", async () => {
    for (const [own, sent] of [
      [types.manifest, types.index],
      [types.index, types.manifest],
      [types.manifest, types.dockerList],
    ] as const) {
      const image = falseImage({ manifest: (parts) => ({ schemaVersion: 2, mediaType: own, ...parts }) });
      image.contentType = sent;
      await expectRefused(image, /type|sent as|index|manifest/);
    }
  });

  test("an index that leads to itself or to another index is refused", async () => {
    const image = new FalseImage();
    const inner = json({ schemaVersion: 2, mediaType: types.index, manifests: [] });
    const descriptor = image.blob(inner, types.index);
    const platform = { architecture: process.arch === "arm64" ? "arm64" : "amd64", os: "linux" };
    image.manifest = json({ schemaVersion: 2, mediaType: types.index, manifests: [{ ...descriptor, platform }] });
    image.contentType = types.index;
    await expectRefused(image, /./);
  });
});

describe.skipIf(!isRoot)("descriptors", () => {
  const change = (descriptor: object, where: "config" | "layer") =>
    falseImage({
      manifest: ({ config, layers }) => ({
        schemaVersion: 2,
        mediaType: types.manifest,
        config: where === "config" ? { ...config, ...descriptor } : config,
        layers: where === "layer" ? [{ ...layers[0], ...descriptor }] : layers,
      }),
    });

  for (const size of [-1, 0, 1, 1.5, 1e300, 2 ** 53, "100", null, true, 2 ** 40]) {
    for (const where of ["config", "layer"] as const) {
      test(`of a ${where} with the size ${size} are refused`, async () => {
        await expectRefused(change({ size }, where), /size|bytes|digest/);
      });
    }
  }

  for (const digest of [
    "",
    "sha256:",
    `sha256:${"../".repeat(20)}etc/passwd`,
    `sha256:${"0".repeat(65)}`,
    `SHA256:${"0".repeat(64)}`,
    `md5:${"0".repeat(32)}`,
    5,
  ]) {
    test(`with the digest ${digest} are refused`, async () => {
      await expectRefused(change({ digest }, "layer"), /digest/);
      await expectRefused(change({ digest }, "config"), /digest/);
    });
  }

  test("more or fewer than the configuration has are refused", async () => {
    await expectRefused(
      falseImage({ manifest: ({ config }) => ({ schemaVersion: 2, mediaType: types.manifest, config, layers: [] }) }),
      /layers/,
    );
    const diffIds = ["sha256:../../x", "../x", ""].map((text) => ({ rootfs: { type: "layers", diff_ids: [text] } }));
    for (const config of diffIds) await expectRefused(falseImage({ config }), /digest/);
  });
});

describe.skipIf(!isRoot)("layers that are more than they seem", () => {
  test("stop at the end of the disk, and give it back", async () => {
    const small = join(sandbox.directory, "small");
    mkdirSync(small);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=24m", "none", small]).exitCode).toBe(0);
    try {
      // 200 MB of zeros in 200 kB.
      const plain = makeTar([{ name: "bomb", content: new Uint8Array(200 << 20) }]);
      const image = new FalseImage();
      const config = {
        architecture: process.arch === "arm64" ? "arm64" : "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: [sha256(plain)] },
      };
      image.manifest = json({
        schemaVersion: 2,
        mediaType: types.manifest,
        config: image.blob(json(config), types.config),
        layers: [image.blob(Bun.gzipSync(new Uint8Array(plain)), types.layer)],
      });
      using server = startRawServer(image.answer);
      const { exitCode, stderr } = await sandbox.gocker(["--root", small, "pull", `${server.address}/evil/bomb:1`]);
      expect(exitCode).toBe(125);
      expect(stderr).toMatch(/no space left/i);
      const left = Bun.spawnSync(["du", "-sm", small]).stdout.toString();
      expect(Number.parseInt(left)).toBeLessThan(2);
    } finally {
      Bun.spawnSync(["umount", small]);
    }
  });

  test("are refused for headers that would fill the memory", async () => {
    const plain = makeTar([{ name: "PaxHeaders/x", type: "x", content: new Uint8Array(64 << 20).fill(0x20) }]);
    const image = falseImage({
      config: { rootfs: { type: "layers", diff_ids: [sha256(plain)] } },
      manifest: ({ config }) => ({ schemaVersion: 2, mediaType: types.manifest, config, layers: [] }),
    });
    const layer = image.blob(Bun.gzipSync(new Uint8Array(plain)), types.layer);
    const document = JSON.parse(new TextDecoder().decode(image.manifest)) as object;
    image.manifest = json({ ...document, layers: [layer] });
    await expectRefused(image, /PAX|header|long/i);
  });
});

describe("answers without end", () => {
  const timeouts = { headers: 500, stall: 200 };
  const reference = (address: string) => parseReference(`${address}/evil/image:1`);
  const announced = (status: string, headers: Record<string, string> = {}) =>
    rawAnswer(status, { "content-length": 100, ...headers }, "x");

  /** Bytes, and then silence on an open connection. */
  function startSilentServer(
    first: (target: string, address: () => string) => Uint8Array,
  ): { address: string } & Disposable {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, chunk) {
          const target = chunk.toString("latin1").split(" ", 2)[1] ?? "";
          socket.write(Buffer.from(first(target, () => address)));
        },
      },
    });
    const address = `127.0.0.1:${listener.port}`;
    return { address, [Symbol.dispose]: () => listener.stop(true) };
  }

  const silences: Record<string, (target: string, address: () => string) => Uint8Array> = {
    "an error": () => announced("500 Internal Server Error", { connection: "keep-alive" }),
    "a refusal": () => announced("404 Not Found", { connection: "keep-alive" }),
    "a redirect": () => announced("307 Temporary Redirect", { location: "/elsewhere", connection: "keep-alive" }),
    "a question for a token": (target, address) =>
      target.startsWith("/token")
        ? announced("200 OK", { connection: "keep-alive" })
        : announced("401 Unauthorized", {
            "www-authenticate": `Bearer realm="http://${address()}/token"`,
            connection: "keep-alive",
          }),
    "a manifest": () => announced("200 OK", { "content-type": types.manifest, connection: "keep-alive" }),
  };
  for (const [what, first] of Object.entries(silences)) {
    test(`${what} that never ends is given up`, async () => {
      using server = startSilentServer(first);
      using tester = testClient({ timeouts });
      const { failure } = await registryFailure(tester.client.fetchManifest(reference(server.address)));
      expect(failure).toBeString();
    }, 20_000);
  }

  test("a token of any length is refused", async () => {
    let address = "";
    using server = startRawServer(({ target }) =>
      target.startsWith("/token")
        ? rawAnswer("200 OK", {}, `{"token":"${"x".repeat(2 << 20)}"}`)
        : rawAnswer("401 Unauthorized", { "www-authenticate": `Bearer realm="http://${address}/token"` }),
    );
    address = server.address;
    using tester = testClient({ timeouts });
    const error = await registryFailure(tester.client.fetchManifest(reference(server.address)));
    expect(error.message).toContain("longer than");
    expect(error.message.length).toBeLessThan(500);
  });

  test("tags that go on for ever are refused", async () => {
    const tags = JSON.stringify({
      tags: Array.from({ length: 50_000 }, (_, index) => `tag-${index}-${"x".repeat(100)}`),
    });
    let page = 0;
    using server = startRawServer(() =>
      rawAnswer("200 OK", { link: `</v2/evil/image/tags/list?last=${page++}>; rel="next"` }, tags),
    );
    using tester = testClient();
    const error = await registryFailure(tester.client.listTags(reference(server.address)));
    expect(error.failure).toBe("protocol");
    expect(server.requests.length).toBeLessThan(50);
  });

  test("redirects that go on for ever are refused", async () => {
    using server = startRawServer((_, count) => rawAnswer("302 Found", { location: `/again/${count}` }));
    using tester = testClient();
    const error = await registryFailure(tester.client.fetchManifest(reference(server.address)));
    expect(error.message).toContain("redirects more than 10 times");
  });

  test("redirects lead to the web alone", async () => {
    for (const location of [
      "file:///etc/passwd",
      "ftp://127.0.0.1/x",
      "data:text/plain,x",
      "unix:///run/docker.sock",
    ]) {
      using server = startRawServer(() => rawAnswer("302 Found", { location }));
      using tester = testClient();
      const { message } = await registryFailure(tester.client.fetchManifest(reference(server.address)));
      expect(message).toContain("not to http(s)");
    }
  });

  test("a manifest that is small until it is decompressed is refused", async () => {
    const bomb = Bun.gzipSync(new Uint8Array(256 << 20));
    const headers = { "content-type": types.manifest, "content-encoding": "gzip" };
    using server = startRawServer(() => rawAnswer("200 OK", headers, bomb));
    using tester = testClient();
    const before = process.memoryUsage.rss();
    const { message } = await registryFailure(tester.client.fetchManifest(reference(server.address)));
    expect(message).toMatch(/longer than/);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 << 20);
  });
});

describe.skipIf(!isRoot)("secrets", () => {
  const password = "hunter2-the-password";
  const token = "the-bearer-token-itself";
  const signature = "X-Amz-Signature=0123456789abcdef";

  test("are in no message, whatever fails and however much is told", async () => {
    const directory = join(sandbox.directory, ".docker");
    mkdirSync(directory, { recursive: true });
    for (const step of ["token", "manifest", "redirect", "echo"]) {
      let address = "";
      using server = startRawServer(({ target, headers }) => {
        if (target.startsWith("/token")) {
          if (step === "token") return rawAnswer("401 Unauthorized", {}, json({ details: "no" }));
          return rawAnswer("200 OK", {}, json({ token }));
        }
        if (headers["authorization"] !== `Bearer ${token}`) {
          return rawAnswer("401 Unauthorized", {
            "www-authenticate": `Bearer realm="http://${address}/token?${signature}",service="s"`,
          });
        }
        if (step === "redirect")
          return rawAnswer("307 Temporary Redirect", {
            location: `http://user:${password}@127.0.0.1:1/x?${signature}`,
          });
        if (step === "echo")
          return rawAnswer("400 Bad Request", {}, json({ errors: [{ code: "X", message: "\u001b[2J" }] }));
        return rawAnswer("403 Forbidden", { "content-type": "text/html" }, "<html>");
      });
      address = server.address;
      const auth = Buffer.from(`user:${password}`).toString("base64");
      writeFileSync(join(directory, "config.json"), JSON.stringify({ auths: { [address]: { auth } } }));
      const { stdout, stderr, exitCode } = await sandbox.gocker(["--debug", "pull", `${address}/private/image:1`], {
        env: { DOCKER_CONFIG: directory, BUN_CONFIG_VERBOSE_FETCH: "1", HTTP_PROXY: "", NO_PROXY: "*" },
      });
      expect(exitCode).toBe(125);
      expect(server.requests.length).toBeGreaterThan(1);
      for (const secret of [
        password,
        token,
        auth,
        "0123456789abcdef",
        "\u001b",
        "Authorization: B",
        "authorization: B",
      ]) {
        expect(stdout + stderr).not.toContain(secret);
      }
    }
  });

  test("in a reference are refused, and not repeated", async () => {
    for (const reference of [`user:${password}@127.0.0.1:5000/x`, `https://user:${password}@127.0.0.1/x`]) {
      const { exitCode, stdout } = await sandbox.gocker(["pull", reference]);
      expect(exitCode).toBe(125);
      expect(stdout).toBe("");
    }
  });

  test("do not get into requests by line ends in references", async () => {
    const seen: string[] = [];
    using server = startRawServer((request) => {
      seen.push(request.target, ...Object.keys(request.headers));
      return rawAnswer("404 Not Found");
    });
    for (const tail of ["x\r\nX-Evil: 1", "x%0d%0aX-Evil:1", "x?y=1", "x#y", "x/../../../secret", "x//y", "X"]) {
      const { exitCode } = await sandbox.gocker(["pull", `${server.address}/${tail}`]);
      expect([tail, exitCode]).toEqual([tail, 125]);
    }
    expect(seen).toEqual([]);
  });
});

describe.skipIf(!isRoot)("the store after all that", () => {
  test("is empty", () => {
    expect(stored()).toEqual([]);
    const temporary = join(sandbox.root, "tmp");
    expect(existsSync(temporary) ? readdirSync(temporary).filter((name) => !name.endsWith(".lock")) : []).toEqual([]);
  });
});
