import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import {
  addressesIn,
  FakeUpstream,
  framed,
  headerOf,
  makeAnswer,
  makeQuery,
  queryTypes,
  TestNameServer,
} from "../../../helpers/dns.ts";

const many = Array.from({ length: 50 }, (_, index) => `10.77.1.${index}`);
const names: Record<string, string[]> = { web: ["10.77.0.2", "fd00::2"], old: ["10.77.0.3"], many };
const lookup = {
  addresses: (name: string) => names[name],
  nameOf: (address: string) => (address === "10.77.0.2" ? "web" : undefined),
};

const openDescriptors = () => readdirSync("/proc/self/fd").length;

describe("own names", () => {
  test("are answered at once, in any case of letters", () => {
    using bench = new TestNameServer({ lookup });
    const { ask } = bench.client();
    for (const name of ["web", "WEB", "Web"]) {
      const query = makeQuery(name);
      const answer = ask(query);
      expect(headerOf(answer)).toEqual({ id: 0x1234, code: 0, isTruncated: false, answers: 1 });
      expect(addressesIn(query, answer)).toEqual(["10.77.0.2"]);
      // The question comes back as it was.
      expect(answer.subarray(12, query.length)).toEqual(query.subarray(12));
    }
    expect(bench.server.isIdle).toBe(true);
    expect(bench.server.timeout).toBeUndefined();
  });

  test.each([
    ["web", queryTypes.AAAA, 1],
    ["old", queryTypes.AAAA, 0],
    ["web", queryTypes.MX, 0],
    ["web", queryTypes.TXT, 0],
    ["2.0.77.10.in-addr.arpa", queryTypes.PTR, 1],
  ])("%s, type %d: %d answers, and no error", (name, type, answers) => {
    using upstream = new FakeUpstream();
    using bench = new TestNameServer({ lookup, upstream: [upstream.address] });
    expect(headerOf(bench.client().ask(makeQuery(name, type)))).toMatchObject({ code: 0, answers });
    expect(upstream.query()).toBeUndefined();
  });

  test("that have more addresses than fit are cut off over UDP, and whole over TCP", () => {
    using bench = new TestNameServer({ lookup });
    const { ask } = bench.client();
    const short = ask(makeQuery("many"));
    expect(short.length).toBeLessThanOrEqual(512);
    expect(headerOf(short)).toMatchObject({ isTruncated: true, answers: 30 });
    expect(headerOf(ask(makeQuery("many", 1, { datagram: 4096 })))).toMatchObject({ isTruncated: false, answers: 50 });
    const query = makeQuery("many");
    const connection = bench.connect();
    bench.until("to be connected", () => connection.write(framed(query)) > 0);
    const whole = bench.until("an answer", () => connection.message());
    expect(headerOf(whole)).toMatchObject({ isTruncated: false, answers: 50 });
    expect(addressesIn(query, whole).sort()).toEqual([...many].sort());
  });

  test("that cannot be looked up are a failure of the server's, which is told of", () => {
    const broken = {
      addresses: () => {
        throw new Error("the disk is gone");
      },
      nameOf: () => undefined,
    };
    using bench = new TestNameServer({ lookup: broken });
    const answer = bench.client().ask(makeQuery("web"));
    expect(headerOf(answer)).toMatchObject({ id: 0x1234, code: 2 });
    expect(bench.errors).toEqual([new Error("the disk is gone")]);
  });
});

test("without other servers, other names cannot be resolved", () => {
  using bench = new TestNameServer({ lookup });
  const { ask } = bench.client();
  for (const name of ["example.com", "nobody", "9.0.77.10.in-addr.arpa"]) {
    expect(headerOf(ask(makeQuery(name)))).toEqual({ id: 0x1234, code: 2, isTruncated: false, answers: 0 });
  }
});

