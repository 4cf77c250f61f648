import { describe, expect, test } from "bun:test";
import { truncate, writeFile } from "node:fs/promises";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/media-types.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { RegistryError } from "../../src/registry/errors.ts";
import { VerificationError } from "../../src/util/errors.ts";
import { rawAnswer, startRawServer } from "../helpers/raw-server.ts";
import { registryFailure, testClient } from "../helpers/registry-client.ts";
import { hasRegistry, startRegistry } from "../helpers/registry.ts";
import { until } from "../helpers/until.ts";

const content = new Uint8Array(300_000).map((_, index) => (index * 2654435761) >>> 24);
const blob: Descriptor = { mediaType: mediaTypes.ociLayer, digest: digestOf(content), size: content.length };

async function bytesOf({ stream }: { stream: ReadableStream<Uint8Array> }): Promise<Uint8Array> {
  return await new Response(stream).bytes();
}

/** Serves blobs by whatever `answer` says; tells the client apart by nothing. */
function blobServer(...answers: Parameters<typeof startRawServer>) {
  const server = startRawServer(...answers);
  return {
    server,
    reference: parseReference(`${server.address}/some/image:1`),
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}

describe.skipIf(!hasRegistry)("blobs of docker-registry", () => {
  test.each([false, true])("come whole and in part (redirected: %p)", async (redirect) => {
    await using registry = await startRegistry({ redirect });
    await registry.pushBlob("some/image", content);
    using tester = testClient();
    const reference = parseReference(`${registry.address}/some/image:1`);
    for (const offset of [0, 1, 123_456, content.length - 1, content.length]) {
      const opened = await tester.client.openBlob(reference, blob, { offset });
      expect(opened.offset).toBe(offset);
      expect(await bytesOf(opened)).toEqual(content.subarray(offset));
    }
    await expect(tester.client.openBlob(reference, blob, { offset: content.length + 1 })).rejects.toThrow(RangeError);
  });

  test("that are shorter or longer than the manifest says are refused before they are read", async () => {
    await using registry = await startRegistry();
    await registry.pushBlob("some/image", content);
    using tester = testClient();
    const reference = parseReference(`${registry.address}/some/image:1`);
    await truncate(registry.blobPath(blob.digest), 1000);
    await expect(tester.client.openBlob(reference, blob)).rejects.toThrow("expected 300000 bytes, got 1000 bytes");
    // 416 for the range, then the whole is of the wrong size.
    await expect(tester.client.openBlob(reference, blob, { offset: 2000 })).rejects.toThrow(VerificationError);
    await writeFile(registry.blobPath(blob.digest), new Uint8Array(400_000));
    await expect(tester.client.openBlob(reference, blob)).rejects.toThrow("expected 300000 bytes, got 400000 bytes");
    await expect(tester.client.openBlob(reference, blob, { offset: 5 })).rejects.toThrow(VerificationError);
  });

  test("are empty when they are empty", async () => {
    await using registry = await startRegistry();
    const empty = (await registry.pushBlob("some/image", new Uint8Array())) as Descriptor;
    using tester = testClient();
    const reference = parseReference(`${registry.address}/some/image:1`);
    expect(await bytesOf(await tester.client.openBlob(reference, empty))).toHaveLength(0);
  });

  test("get a fresh address when the signed one has expired", async () => {
    await using registry = await startRegistry({ redirect: true });
    await registry.pushBlob("some/image", content);
    using tester = testClient();
    registry.blobs!.intercept = (_, count) => (count === 0 ? new Response("expired", { status: 403 }) : undefined);
    const reference = parseReference(`${registry.address}/some/image:1`);
    expect(await bytesOf(await tester.client.openBlob(reference, blob))).toEqual(content);
    await until("both requests are logged", () => registry.log().split("GET /v2/some/image/blobs").length > 2);
  });

  test("can be resumed where they broke off", async () => {
    await using registry = await startRegistry({ redirect: true });
    await registry.pushBlob("some/image", content);
    using tester = testClient();
    const reference = parseReference(`${registry.address}/some/image:1`);
    let breaks = 3;
    // A proxy before the storage that hangs up after a while, and says nothing of the rest.
    using storage = startRawServer(({ headers }) => {
      const start = Number(/^bytes=(\d+)-$/.exec(headers["range"] ?? "")?.[1] ?? 0);
      const rest = content.subarray(start);
      const range = { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` };
      const sent = breaks-- > 0 ? rest.subarray(0, 70_000) : rest;
      const status = start === 0 ? "200 OK" : "206 Partial Content";
      return rawAnswer(status, { ...(start > 0 && range), "content-length": rest.length }, sent);
    });
    registry.blobs!.intercept = () => Response.redirect(`http://${storage.address}/`, 307);

    const received: Uint8Array[] = [];
    let offset = 0;
    let failures = 0;
    while (offset < content.length) {
      const opened = await tester.client.openBlob(reference, blob, { offset });
      expect(opened.offset).toBe(offset);
      try {
        for await (const chunk of opened.stream) {
          received.push(chunk);
          offset += chunk.length;
        }
      } catch (error) {
        expect(error).toMatchObject({ failure: "broken-connection", retryable: true });
        failures++;
      }
    }
    expect(failures).toBe(3);
    expect(Buffer.concat(received).equals(content)).toBe(true);
  });
});

describe("servers and ranges", () => {
  test("one that ignores them gives the whole blob, and says so", async () => {
    using fake = blobServer(() => rawAnswer("200 OK", {}, content));
    using tester = testClient();
    const opened = await tester.client.openBlob(fake.reference, blob, { offset: 5 });
    expect(opened.offset).toBe(0);
    expect(await bytesOf(opened)).toEqual(content);
    expect(fake.server.requests[0]?.headers["range"]).toBe("bytes=5-");
  });

  test.each([
    ["another beginning", { "content-range": `bytes 0-299994/300000` }],
    ["another end", { "content-range": `bytes 5-299998/300000` }],
    ["another size", { "content-range": `bytes 5-299999/300001` }],
    ["no range", {}],
  ])("a 206 with %s is not believed", async (_, headers) => {
    using fake = blobServer(({ headers: { range } }) =>
      range === undefined
        ? rawAnswer("200 OK", {}, content)
        : rawAnswer("206 Partial Content", headers, content.subarray(5)),
    );
    using tester = testClient();
    const opened = await tester.client.openBlob(fake.reference, blob, { offset: 5 });
    expect(opened.offset).toBe(0);
    expect(await bytesOf(opened)).toEqual(content);
  });

  test("a 416 that announces the whole blob does not hang", async () => {
    using fake = blobServer(({ headers: { range } }) =>
      range === undefined
        ? rawAnswer("200 OK", {}, content)
        : rawAnswer("416 Requested Range Not Satisfiable", {
            "content-length": content.length,
            "content-range": `bytes */${content.length}`,
            connection: "keep-alive",
          }),
    );
    using tester = testClient();
    expect(await bytesOf(await tester.client.openBlob(fake.reference, blob, { offset: 5 }))).toEqual(content);
  });
});

describe("bodies that are not as announced", () => {
  const open = async (answer: Uint8Array, timeouts?: { headers: number; stall: number }) => {
    using fake = blobServer(() => answer);
    using tester = testClient({ ...(timeouts && { timeouts }) });
    return await bytesOf(await tester.client.openBlob(fake.reference, blob));
  };

  test("longer", async () => {
    // Without a length only the end of the connection ends the body.
    const answer = Buffer.concat([
      new TextEncoder().encode("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
      content,
      content,
    ]);
    await expect(open(answer)).rejects.toThrow(/size of the blob sha256:.*: expected 300000 bytes, got more/);
  });

  test("shorter, without a length", async () => {
    const answer = Buffer.concat([
      new TextEncoder().encode("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
      content.subarray(0, 1000),
    ]);
    const error = await registryFailure(open(answer));
    expect(error).toMatchObject({ failure: "broken-connection", retryable: true });
    expect(error.message).toContain("ended after 1000 of 300000 bytes");
  });

  test("compressed on the way", async () => {
    // Decompressed it would be right, but the digest is over what the registry keeps.
    const answer = rawAnswer("200 OK", { "content-encoding": "gzip" }, Bun.gzipSync(content));
    await expect(open(answer)).rejects.toThrow(VerificationError);
    const labelled = rawAnswer("200 OK", { "content-encoding": "gzip" }, content);
    expect(await open(labelled)).toEqual(content);
  });

  test("stalled", async () => {
    using server = startSilentServer(content.subarray(0, 1000));
    using tester = testClient({ timeouts: { headers: 10_000, stall: 50 } });
    const reference = parseReference(`127.0.0.1:${server.port}/some/image:1`);
    const error = await registryFailure(tester.client.openBlob(reference, blob).then(bytesOf));
    expect(error).toMatchObject({ failure: "timeout", retryable: true });
    expect(error.message).toContain("nothing came for 0.05 seconds");
  });

  test("a slow reader is no stall", async () => {
    using fake = blobServer(() => rawAnswer("200 OK", {}, content));
    using tester = testClient({ timeouts: { headers: 10_000, stall: 20 } });
    const { stream } = await tester.client.openBlob(fake.reference, blob);
    const reader = stream.getReader();
    let length = (await reader.read()).value?.length ?? 0;
    // Longer than the limit, on purpose: this time is ours, not the server's.
    await Bun.sleep(100);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
    }
    expect(length).toBe(content.length);
  });
});

describe("readers that do not read on", () => {
  test("end the connection by cancelling", async () => {
    let closed: () => void = () => {};
    const ended = new Promise<void>((resolve) => (closed = resolve));
    using server = startSilentServer(content.subarray(0, 1000), closed);
    using tester = testClient();
    const reference = parseReference(`127.0.0.1:${server.port}/some/image:1`);
    const { stream } = await tester.client.openBlob(reference, blob);
    await stream.cancel();
    await ended;
  });

  test("end it by aborting, before and after the headers", async () => {
    using server = startSilentServer(content.subarray(0, 1000));
    using tester = testClient();
    const reference = parseReference(`127.0.0.1:${server.port}/some/image:1`);
    const controller = new AbortController();
    const { stream } = await tester.client.openBlob(reference, blob, { signal: controller.signal });
    const reading = new Response(stream).bytes();
    controller.abort(new Error("the user has enough"));
    await expect(reading).rejects.toThrow("the user has enough");
    const again = tester.client.openBlob(reference, blob, { signal: controller.signal });
    await expect(again).rejects.toThrow("the user has enough");
  });
});

describe("layers that registries may not give out", () => {
  const foreign = { ...blob, mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar" };

  test("are not looked for over plain HTTP, or at all for other layers", async () => {
    using elsewhere = startRawServer(() => rawAnswer("200 OK", {}, content));
    using fake = blobServer(() => rawAnswer("404 Not Found"));
    using tester = testClient();
    for (const descriptor of [
      { ...foreign, urls: [`http://${elsewhere.address}/`] },
      { ...blob, urls: [`https://${elsewhere.address}/`] },
    ]) {
      const error = await registryFailure(tester.client.openBlob(fake.reference, descriptor));
      expect(error.failure).toBe("not-found");
    }
    expect(elsewhere.requests).toEqual([]);
  });
});

test("errors of a stream are the registry's, not fetch's", async () => {
  using fake = blobServer(() => rawAnswer("200 OK", { "content-length": content.length }, content.subarray(0, 10)));
  using tester = testClient();
  const error = await registryFailure(tester.client.openBlob(fake.reference, blob).then(bytesOf));
  expect(error).toBeInstanceOf(RegistryError);
  expect(error.retryable).toBe(true);
});

/** Announces the blob, sends its beginning, and then nothing more. */
function startSilentServer(beginning: Uint8Array, onClose: () => void = () => {}): Disposable & { port: number } {
  const head = new TextEncoder().encode(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`);
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write(Buffer.concat([head, beginning]));
      },
      close: onClose,
    },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}
