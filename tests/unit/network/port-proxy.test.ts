import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { OwnedFd } from "../../../src/linux/fd.ts";
import {
  bindSocket,
  listenAt,
  localAddress,
  openInternetSocket,
  startConnecting,
} from "../../../src/linux/internet-socket.ts";
import { pollAll } from "../../../src/linux/poll.ts";
import { receiveSome, sendSome, shutDownSending } from "../../../src/linux/socket.ts";
import { PortProxy, type PortProxyOptions } from "../../../src/network/port-proxy.ts";
import type { Publication } from "../../../src/network/publication.ts";
import { type IpAddress, parseIpAddress } from "../../../src/util/ip-address.ts";
import { FakeUpstream } from "../../helpers/dns.ts";
import { noDescriptor } from "../../helpers/few-descriptors.ts";
import { patience } from "../../helpers/patience.ts";

const loopback = parseIpAddress("127.0.0.1") as IpAddress;

/** A proxy of ports of the loopback to another one, whose clock stands still unless the test moves it. */
class TestProxy implements Disposable {
  readonly proxy: PortProxy;
  readonly ports: readonly number[];
  /** The first of them. */
  readonly port: number;
  /** Where they lead, by what is on record. */
  leadsTo: { readonly address: string; readonly port: number };
  now = 0;

  constructor(
    protocol: "tcp" | "udp",
    target: number,
    { address = "127.0.0.1", count = 1, ...options }: PortProxyOptions & { address?: string; count?: number } = {},
  ) {
    const sockets = Array.from({ length: count }, () => {
      const socket = openInternetSocket(4, protocol === "tcp" ? "stream" : "datagram");
      if (protocol === "tcp") listenAt(socket, { address: loopback, port: 0 });
      else bindSocket(socket, { address: loopback, port: 0 });
      return socket;
    });
    this.ports = sockets.map((socket) => localAddress(socket).port);
    this.port = this.ports[0] as number;
    this.leadsTo = { address, port: target };
    const publication = (hostPort: number): Publication => ({
      protocol,
      hostAddress: "127.0.0.1",
      hostPort,
      containerAddress: this.leadsTo.address,
      containerPort: this.leadsTo.port,
    });
    const numbers = sockets.map((socket) => socket.release());
    this.proxy = new PortProxy(() => this.ports.map(publication), numbers, { now: () => this.now, ...options });
  }

  serveOnce(milliseconds = 0): void {
    const waiting = [...this.proxy.waiting()];
    const ready = pollAll(waiting, milliseconds);
    for (const [index, one] of waiting.entries()) {
      const events = ready[index] ?? 0;
      if (events !== 0) one.serve(events);
    }
    this.proxy.expire();
  }

  /** Serves, and lets what else is in this process go on, until there is something. */
  async until<Result>(what: string, attempt: () => Result | undefined | false): Promise<Result> {
    const deadline = performance.now() + patience(5_000);
    for (;;) {
      const result = attempt();
      if (result !== undefined && result !== false) return result;
      if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
      this.serveOnce();
      await setImmediate();
    }
  }

  /** Somebody who connects, or sends datagrams. */
  client(type: "stream" | "datagram" = "stream", port = this.port): OwnedFd {
    const socket = openInternetSocket(4, type);
    startConnecting(socket, { address: loopback, port });
    return socket;
  }

  /** Sends a byte to who gives it back. @returns whether it has come back: the connection may be broken off instead */
  async isAnswered(client: OwnedFd): Promise<boolean> {
    try {
      await this.until("it is sent", () => tolerant(() => sendSome(client, Uint8Array.of(1))) === 1);
      return (await this.until("an answer", () => tolerantRead(client)?.length.toString())) === "1";
    } catch (error) {
      if (["EPIPE", "ECONNRESET"].includes((error as { errnoName?: string }).errnoName ?? "")) return false;
      throw error;
    }
  }

  /** Somebody who is connected to who gives back what he gets. */
  async answered(port?: number): Promise<OwnedFd> {
    const client = this.client("stream", port);
    expect(await this.isAnswered(client)).toBe(true);
    return client;
  }

  [Symbol.dispose](): void {
    this.proxy[Symbol.dispose]();
  }
}

const openDescriptors = () => readdirSync("/proc/self/fd").length;
const buffer = new Uint8Array(65_536);

/** A server that gives back what it gets, and ends when the other side does. */
function echoServer() {
  return Bun.listen<{ rest: Uint8Array[]; hasEnded: boolean }>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open: (socket) => void (socket.data = { rest: [], hasEnded: false }),
      data: (socket, bytes) => {
        socket.data.rest.push(bytes.slice());
        flush(socket);
      },
      drain: flush,
      end: (socket) => {
        socket.data.hasEnded = true;
        flush(socket);
      },
    },
  });
}