describe("what is no proper query", () => {
  test.each([
    ["FORMERR", 1, "1234 0100 0000 0000 0000 0000"],
    ["NOTIMP", 4, "1234 2800 0001 0000 0000 0000 03776562 00 0001 0001"],
    ["REFUSED", 5, "1234 0100 0001 0000 0000 0000 03776562 00 0001 0003"],
  ])("gets %s", (_, code, message) => {
    using bench = new TestNameServer({ lookup });
    const answer = bench.client().ask(Buffer.from(message.replaceAll(" ", ""), "hex"));
    expect(headerOf(answer)).toMatchObject({ id: 0x1234, code, answers: 0 });
  });

  test("gets FORMERR when it is longer than any", () => {
    using bench = new TestNameServer({ lookup });
    const long = Buffer.concat([makeQuery("web"), Buffer.alloc(5000)]);
    expect(headerOf(bench.client().ask(long))).toMatchObject({ code: 1 });
  });

  test("gets nothing when it has no header, or is an answer", () => {
    using bench = new TestNameServer({ lookup });
    const { ask, answer, send } = bench.client();
    send(new Uint8Array(11));
    send(makeAnswer(makeQuery("web", 1, { id: 1 })));
    // What comes first is the answer to what was sent last.
    expect(headerOf(ask(makeQuery("web", 1, { id: 2 })))).toMatchObject({ id: 2 });
    expect(answer()).toBeUndefined();
  });
});

describe("bounds", () => {
  test("of queries: the oldest is given up", () => {
    using upstream = new FakeUpstream();
    using bench = new TestNameServer({ lookup, upstream: [upstream.address] });
    const before = openDescriptors();
    const { send, answer } = bench.client();
    for (let id = 0; id < 300; id++) {
      send(makeQuery("example.com", 1, { id }));
      bench.serveOnce();
    }
    expect(openDescriptors() - before).toBeLessThanOrEqual(260);
    const given = Array.from({ length: 44 }, () => bench.until("an answer", answer)).map(headerOf);
    expect(given).toEqual(given.map((_, id) => ({ id, code: 2, isTruncated: false, answers: 0 })));
    bench.elapse(4_500);
    expect(openDescriptors() - before).toBeLessThanOrEqual(1);
    expect(bench.server.isIdle).toBe(true);
  });

  test("of connections: who has been silent for longest is left", () => {
    using bench = new TestNameServer({ lookup });
    const query = makeQuery("web");
    const connections = Array.from({ length: 64 }, () => {
      const connection = bench.connect();
      bench.settle();
      return connection;
    });
    connections[0]?.write(framed(query));
    bench.until("an answer", () => connections[0]?.message());
    for (let count = 0; count < 2; count++) {
      connections.push(bench.connect());
      bench.settle();
    }
    for (const connection of connections) connection.message();
    expect(connections.flatMap(({ hasEnded }, index) => (hasEnded ? [index] : []))).toEqual([1, 2]);
  });

  test("of connections: one that is left for another may just have asked something", () => {
    using bench = new TestNameServer({ lookup });
    const connections = Array.from({ length: 64 }, () => {
      const connection = bench.connect();
      bench.settle();
      return connection;
    });
    connections[0]?.write(framed(makeQuery("web")));
    bench.connect();
    bench.settle();
    bench.until("the end", () => connections[0]?.message() ?? connections[0]?.hasEnded);
    expect(headerOf(bench.client().ask(makeQuery("web")))).toMatchObject({ answers: 1 });
  });

  test("a socket of the server's that fails is left alone for a second, and that is told", () => {
    using bench = new TestNameServer({ lookup });
    // It does not listen any more, and says so again and again.
    bench.stopListening();
    bench.settle();
    expect(bench.errors.map(String)).toEqual([expect.stringContaining("accept4: invalid argument (EINVAL)")]);
    expect(bench.server.isIdle).toBe(false);
    expect(bench.server.timeout).toBe(1_000);
    const { send, answer } = bench.client();
    send(makeQuery("web"));
    bench.settle();
    expect(answer()).toBeUndefined();
    bench.elapse(1_000);
    bench.serveOnce();
    expect(headerOf(bench.until("an answer", answer))).toMatchObject({ answers: 1 });
    expect(bench.errors).toHaveLength(2);
  });

  test("nothing is left open", () => {
    const before = openDescriptors();
    using upstream = new FakeUpstream();
    {
      using bench = new TestNameServer({ lookup, upstream: [upstream.address] });
      bench.client().send(makeQuery("example.com"));
      const connection = bench.connect();
      const query = makeQuery("example.org");
      bench.until("to be connected", () => connection.write(framed(query)) > 0);
      bench.queryAt(upstream);
      bench.connectionAt(upstream)[Symbol.dispose]();
    }
    expect(openDescriptors()).toBe(before + 2);
  });
});
