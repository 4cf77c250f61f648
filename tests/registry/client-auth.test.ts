import { describe, expect, test } from "bun:test";
import { parseManifest } from "../../src/oci/manifest.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { corpusText, hasCorpus } from "../helpers/corpus.ts";
import { makeCertificates } from "../helpers/certificates.ts";
import { rawAnswer, recordedAnswer, startRawServer } from "../helpers/raw-server.ts";
import { registryFailure, testClient } from "../helpers/registry-client.ts";
import { hasRegistry, startRegistry, type TestRegistry } from "../helpers/registry.ts";
import type { TokenServerOptions } from "../helpers/token-server.ts";
import { TemporaryDirectory } from "../helpers/temporary.ts";
import { until } from "../helpers/until.ts";

const layer = new Uint8Array(2048);
const named = (registry: TestRegistry, name: string) => parseReference(`${registry.address}/${name}`);
const password = (username: string, secret: string) => ({ kind: "password", username, password: secret }) as const;

async function tokenRegistry(token: TokenServerOptions = {}): Promise<TestRegistry> {
  const registry = await startRegistry({ auth: "token", token });
  await registry.pushImage("some/image:1", { layers: [layer] });
  return registry;
}

/** Pulls as a client does: manifest, then config and layer at once. */
async function pull(
  tester: ReturnType<typeof testClient>,
  registry: TestRegistry,
  name = "some/image:1",
): Promise<void> {
  const reference = named(registry, name);
  const { bytes } = await tester.client.fetchManifest(reference);
  const { config, layers } = parseManifest(bytes);
  const bodies = [config, ...layers].map(async (descriptor) => {
    const { stream } = await tester.client.openBlob(reference, descriptor);
    return (await new Response(stream).bytes()).length;
  });
  expect(await Promise.all(bodies)).toEqual([config.size, ...layers.map(({ size }) => size)]);
}

describe.skipIf(!hasRegistry)("tokens", () => {
  test("are asked for once, anonymously, with the registry's service and scope", async () => {
    await using registry = await tokenRegistry();
    using tester = testClient();
    await pull(tester, registry);
    expect(registry.tokens!.requests).toHaveLength(1);
    expect(registry.tokens!.requests[0]).toMatchObject({
      method: "GET",
      service: "gocker-registry",
      scopes: ["repository:some/image:pull"],
      authorization: undefined,
    });
    // The challenge is remembered: one refused request in all.
    await until("the registry tells of it", () => registry.log().includes('" 401 '));
    expect(registry.log().split('" 401 ')).toHaveLength(2);
  });

  test("are kept by repository", async () => {
    await using registry = await tokenRegistry();
    await registry.pushImage("other/image:1", { layers: [layer] });
    using tester = testClient();
    await pull(tester, registry);
    await pull(tester, registry, "other/image:1");
    await pull(tester, registry);
    expect(registry.tokens!.requests.map(({ scopes }) => scopes[0])).toEqual([
      "repository:some/image:pull",
      "repository:other/image:pull",
    ]);
  });

  test("are asked for with the user's name where there is one", async () => {
    await using registry = await tokenRegistry({ anonymousPull: false, answerKey: "access_token" });
    using tester = testClient({ login: { [registry.address]: password(registry.user, registry.password) } });
    await pull(tester, registry);
    expect(registry.tokens!.requests).toHaveLength(1);
    expect(registry.tokens!.requests[0]).toMatchObject({ user: registry.user });
  });

  test("are renewed when they are about to end", async () => {
    // Below the margin: each request gets its own.
    await using registry = await tokenRegistry({ lifetime: 2 });
    using tester = testClient();
    const reference = named(registry, "some/image:1");
    for (let count = 1; count <= 3; count++) {
      await tester.client.fetchManifest(reference);
      expect(registry.tokens!.requests).toHaveLength(count);
    }
  });

  test("that the registry finds too old are renewed once", async () => {
    await using registry = await tokenRegistry({ lifetime: -3600, sayLifetime: false });
    using tester = testClient();
    const error = await registryFailure(tester.client.fetchManifest(named(registry, "some/image:1")));
    expect(error).toMatchObject({ failure: "unauthorized", status: 401 });
    expect(registry.tokens!.requests).toHaveLength(2);
  });

  test("come by POST for an identity token", async () => {
    await using registry = await tokenRegistry({ anonymousPull: false, refreshTokens: { "refresh-me": "somebody" } });
    using tester = testClient({ login: { [registry.address]: { kind: "identity-token", token: "refresh-me" } } });
    await pull(tester, registry);
    expect(registry.tokens!.requests).toHaveLength(1);
    expect(registry.tokens!.requests[0]).toMatchObject({
      method: "POST",
      form: {
        grant_type: "refresh_token",
        refresh_token: "refresh-me",
        service: "gocker-registry",
        scope: "repository:some/image:pull",
        client_id: "gocker",
      },
    });
  });

  test("of a registrytoken are sent as they are", async () => {
    await using registry = await tokenRegistry({ anonymousPull: false });
    const token = await registry.tokens!.issue([{ type: "repository", name: "some/image", actions: ["pull"] }]);
    using tester = testClient({ login: { [registry.address]: { kind: "bearer", token } } });
    await pull(tester, registry);
    expect(registry.tokens!.requests).toHaveLength(0);
  });

  test("are given by the silly registry to everybody", async () => {
    await using registry = await startRegistry({ auth: "silly" });
    await registry.pushImage("some/image:1", { layers: [layer] });
    using tester = testClient();
    await pull(tester, registry);
  });

  test("that cannot be had are explained", async () => {
    await using registry = await tokenRegistry({ anonymousPull: false });
    using anonymous = testClient();
    const reference = named(registry, "some/image:1");
    const nobody = await registryFailure(anonymous.client.fetchManifest(reference));
    expect(nobody).toMatchObject({ failure: "unauthorized", status: 401 });
    expect(nobody.message).toContain("gives nothing to anonymous clients");
    expect(nobody.hint).toContain(`docker login ${registry.address}`);

    using wrong = testClient({ login: { [registry.address]: password("gocker", "hunter2") } });
    const error = await registryFailure(wrong.client.fetchManifest(reference));
    expect(error.message).toContain("does not accept the credentials");
    expect(error.message).toContain("incorrect username or password");
    expect(JSON.stringify([error.message, error.hint, error.url, wrong.log])).not.toContain("hunter2");
  });

  test("that are too narrow mean a private image, or none", async () => {
    await using registry = await tokenRegistry({ privateRepositories: ["some/image"] });
    using tester = testClient();
    const error = await registryFailure(tester.client.fetchManifest(named(registry, "some/image:1")));
    expect(error).toMatchObject({ failure: "unauthorized", status: 401, retryable: false });
    expect(error.message).toContain("it is private, or does not exist");
    expect(error.hint).toContain("check the spelling");
  });
});

