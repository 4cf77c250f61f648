import { describe, expect, test } from "bun:test";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseReference } from "../../src/oci/reference.ts";
import { corpusText, hasCorpus } from "../helpers/corpus.ts";
import { rawAnswer, recordedAnswer, startRawServer } from "../helpers/raw-server.ts";
import { registryFailure, testClient } from "../helpers/registry-client.ts";
import { hasRegistry, startRegistry } from "../helpers/registry.ts";
import { TemporaryDirectory } from "../helpers/temporary.ts";

const layer = new Uint8Array(1024);
const config = `{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:${"a".repeat(64)}","size":1}`;
const manifest = `{"schemaVersion":2,"config":${config},"layers":[]}`;
const good = rawAnswer("200 OK", { "content-type": "application/vnd.oci.image.manifest.v1+json" }, manifest);

/** What fetching an image from a server that answers so ends in. */
async function failureOf(...[answer]: Parameters<typeof startRawServer>) {
  using server = startRawServer(answer);
  using tester = testClient({ timeouts: { headers: 200, stall: 200 } });
  const error = await registryFailure(
    tester.client.fetchManifest(parseReference(`${server.address}/some/image@sha256:${"a".repeat(64)}`)),
  );
  return { error, requests: server.requests };
}

describe("registries that cannot be reached", () => {
  test("a closed port", async () => {
    using tester = testClient();
    const error = await registryFailure(tester.client.fetchManifest(parseReference("127.0.0.1:1/a/b:1")));
    expect(error).toMatchObject({ failure: "refused-connection", status: undefined });
    expect(error.message).toBe("cannot reach 127.0.0.1:1: 127.0.0.1:1 refuses connections");
    expect(error.hint).toContain("check the port");
    expect(tester.log.filter((line) => line.includes("trying again"))).toHaveLength(2);
  });

  test("an unknown host is not tried again", async () => {
    using tester = testClient();
    const error = await registryFailure(tester.client.fetchManifest(parseReference("no-such-host.invalid/a/b:1")));
    expect(error.failure).toBe("unknown-host");
    expect(error.message).toContain("no-such-host.invalid");
    expect(error.hint).toBeString();
  });

  test("one that says nothing", async () => {
    const { error } = await failureOf(() => undefined);
    expect(error).toMatchObject({ failure: "timeout" });
    expect(error.message).toContain("no answer within 0.2 seconds");
  });

  test("one that hangs up", async () => {
    const { error, requests } = await failureOf(() => "");
    expect(error).toMatchObject({ failure: "broken-connection" });
    expect(requests.length).toBeGreaterThanOrEqual(5);
  });
});

