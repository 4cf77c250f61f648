import type { Socket } from "bun";

/** One request as it came over the wire. */
export interface RawRequest {
  readonly method: string;
  /** With its query. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A server that answers with the bytes it is told to, right or wrong. */
export interface RawServer extends Disposable {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly requests: RawRequest[];
}

/**
 * What to answer: the bytes of it, after which the connection is closed; or undefined to say nothing and keep the
 * connection open.
 */
export type RawAnswer = (request: RawRequest, count: number) => string | Uint8Array | undefined;

/** Starts a server on a port of the kernel's choice: for what no real registry can be made to say. */
export function startRawServer(answer: RawAnswer): RawServer {
  const requests: RawRequest[] = [];
  const listener = Bun.listen<{ head: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { head: "" };
      },
      data(socket, chunk) {
        socket.data.head += chunk.toString("latin1");
        if (!socket.data.head.includes("\r\n\r\n")) return;
        const request = parseRequest(socket.data.head);
        socket.data.head = "";
        requests.push(request);
        const bytes = answer(request, requests.length - 1);
        if (bytes !== undefined) finish(socket, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
      },
      drain(socket) {
        finish(socket, pending.get(socket) ?? new Uint8Array());
      },
    },
  });
  const pending = new WeakMap<Socket<{ head: string }>, Uint8Array>();
  const finish = (socket: Socket<{ head: string }>, bytes: Uint8Array) => {
    const written = socket.write(bytes);
    pending.set(socket, bytes.subarray(written));
    if (written === bytes.length) socket.end();
  };
  return {
    address: `127.0.0.1:${listener.port}`,
    requests,
    [Symbol.dispose]: () => listener.stop(true),
  };
}

/** Bytes of an answer: a recorded one (LF line ends) or one put together. */
export function rawAnswer(
  status: string,
  headers: Record<string, string | number> = {},
  body: string | Uint8Array = "",
): Uint8Array {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const all = { "content-length": bytes.length, connection: "close", ...headers };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([new TextEncoder().encode(`HTTP/1.1 ${status}\r\n${head.join("")}\r\n`), bytes]);
}

/** A recorded answer of the corpus with the line ends that HTTP wants, and its realm put to `realm`. */
export function recordedAnswer(text: string, realm?: string): Uint8Array {
  const [head = "", ...body] = text.replaceAll("\r\n", "\n").split("\n\n");
  const [line = "", ...headers] = head
    .replace(/^HTTP\/2 /, "HTTP/1.1 ")
    .split("\n")
    .filter((entry) => entry !== "");
  const kept = headers.filter((header) => !/^(?:connection|transfer-encoding):/i.test(header));
  const named = kept.map((header) =>
    realm === undefined ? header : header.replace(/realm="[^"]*"/, `realm="${realm}"`),
  );
  return new TextEncoder().encode([line, ...named, "Connection: close", "", body.join("\n\n")].join("\r\n"));
}

function parseRequest(text: string): RawRequest {
  const [line = "", ...lines] = (text.split("\r\n\r\n", 1)[0] ?? "").split("\r\n");
  const [method = "", target = ""] = line.split(" ");
  const headers = lines.map((header): [string, string] => {
    const colon = header.indexOf(":");
    return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()];
  });
  return { method, target, headers: Object.fromEntries(headers) };
}