describe.skipIf(!hasRegistry)("passwords", () => {
  test("are sent where a registry asks for them", async () => {
    await using registry = await startRegistry({ auth: "htpasswd" });
    await registry.pushImage("some/image:1", { layers: [layer] });
    using tester = testClient({ login: { [registry.address]: password(registry.user, registry.password) } });
    await pull(tester, registry);
    await until("the registry tells of it", () => registry.log().includes('" 401 '));
    expect(registry.log().split('" 401 ')).toHaveLength(2);
  });

  test("that are missing or wrong are explained", async () => {
    await using registry = await startRegistry({ auth: "htpasswd" });
    await registry.pushImage("some/image:1", { layers: [layer] });
    const reference = named(registry, "some/image:1");
    using anonymous = testClient();
    const nobody = await registryFailure(anonymous.client.fetchManifest(reference));
    expect(nobody.message).toBe(`${registry.address} wants a user and a password for some/image`);
    using wrong = testClient({ login: { [registry.address]: password("gocker", "hunter2") } });
    const error = await registryFailure(wrong.client.fetchManifest(reference));
    expect(error).toMatchObject({ failure: "unauthorized", status: 401 });
    expect(error.message).toContain('does not give out the image some/image:1 to the user "gocker"');
    expect(error.hint).toContain("log in to");
  });
});