function flush(socket: Bun.Socket<{ rest: Uint8Array[]; hasEnded: boolean }>): void {
  const { rest, hasEnded } = socket.data;
  for (let first = rest[0]; first !== undefined; first = rest[0]) {
    const written = socket.write(first);
    if (written < first.length) {
      rest[0] = first.subarray(Math.max(0, written));
      return;
    }
    rest.shift();
  }
  if (hasEnded) socket.end();
}

/** A port of the loopback where nobody is. */
async function deadPort(): Promise<number> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  await listener[Symbol.dispose]();
  return port;
}

describe("connections that are passed on", () => {
  test("carry much both ways, and end when both sides have", async () => {
    using server = echoServer();
    using bench = new TestProxy("tcp", server.port);
    expect(bench.proxy.isIdle).toBe(true);
    using client = bench.client();
    const size = 8_000_000;
    const sent = new Bun.CryptoHasher("sha256");
    const received = new Bun.CryptoHasher("sha256");
    const block = crypto.getRandomValues(new Uint8Array(50_000));
    let [written, read] = [0, 0];
    let isOver = false;
    await bench.until("everything comes back", () => {
      if (written < size) {
        const part = block.subarray(0, Math.min(block.length, size - written));
        const count = tolerant(() => sendSome(client, part));
        sent.update(part.subarray(0, count));
        written += count;
        if (written === size) shutDownSending(client);
      }
      const bytes = tolerantRead(client);
      if (bytes === undefined) return false;
      if (bytes.length === 0) isOver = true;
      received.update(bytes);
      read += bytes.length;
      return isOver;
    });
    expect([read, received.digest("hex")]).toEqual([size, sent.digest("hex")]);
    await bench.until("it is over", () => bench.proxy.isIdle);
  });

  test("are refused when the container refuses, and nobody else has to wait for that", async () => {
    using bench = new TestProxy("tcp", await deadPort());
    const before = openDescriptors();
    for (let round = 0; round < 20; round++) {
      using client = bench.client();
      expect(await bench.until("it is over", () => endOf(client))).toMatch(/^(?:end|ECONNRESET)$/);
      await bench.until("nothing is under way", () => bench.proxy.isIdle);
      expect(bench.proxy.timeout).toBeUndefined();
    }
    expect(openDescriptors()).toBe(before);
  });

  test("end with the client who breaks off, and leave nothing open", async () => {
    using server = echoServer();
    using bench = new TestProxy("tcp", server.port);
    const before = openDescriptors();
    {
      using client = bench.client();
      await bench.until("it goes on", () => tolerant(() => sendSome(client, Buffer.from("hello"))) > 0);
      await bench.until("it comes back", () => tolerantRead(client)?.length === 5);
    }
    await bench.until("it is over", () => bench.proxy.isIdle);
    await bench.until("the server has noticed", () => openDescriptors() <= before);
  });

  test("let who sends wait for who does not read, and lose nothing", async () => {
    const size = 64 * 1024 * 1024;
    const block = Buffer.alloc(65_536, "x");
    let sent = 0;
    const fill = (socket: Bun.Socket) => {
      while (sent < size) {
        const count = Math.max(0, socket.write(block.subarray(0, Math.min(block.length, size - sent))));
        sent += count;
        if (count === 0) return;
      }
      socket.end();
    };
    using server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { open: fill, drain: fill, data() {} } });
    using bench = new TestProxy("tcp", server.port);
    using client = bench.client();
    let [before, rounds] = [0, 0];
    await bench.until("nothing more is taken", () => {
      rounds = sent === before ? rounds + 1 : 0;
      before = sent;
      return sent > 0 && rounds > 200;
    });
    expect(sent).toBeLessThan(size);
    let read = 0;
    await bench.until("everything has come", () => {
      const bytes = tolerantRead(client);
      read += bytes?.length ?? 0;
      return bytes?.length === 0;
    });
    expect([read, sent]).toEqual([size, size]);
  });

  test("are at most so many: for another one, who has been silent for longest is broken off", async () => {
    using server = echoServer();
    using bench = new TestProxy("tcp", server.port, { most: 8 });
    using clients = new DisposableStack();
    const before = openDescriptors();
    const first = clients.use(await bench.answered());
    const second = clients.use(await bench.answered());
    for (let count = 0; count < 100; count++) {
      clients.use(await bench.answered());
      if (count % 5 === 0) expect([count, await bench.isAnswered(second)]).toEqual([count, true]);
    }
    expect(await bench.until("it is over", () => endOf(first))).toBe("ECONNRESET");
    // The clients' own ends, and three for each connection: two of the proxy's, and the server's.
    await bench.until("the server has noticed", () => openDescriptors() - before <= 102 + 8 * 3);
  });

  test("of many do not take the place of those of another port", async () => {
    using server = echoServer();
    using bench = new TestProxy("tcp", server.port, { most: 8, count: 2 });
    using clients = new DisposableStack();
    const [one, other] = bench.ports;
    const few = [clients.use(await bench.answered(other)), clients.use(await bench.answered(other))];
    for (let count = 0; count < 40; count++) clients.use(await bench.answered(one));
    for (const client of few) expect(await bench.isAnswered(client)).toBe(true);
  });

  test("are one thing to wait for, however many there are", async () => {
    using server = echoServer();
    using bench = new TestProxy("tcp", server.port);
    using clients = new DisposableStack();
    for (let count = 0; count < 500; count++) clients.use(await bench.answered());
    expect([...bench.proxy.waiting()]).toHaveLength(1);
  });

  test("are taken in the place of others when no descriptor is left, and later when there are no others", async () => {
    using server = echoServer();
    using bench = new TestProxy("tcp", server.port);
    using clients = new DisposableStack();
    const waiting = clients.use(bench.client());
    {
      using _limit = noDescriptor();
      bench.serveOnce(patience(1_000));
      expect(bench.proxy.timeout).toBe(200);
      expect(bench.proxy.isIdle).toBe(false);
    }
    bench.serveOnce();
    expect(bench.proxy.timeout).toBe(200);
    bench.now = 200;
    bench.proxy.expire();
    expect(bench.proxy.timeout).toBeUndefined();
    expect(await bench.isAnswered(waiting)).toBe(true);
    const next = clients.use(bench.client());
    {
      using _limit = noDescriptor();
      bench.serveOnce(patience(1_000));
      expect(endOf(waiting)).toBe("ECONNRESET");
    }
    expect(await bench.isAnswered(next)).toBe(true);
  });
});

