import { join } from "node:path";

/** What a client asked the blob server for. */
export interface BlobRequest {
  path: string;
  query: string;
  headers: Record<string, string>;
}

/** A second origin that gives blobs out, as a registry's CDN does. */
export interface BlobServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: BlobRequest[];
  /** Called before every answer; what it returns is sent instead of the blob. For expired URLs, breaks and such. */
  intercept: ((request: Request, count: number) => Response | undefined | Promise<Response | undefined>) | undefined;
}

/** Serves the files under `directory` with Range support on a port of the kernel's choice. */
export function startBlobServer(directory: string): BlobServer {
  const requests: BlobRequest[] = [];
  let count = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url);
      requests.push({
        path: url.pathname,
        query: url.search,
        headers: Object.fromEntries(request.headers.entries()),
      });
      const instead = await blobs.intercept?.(request, count++);
      if (instead !== undefined) return instead;
      const file = Bun.file(join(directory, decodeURIComponent(url.pathname)));
      if (!(await file.exists())) return new Response("no such blob", { status: 404 });
      return rangeAnswer(request, await file.bytes());
    },
  });
  const blobs: BlobServer = {
    url: `http://127.0.0.1:${server.port}/`,
    requests,
    intercept: undefined,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
  return blobs;
}

/** 200, 206 or 416 for `content`, as the request's Range header wants it. */
function rangeAnswer(request: Request, content: Uint8Array): Response {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
  if (range === null) return new Response(content, { headers: { "accept-ranges": "bytes" } });
  const start = Number(range[1]);
  if (start >= content.length) {
    return new Response(null, {
      status: 416,
      headers: { "content-range": `bytes */${content.length}` },
    });
  }
  const end = Math.min(range[2] === "" ? content.length - 1 : Number(range[2]), content.length - 1);
  const headers = {
    "content-range": `bytes ${start}-${end}/${content.length}`,
  };
  return new Response(content.slice(start, end + 1), { status: 206, headers });
}