describe.skipIf(!hasRegistry)("TLS", () => {
  const reference = (address: string) => parseReference(`${address}/some/image:1`);

  test("an unknown authority is refused, and the hint helps", async () => {
    await using registry = await startRegistry({ tls: true });
    await registry.pushImage("some/image:1", { layers: [layer] });
    using directory = new TemporaryDirectory("certs");
    await mkdir(join(directory.path, registry.address));
    const certificateDirectories = [directory.path];

    // Somebody has put an authority in place, but another one.
    await using other = await startRegistry({ tls: true });
    const file = join(directory.path, registry.address, "ca.crt");
    await copyFile(other.certificates!.authority, file);
    using untrusting = testClient({ certificateDirectories });
    const error = await registryFailure(untrusting.client.fetchManifest(reference(registry.address)));
    expect(error).toMatchObject({ failure: "untrusted", retryable: false });
    expect(error.hint).toContain(`/etc/gocker/certs.d/${registry.address}/ca.crt`);
    expect(untrusting.log.filter((line) => line.includes("trying again"))).toEqual([]);

    await copyFile(registry.certificates!.authority, file);
    using trusting = testClient({ certificateDirectories });
    expect((await trusting.client.fetchManifest(reference(registry.address))).digest).toStartWith("sha256:");
  });

  test("an authority of the configuration is trusted", async () => {
    await using registry = await startRegistry({ tls: true });
    await registry.pushImage("some/image:1", { layers: [layer] });
    using tester = testClient({ registries: { [registry.address]: { ca: registry.certificates!.authority } } });
    expect((await tester.client.fetchManifest(reference(registry.address))).digest).toStartWith("sha256:");
    using wrong = testClient({ registries: { [registry.address]: { ca: "/nonexistent.pem" } } });
    await expect(wrong.client.fetchManifest(reference(registry.address))).rejects.toThrow(
      "/nonexistent.pem cannot be read",
    );
  });

  test("an authority of SSL_CERT_DIR is trusted under any file name", async () => {
    await using registry = await startRegistry({ tls: true });
    await registry.pushImage("some/image:1", { layers: [layer] });
    const address = registry.address.replace("127.0.0.1", "localhost");
    using tester = testClient({
      environment: { SSL_CERT_DIR: registry.certificates!.trust },
      registries: { [registry.address]: { mirrors: [`https://${address}`] } },
    });
    await tester.client.fetchManifest(reference(registry.address));
    expect(tester.log.some((line) => line.startsWith(`GET https://${address}/v2/`))).toBe(true);
  });

  test("a registry on this machine, or an insecure one, may have any certificate", async () => {
    await using registry = await startRegistry({ tls: true });
    await registry.pushImage("some/image:1", { layers: [layer] });
    for (const insecure of [[], ["127.0.0.1"]]) {
      using tester = testClient({ insecure });
      expect((await tester.client.fetchManifest(reference(registry.address))).digest).toStartWith("sha256:");
    }
  });

  test("NODE_TLS_REJECT_UNAUTHORIZED of the environment decides nothing", async () => {
    await using registry = await startRegistry({ tls: true });
    await using other = await startRegistry({ tls: true });
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      using tester = testClient({ registries: { [registry.address]: { ca: other.certificates!.authority } } });
      const error = await registryFailure(tester.client.fetchManifest(reference(registry.address)));
      expect(error.failure).toBe("untrusted");
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    }
  });

  test("an insecure registry that speaks plain HTTP only is spoken to", async () => {
    await using registry = await startRegistry();
    await registry.pushImage("some/image:1", { layers: [layer] });
    using tester = testClient({ insecure: [registry.address], registries: { [registry.address]: { insecure: true } } });
    expect((await tester.client.fetchManifest(reference(registry.address))).digest).toStartWith("sha256:");
    using strict = testClient({ registries: { [registry.address]: { mirrors: [`https://${registry.address}`] } } });
    await strict.client.fetchManifest(reference(registry.address));
    expect(strict.log.join("\n")).toContain("does not speak TLS");
  });
});

describe("redirects", () => {
  test.each([
    ["in a circle", (address: string) => `http://${address}/v2/some/image/manifests/x`, "redirects more than 10 times"],
    ["to a file", () => "file:///etc/passwd", "redirects to file:, not to http(s)"],
    ["to data", () => "data:application/json,{}", "redirects to data:"],
  ])("%s are refused", async (_, target, reason) => {
    using server = startRawServer(() => rawAnswer("307 Temporary Redirect", { location: target(server.address) }));
    using tester = testClient();
    const error = await registryFailure(tester.client.fetchManifest(parseReference(`${server.address}/some/image:1`)));
    expect(error).toMatchObject({ failure: "protocol", retryable: false });
    expect(error.message).toContain(reason);
  });

  test.skipIf(!hasRegistry)("from HTTPS to plain HTTP are refused, unless the registry is insecure", async () => {
    await using tls = await startRegistry({ tls: true });
    using plain = startRawServer(() => good);
    const redirecting = {
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: Bun.file(tls.certificates!.certificate), key: Bun.file(tls.certificates!.key) },
      fetch: () => Response.redirect(`http://${plain.address}/secret?sig=hunter2`, 307),
    } as const;
    using server = Bun.serve(redirecting);
    const registry = `127.0.0.1:${server.port}`;
    using strict = testClient({ registries: { [registry]: { ca: tls.certificates!.authority } } });
    const error = await registryFailure(strict.client.fetchManifest(parseReference(`${registry}/some/image:1`)));
    expect(error.message).toContain("redirects from HTTPS to plain HTTP");
    expect(error.message).not.toContain("hunter2");
    expect(plain.requests).toEqual([]);
    using insecure = testClient({ registries: { [registry]: { insecure: true, ca: tls.certificates!.authority } } });
    await insecure.client.fetchManifest(parseReference(`${registry}/some/image:1`));
    expect(plain.requests).toHaveLength(1);
  });
});