describe("a port that leads elsewhere by now", () => {
  /** Says which one it is. */
  const namedServer = (name: string, hostname: string, port = 0) =>
    Bun.listen({ hostname, port, socket: { open: (socket) => void socket.end(name), data() {} } });

  test("takes new connections there once it is told, and none while it leads nowhere", async () => {
    using first = namedServer("first", "127.0.0.1");
    using _second = namedServer("second", "127.0.0.2", first.port);
    using bench = new TestProxy("tcp", first.port);
    const ask = async () => {
      using client = bench.client();
      let text = "";
      await bench.until("the end of the answer", () => {
        const bytes = tolerantRead(client);
        text += Buffer.from(bytes ?? []).toString();
        return bytes?.length === 0;
      });
      return text;
    };
    expect(await ask()).toBe("first");
    bench.leadsTo = { address: "127.0.0.2", port: first.port };
    expect(await ask()).toBe("first");
    bench.proxy.refresh();
    expect(await ask()).toBe("second");
    bench.leadsTo = { address: "", port: first.port };
    bench.proxy.refresh();
    expect(await ask()).toBe("");
    bench.leadsTo = { address: "127.0.0.1", port: first.port };
    bench.proxy.refresh();
    expect(await ask()).toBe("first");
  });

  test("takes datagrams there, of those who have sent some before, too", async () => {
    using target = new FakeUpstream();
    using bench = new TestProxy("udp", Number(target.address.split(":").at(-1)), { address: "127.0.0.2" });
    using client = bench.client("datagram");
    const before = openDescriptors();
    sendSome(client, Uint8Array.of(1));
    await bench.until("it is passed on", () => !bench.proxy.isIdle);
    bench.leadsTo = { ...bench.leadsTo, address: "127.0.0.1" };
    bench.proxy.refresh();
    expect(openDescriptors()).toBe(before);
    sendSome(client, Uint8Array.of(2));
    expect(await bench.until("it comes", () => target.query()?.message)).toEqual(Buffer.of(2));
    bench.leadsTo = { ...bench.leadsTo, address: "" };
    bench.proxy.refresh();
    sendSome(client, Uint8Array.of(3));
    bench.serveOnce(100);
    expect(bench.proxy.isIdle).toBe(true);
  });
});

