import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { hasRegistry, startRegistry, type TestRegistry } from "../helpers/registry.ts";
import { until } from "../helpers/until.ts";

// The other tests stand on this helper: each of its ways is tried once with the registry's own eyes.
describe.skipIf(!hasRegistry)("the registry helper", () => {
  const accept = {
    headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
  };

  async function pushTiny(registry: TestRegistry): Promise<void> {
    await registry.pushImage("tiny/image:1", {
      layers: [new Uint8Array(1024)],
      config: { Cmd: ["/hello"] },
    });
    const answer = await registry.request("/v2/tiny/image/manifests/1", accept);
    expect(answer.status).toBe(200);
  }

  test("serves without authentication and cleans up", async () => {
    let storage = "";
    {
      await using registry = await startRegistry();
      storage = registry.storage;
      await pushTiny(registry);
      expect((await fetch(`${registry.url}/v2/`)).status).toBe(200);
      await until("the registry tells of it", () => registry.log().includes("/v2/tiny/image/manifests/1"));
    }
    expect(existsSync(storage)).toBe(false);
  });

  test.each(["htpasswd", "silly", "token"] as const)("asks for %s", async (auth) => {
    await using registry = await startRegistry({ auth });
    expect((await fetch(`${registry.url}/v2/tiny/image/manifests/1`, accept)).status).toBe(401);
    await pushTiny(registry);
  });

  test("speaks TLS", async () => {
    await using registry = await startRegistry({ tls: true });
    await pushTiny(registry);
    await expect(fetch(registry.url)).rejects.toThrow(/certificate/);
  });

  test("redirects blobs to another origin", async () => {
    await using registry = await startRegistry({ redirect: true });
    const { digest } = await registry.pushBlob("tiny/image", new Uint8Array([1, 2, 3]));
    const answer = await registry.request(`/v2/tiny/image/blobs/${digest}`, {
      redirect: "manual",
    });
    expect(answer.status).toBe(307);
    expect(answer.headers.get("location")).toStartWith(registry.blobs!.url);
    const followed = await fetch(answer.headers.get("location")!, {
      headers: { range: "bytes=1-" },
    });
    expect([followed.status, await followed.bytes()]).toEqual([206, new Uint8Array([2, 3])]);
  });

  test("mirrors another registry", async () => {
    await using upstream = await startRegistry();
    await pushTiny(upstream);
    await using mirror = await startRegistry({ mirrorOf: upstream.url });
    expect((await mirror.request("/v2/tiny/image/manifests/1", accept)).status).toBe(200);
  });

  test.skipIf(!hasCorpus).each(["none", "htpasswd", "silly", "token"] as const)(
    "takes pushes of skopeo (auth: %s)",
    async (auth) => {
      await using registry = await startRegistry({
        ...(auth !== "none" && { auth }),
        tls: auth === "token",
      });
      await registry.push("docker-save-hello-world-2018.tar", "library/hello:1");
      const answer = await registry.request("/v2/library/hello/manifests/1", {
        headers: {
          accept: "application/vnd.docker.distribution.manifest.v2+json",
        },
      });
      expect(answer.status).toBe(200);
    },
  );

  test.skipIf(!hasCorpus)("makes an image of a root file system", async () => {
    await using registry = await startRegistry();
    const layer = corpusPath("images/alpine-minirootfs-3.6.5-x86_64.tar.gz");
    const { digest } = await registry.pushImage("library/alpine:3.6", {
      layers: [layer],
    });
    expect(existsSync(registry.blobPath(digest))).toBe(true);
  });
});