describe("proxies", () => {
  test("carry requests for plain HTTP, with their user and password", async () => {
    using proxy = startRawServer(() => good);
    using tester = testClient({
      environment: { HTTP_PROXY: `http://u:hunter2@${proxy.address}` },
      registries: { "registry.invalid": { insecure: true, mirrors: ["http://mirror.invalid"] } },
    });
    await tester.client.fetchManifest(parseReference("registry.invalid/some/image:1"));
    expect(proxy.requests[0]).toMatchObject({
      target: "http://mirror.invalid/v2/some/image/manifests/1",
      headers: { "proxy-authorization": `Basic ${btoa("u:hunter2")}` },
    });
  });

  test("that refuse are named, without their password", async () => {
    using proxy = startRawServer(() => rawAnswer("407 Proxy Authentication Required"));
    using tester = testClient({ proxies: { "https-proxy": `http://u:hunter2@${proxy.address}` } });
    const error = await registryFailure(tester.client.fetchManifest(parseReference("registry.invalid/some/image:1")));
    expect(error).toMatchObject({ failure: "proxy", status: 407 });
    expect(error.message).toContain(`the proxy ${proxy.address} refuses to lead there (status 407)`);
    expect(`${error.message} ${error.hint} ${tester.log.join()}`).not.toContain("hunter2");
    expect(proxy.requests[0]?.method).toBe("CONNECT");
  });

  test("that are not there are named", async () => {
    using tester = testClient({ environment: { HTTPS_PROXY: "http://127.0.0.1:1" } });
    const error = await registryFailure(tester.client.fetchManifest(parseReference("registry.invalid/some/image:1")));
    expect(error.message).toBe("cannot reach registry.invalid: the proxy 127.0.0.1:1 refuses connections");
    expect(error.hint).toContain("HTTPS_PROXY");
  });

  test("are not used for this machine", async () => {
    using server = startRawServer(() => good);
    process.env["HTTP_PROXY"] = "http://127.0.0.1:1";
    try {
      using tester = testClient({ environment: { HTTP_PROXY: "http://127.0.0.1:1" } });
      await tester.client.fetchManifest(parseReference(`${server.address}/some/image:1`));
    } finally {
      delete process.env["HTTP_PROXY"];
    }
  });
});

describe("registries that are busy", () => {
  test.each([
    "500 Internal Server Error",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
    "429 Too Many",
  ])("%s is tried again", async (status) => {
    using server = startRawServer((_, count) => (count < 2 ? rawAnswer(status) : good));
    using tester = testClient();
    await tester.client.fetchManifest(parseReference(`${server.address}/some/image:1`));
    expect(server.requests).toHaveLength(3);
  });

  test("for good are told", async () => {
    const body = '{"errors":[{"code":"UNAVAILABLE","message":"down for repairs\\u001b[31m"}]}';
    const { error, requests } = await failureOf(() => rawAnswer("503 Service Unavailable", {}, body));
    expect(requests).toHaveLength(5);
    expect(error).toMatchObject({ failure: "server-error", status: 503, retryable: true });
    // No control character of theirs reaches a terminal.
    expect(error.message).toEndWith("failed with status 503: down for repairs [31m");
  });

  test("for a short while are waited for", async () => {
    const patience = { "retry-after": "985.86µs" };
    using server = startRawServer((_, count) => (count === 0 ? rawAnswer("429 Too Many Requests", patience) : good));
    using tester = testClient();
    await tester.client.fetchManifest(parseReference(`${server.address}/some/image:1`));
    expect(server.requests).toHaveLength(2);
  });

  test("for long are told at once, with the end of it", async () => {
    const { error, requests } = await failureOf(() => rawAnswer("429 Too Many Requests", { "retry-after": "3600" }));
    expect(requests).toHaveLength(1);
    expect(error.resetAt!.getTime() - Date.now()).toBeGreaterThan(3_500_000);
    expect(error.message).toContain(`again from ${error.resetAt!.toISOString()}`);
  });

  test.skipIf(!hasCorpus)("Docker Hub's pull limit", async () => {
    const body = await corpusText("registry/dockerhub/429-pull-rate-limit-body.json");
    const headers = {
      "content-type": "application/json",
      "ratelimit-limit": "100;w=21600",
      "ratelimit-remaining": "0;w=21600",
      "docker-ratelimit-source": "192.0.2.1",
    };
    const { error, requests } = await failureOf(() => rawAnswer("429 Too Many Requests", headers, body));
    expect(requests).toHaveLength(1);
    expect(error).toMatchObject({ failure: "rate-limited", status: 429 });
    expect(error.diagnostics[0]?.code).toBe("TOOMANYREQUESTS");
    expect(error.message).toContain("100 requests in 6 hours for 192.0.2.1");
    expect(error.hint).toContain("log in for a higher limit");
    expect(error.hint).toContain("GOCKER_REGISTRY_MIRROR");
  });

  test.skipIf(!hasCorpus)("a HEAD that exhausts the limit is an answer all the same", async () => {
    const recorded = await corpusText("registry/dockerhub/head-manifest-ratelimit-exhausted-200.http");
    using server = startRawServer(() => recordedAnswer(recorded));
    using tester = testClient();
    const head = await tester.client.headManifest(parseReference(`${server.address}/some/image:1`));
    expect(head).toMatchObject({ size: 527, mediaType: "application/vnd.docker.distribution.manifest.v2+json" });
  });
});