describe("datagrams that are passed on", () => {
  /** Somebody who answers by what he was sent. */
  const echo = (upstream: FakeUpstream) => {
    for (let sent = upstream.query(); sent !== undefined; sent = upstream.query()) upstream.reply(sent.message, sent);
  };
  const portOf = ({ address }: FakeUpstream) => Number(address.split(":").at(-1));

  test("come back to who has sent them, each with a way of his own", async () => {
    using target = new FakeUpstream();
    using bench = new TestProxy("udp", portOf(target));
    const clients = Array.from({ length: 5 }, () => bench.client("datagram"));
    for (const [index, client] of clients.entries()) {
      sendSome(client, Buffer.alloc(1 + index * 15_000, index));
      const answer = await bench.until("an answer", () => {
        echo(target);
        return tolerantRead(client);
      });
      expect([answer.length, answer[0]]).toEqual([1 + index * 15_000, index]);
    }
    expect(bench.proxy.isIdle).toBe(false);
    expect(bench.proxy.timeout).toBe(60_000);
    bench.now = 59_999;
    bench.proxy.expire();
    expect(bench.proxy.isIdle).toBe(false);
    bench.now = 60_000;
    bench.proxy.expire();
    expect(bench.proxy.isIdle).toBe(true);
    for (const client of clients) client.close();
  });

  test("of ever new senders cost no more than so many sockets", async () => {
    using target = new FakeUpstream();
    using bench = new TestProxy("udp", portOf(target));
    const before = openDescriptors();
    for (let count = 0; count < 600; count++) {
      using client = bench.client("datagram");
      sendSome(client, Uint8Array.of(7));
      bench.serveOnce(1);
      target.query();
    }
    expect(openDescriptors() - before).toBeLessThanOrEqual(256);
    using last = bench.client("datagram");
    sendSome(last, Uint8Array.of(9));
    const answer = await bench.until("an answer", () => {
      echo(target);
      return tolerantRead(last);
    });
    expect([...answer]).toEqual([9]);
  });

  test("of ever new senders to one port do not end conversations with another one", async () => {
    using target = new FakeUpstream();
    using bench = new TestProxy("udp", portOf(target), { count: 2 });
    const [one, other] = bench.ports;
    using early = bench.client("datagram", other);
    sendSome(early, Uint8Array.of(5));
    const first = await bench.until("it is passed on", () => target.query());
    for (let count = 0; count < 300; count++) {
      using client = bench.client("datagram", one);
      sendSome(client, Uint8Array.of(7));
      bench.serveOnce(1);
      target.query();
    }
    target.reply(first.message, first);
    expect([...(await bench.until("an answer", () => tolerantRead(early)))]).toEqual([5]);
  });

  test("to a port where nobody is are lost, and their sender is forgotten", async () => {
    using bench = new TestProxy("udp", await deadPort());
    using client = bench.client("datagram");
    sendSome(client, Uint8Array.of(7));
    await bench.until("it was passed on", () => !bench.proxy.isIdle);
    await bench.until("it is forgotten", () => bench.proxy.isIdle);
  });

  test("to an address that the kernel refuses are lost, and leave no socket behind", () => {
    using refused = new TestProxy("udp", 80, { address: "255.255.255.255" });
    using client = refused.client("datagram");
    const before = readdirSync("/proc/self/fd").length;
    for (let count = 0; count < 20; count++) {
      sendSome(client, Uint8Array.of(count));
      const [one] = refused.proxy.waiting();
      const [ready = 0] = pollAll(one === undefined ? [] : [one], patience(1_000));
      expect(ready).not.toBe(0);
      refused.serveOnce();
    }
    expect(refused.proxy.isIdle).toBe(true);
    expect(readdirSync("/proc/self/fd")).toHaveLength(before);
  });
});

function tolerant(send: () => number): number {
  try {
    return send();
  } catch (error) {
    if ((error as { errnoName?: string }).errnoName === "EINPROGRESS" || isNotYet(error)) return 0;
    throw error;
  }
}

function isNotYet(error: unknown): boolean {
  return ["ENOTCONN", "EAGAIN"].includes((error as { errnoName?: string }).errnoName ?? "");
}

function tolerantRead(socket: OwnedFd): Uint8Array | undefined {
  try {
    return receiveSome(socket, buffer);
  } catch (error) {
    if (isNotYet(error)) return undefined;
    throw error;
  }
}

/** How a connection has ended; undefined when it has not. */
function endOf(socket: OwnedFd): string | undefined {
  try {
    return tolerantRead(socket)?.length === 0 ? "end" : undefined;
  } catch (error) {
    return (error as { errnoName?: string }).errnoName;
  }
}