describe("secrets stay where they belong", () => {
  test.skipIf(!hasRegistry)("no token reaches the origin that a blob is redirected to", async () => {
    await using registry = await startRegistry({ auth: "token", redirect: true });
    await registry.pushImage("some/image:1", { layers: [layer] });
    using tester = testClient();
    await pull(tester, registry);
    expect(registry.blobs!.requests.length).toBeGreaterThanOrEqual(2);
    for (const { headers } of registry.blobs!.requests) expect(headers).not.toHaveProperty("authorization");
  });

  test("a registry's password does not go to its mirror", async () => {
    using mirror = startRawServer(() => rawAnswer("401 Unauthorized", { "www-authenticate": 'Basic realm="give"' }));
    using origin = startRawServer(() => rawAnswer("401 Unauthorized", { "www-authenticate": 'Basic realm="give"' }));
    using tester = testClient({
      registries: { [origin.address]: { mirrors: [`http://${mirror.address}`] } },
      login: { [origin.address]: password("u", "p") },
    });
    await registryFailure(tester.client.fetchManifest(parseReference(`${origin.address}/a/b:1`)));
    expect(mirror.requests.map(({ headers }) => headers["authorization"])).toEqual([undefined]);
    expect(origin.requests.map(({ headers }) => headers["authorization"])).toEqual([undefined, `Basic ${btoa("u:p")}`]);
  });

  test("a password does not go over plain HTTP to the token server of a registry that speaks HTTPS", async () => {
    using directory = new TemporaryDirectory("tls");
    const { authority, certificate, key } = await makeCertificates(directory.path);
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: Bun.file(certificate), key: Bun.file(key) },
      fetch: () =>
        new Response(null, { status: 401, headers: { "www-authenticate": 'Bearer realm="http://auth.example/t"' } }),
    });
    const registry = `127.0.0.1:${server.port}`;
    using tester = testClient({
      registries: { [registry]: { ca: [authority] } },
      login: { [registry]: password("u", "hunter2") },
    });
    const error = await registryFailure(tester.client.fetchManifest(parseReference(`${registry}/a/b:1`)));
    expect(error.message).toContain("wants the password sent to auth.example over plain HTTP");
  });

  test("a POST with an identity token is not redirected", async () => {
    using elsewhere = startRawServer(() => rawAnswer("200 OK", {}, '{"token":"x"}'));
    using server = startRawServer(({ target }) =>
      target.startsWith("/token")
        ? rawAnswer("307 Temporary Redirect", { location: `http://${elsewhere.address}/` })
        : rawAnswer("401 Unauthorized", { "www-authenticate": `Bearer realm="http://${server.address}/token"` }),
    );
    using tester = testClient({ login: { [server.address]: { kind: "identity-token", token: "secret" } } });
    await registryFailure(tester.client.fetchManifest(parseReference(`${server.address}/a/b:1`)));
    expect(elsewhere.requests).toEqual([]);
  });

  test("a 401 of another origin does not get the token", async () => {
    using elsewhere = startRawServer(() =>
      rawAnswer("401 Unauthorized", { "www-authenticate": 'Basic realm="give me the password"' }),
    );
    using server = startRawServer(() =>
      rawAnswer("307 Temporary Redirect", { location: `http://${elsewhere.address}/x` }),
    );
    using tester = testClient({
      login: { [server.address]: password("u", "p"), [elsewhere.address]: password("u", "p") },
    });
    const error = await registryFailure(tester.client.fetchManifest(parseReference(`${server.address}/a/b:1`)));
    expect(error.message).toContain(`keeps the image a/b:1 at ${elsewhere.address}`);
    for (const { headers } of elsewhere.requests) expect(headers).not.toHaveProperty("authorization");
  });
});

describe("challenges and token servers that are of no use", () => {
  const tokenAnswers = async (answer: Uint8Array, challenge?: string) => {
    using server = startRawServer(({ target }) =>
      target.startsWith("/token")
        ? answer
        : rawAnswer("401 Unauthorized", {
            "www-authenticate": challenge ?? `Bearer realm="http://${server.address}/token"`,
          }),
    );
    using tester = testClient();
    return await registryFailure(tester.client.fetchManifest(parseReference(`${server.address}/a/b:1`)));
  };

  test.each([
    ["Negotiate", "by negotiate, which gocker does not speak"],
    ["", "without saying how"],
    ["Bearer service=x", "does not say where to get one"],
    ['Bearer realm="localhost"', "a token server that is no URL"],
    ['Bearer realm="file:///etc/passwd"', "a token server that is no web address"],
  ])("challenge %p", async (challenge, reason) => {
    expect((await tokenAnswers(rawAnswer("200 OK"), challenge)).message).toContain(reason);
  });

  test.each<[string, Uint8Array, string]>([
    ["no JSON", rawAnswer("200 OK", {}, "<html>"), "gave no token"],
    ["null", rawAnswer("200 OK", {}, "null"), "gave no token"],
    ["an empty token", rawAnswer("200 OK", {}, '{"token":""}'), "gave no token"],
    ["a token with a header in it", rawAnswer("200 OK", {}, '{"token":"x\\r\\nHost: y"}'), "gave no token"],
    ["status 400", rawAnswer("400 Bad Request", {}, '{"error":"invalid_scope"}'), "failed: invalid_scope (status 400)"],
    ["status 503", rawAnswer("503 Busy"), "failed: status 503"],
  ])("token server: %s", async (_, answer, reason) => {
    expect((await tokenAnswers(answer)).message).toContain(reason);
  });

  test.skipIf(!hasCorpus)("Docker Hub's answers to an image that does not exist", async () => {
    for (const name of [
      "registry/dockerhub/401-empty-access-token-insufficient-scope.http",
      "registry/http/04-GET-https-registry-1.docker.io-v2-library-this-does-not-exist-manifest.http",
    ]) {
      const recorded = await corpusText(name);
      using server = startRawServer(({ target }) =>
        target.startsWith("/token")
          ? rawAnswer("200 OK", {}, '{"token":"anonymous"}')
          : recordedAnswer(recorded, `http://${server.address}/token`),
      );
      using tester = testClient();
      const reference = parseReference(`${server.address}/library/this-does-not-exist:1`);
      const error = await registryFailure(tester.client.fetchManifest(reference));
      expect(error).toMatchObject({ failure: "unauthorized", status: 401 });
      expect(error.message).toContain("it is private, or does not exist");
      // Refused, and refused with a token: the same token again would not help.
      expect(server.requests.filter(({ target }) => target.startsWith("/v2/"))).toHaveLength(2);
    }
  });
});