describe.skipIf(!hasCorpus)("recorded answers", () => {
  test.each([
    ["http/01-HTTP-status-out-of-registry-error-range", "protocol", "answered with status 333"],
    ["http/02-HTTP-body-not-in-expected-format", "protocol", "answered with status 400"],
    ["http/03-401-body-not-in-expected-format", "unauthorized", "without saying how"],
    [
      "http/05-GET-https-registry-1.docker.io-v2-library-busybox-manifests-this-does",
      "not-found",
      "does not have the image",
    ],
    ["http/06-GET-https-public.ecr.aws-v2-nginx-nginx-tags-list", "not-found", "does not have the image"],
    ["docker-registry-2.8.2/11-manifest-unknown-404", "not-found", "does not have the image"],
    ["docker-registry-2.8.2/22-manifest-oci-without-oci-accept", "not-found", "does not have the image"],
    ["docker-registry-2.8.2/26-uppercase-name-404", "not-found", "does not have the image"],
    ["docker-registry-2.8.2/25-bad-digest-name", "protocol", "provided digest did not match"],
  ])("%s", async (name, failure, reason) => {
    const recorded = await corpusText(`registry/${name}.http`);
    const { error } = await failureOf(() => recordedAnswer(recorded));
    expect(error.failure).toBe(failure as never);
    expect(error.message).toContain(reason);
    expect(error.message).not.toContain("<html>");
  });

  test("schema 1 is refused with a reason", async () => {
    const recorded = await corpusText("registry/docker-registry-2.8.2/24-schema1-no-accept.http");
    const body = recorded.slice(recorded.search(/\r?\n\r?\n/)).trimStart();
    const headers = { "content-type": "application/vnd.docker.distribution.manifest.v1+prettyjws" };
    using server = startRawServer(() => rawAnswer("200 OK", headers, body));
    using tester = testClient();
    const fetching = tester.client.fetchManifest(parseReference(`${server.address}/some/image:1`));
    await expect(fetching).rejects.toThrow("a manifest of Docker's schema 1");
  });
});

describe("answers that are too much or too little", () => {
  test("a manifest of more than 4 MiB, announced or not", async () => {
    const huge = new Uint8Array(4 * 1024 * 1024 + 1).fill(0x20);
    const announced = await failureOf(() => rawAnswer("200 OK", {}, huge));
    expect(announced.error.message).toContain("is longer than 4194304 bytes");
    const head = new TextEncoder().encode("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    const silent = await failureOf(() => Buffer.concat([head, huge]));
    expect(silent.error.message).toContain("is longer than 4194304 bytes");
  });

  test("a manifest that breaks off is asked for again", async () => {
    using server = startRawServer((_, count) => (count === 0 ? good.subarray(0, -5) : good));
    using tester = testClient();
    await tester.client.fetchManifest(parseReference(`${server.address}/some/image:1`));
    expect(server.requests).toHaveLength(2);
  });

  test("tags in pages, on hosts that only the registry knows", async () => {
    using server = startRawServer(({ target }) => {
      const last = new URL(target, "http://x").searchParams.get("last");
      const headers = { link: `<http://inside.invalid/v2/some/image/tags/list?n=2&last=b>; rel="next"` };
      return last === null
        ? rawAnswer("200 OK", headers, '{"name":"some/image","tags":["a","b"]}')
        : rawAnswer("200 OK", {}, '{"name":"some/image","tags":["c",null,"../d"]}');
    });
    using tester = testClient();
    const tags = await tester.client.listTags(parseReference(`${server.address}/some/image`));
    expect(tags).toEqual(["a", "b", "c"]);
  });

  test("tags that go round in a circle", async () => {
    const headers = { link: "</v2/some/image/tags/list?n=2&last=b>; rel=next" };
    using server = startRawServer(() => rawAnswer("200 OK", headers, '{"tags":["a","b"]}'));
    using tester = testClient();
    expect(await tester.client.listTags(parseReference(`${server.address}/some/image`))).toEqual(["a", "b"]);
    expect(server.requests).toHaveLength(2);
  });

  test.each(["<html>", "[]x", '{"tags":"a"}'])("tags in the form of %s", async (body) => {
    using server = startRawServer(() => rawAnswer("200 OK", {}, body));
    using tester = testClient();
    const error = await registryFailure(tester.client.listTags(parseReference(`${server.address}/some/image`)));
    expect(error.failure).toBe("protocol");
  });
});
