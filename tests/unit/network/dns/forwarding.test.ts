import { describe, expect, test } from "bun:test";
import { parseSocketAddress } from "../../../../src/linux/internet-socket.ts";
import { acceptConnection } from "../../../../src/linux/socket.ts";
import {
  addressesIn,
  deadAddress,
  FakeUpstream,
  framed,
  headerOf,
  makeAnswer,
  makeQuery,
  sendFromElsewhere,
  type SentQuery,
  TestNameServer,
} from "../../../helpers/dns.ts";

const query = makeQuery("Example.com", 1, { datagram: 1232 });

/** A name server with so many servers behind it. */
function setUp(count: number, ...others: string[]) {
  const upstreams = Array.from({ length: count }, () => new FakeUpstream());
  const bench = new TestNameServer({ upstream: [...others, ...upstreams.map(({ address }) => address)] });
  return {
    bench,
    upstreams: upstreams as [FakeUpstream, FakeUpstream, FakeUpstream],
    [Symbol.dispose]() {
      bench[Symbol.dispose]();
      for (const upstream of upstreams) upstream[Symbol.dispose]();
    },
  };
}

const idOf = ({ message }: SentQuery) => message.readUInt16BE(0);

describe("over UDP", () => {
  test("a query goes on as it came, but for its number, and its answer comes back", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    const seen = Array.from({ length: 20 }, () => {
      send(query);
      const sent = bench.queryAt(upstreams[0]);
      expect(sent.message.subarray(2)).toEqual(query.subarray(2));
      upstreams[0].reply(makeAnswer(sent.message, { addresses: ["192.0.2.7"] }), sent);
      const received = bench.until("an answer", answer);
      expect(received).toEqual(makeAnswer(query, { addresses: ["192.0.2.7"] }));
      return sent;
    });
    expect(bench.server.isIdle).toBe(true);
    // Numbers and ports are others each time; the kernel may choose one twice.
    expect(new Set(seen.map(idOf)).size).toBeGreaterThan(15);
    expect(new Set(seen.map(({ source }) => Buffer.from(source).toString("hex"))).size).toBeGreaterThan(15);
  });

  test("only the answer to the question, with its number and from the server, is one", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    send(query);
    const sent = bench.queryAt(upstreams[0]);
    const lie = { addresses: ["192.0.2.66"] };
    const renumbered = Buffer.from(sent.message);
    renumbered.writeUInt16BE(idOf(sent) ^ 1, 0);
    upstreams[0].reply(makeAnswer(renumbered, lie), sent);
    upstreams[0].reply(makeAnswer(makeQuery("example.org", 1, { id: idOf(sent) }), lie), sent);
    upstreams[0].reply(makeAnswer(makeQuery("example.com", 28, { id: idOf(sent) }), lie), sent);
    upstreams[0].reply(sent.message, sent);
    upstreams[0].reply(new Uint8Array(5), sent);
    sendFromElsewhere(makeAnswer(sent.message, lie), sent.source);
    bench.settle();
    expect(answer()).toBeUndefined();
    upstreams[0].reply(makeAnswer(sent.message, { addresses: ["192.0.2.7"] }), sent);
    expect(addressesIn(query, bench.until("an answer", answer))).toEqual(["192.0.2.7"]);
  });

  test("who does not answer is asked again twice, and then there is no answer", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    send(query);
    const first = bench.queryAt(upstreams[0]);
    expect(bench.server.timeout).toBe(1_500);
    expect(bench.server.isIdle).toBe(false);
    bench.elapse(1_499);
    bench.settle();
    expect(upstreams[0].query()).toBeUndefined();
    bench.elapse(1);
    expect(bench.queryAt(upstreams[0])).toEqual(first);
    bench.elapse(1_500);
    expect(bench.queryAt(upstreams[0])).toEqual(first);
    bench.elapse(1_499);
    expect(answer()).toBeUndefined();
    bench.elapse(1);
    expect(headerOf(bench.until("an answer", answer))).toEqual({ id: 0x1234, code: 2, isTruncated: false, answers: 0 });
    expect(bench.server.isIdle).toBe(true);
    upstreams[0].reply(makeAnswer(first.message), first);
    bench.settle();
    expect(answer()).toBeUndefined();
  });

  test("the next one is asked meanwhile, and whoever is first is taken", () => {
    using scene = setUp(2);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    for (const winner of [0, 1] as const) {
      send(query);
      const sent = [bench.queryAt(upstreams[0])];
      expect(upstreams[1].query()).toBeUndefined();
      bench.elapse(1_500);
      sent.push(bench.queryAt(upstreams[1]));
      expect(idOf(sent[0] as SentQuery)).not.toBe(idOf(sent[1] as SentQuery));
      const chosen = sent[winner] as SentQuery;
      upstreams[winner].reply(makeAnswer(chosen.message, { addresses: [`192.0.2.${winner}`] }), chosen);
      expect(addressesIn(query, bench.until("an answer", answer))).toEqual([`192.0.2.${winner}`]);
    }
    expect(bench.server.isIdle).toBe(true);
  });

  test.each([
    ["SERVFAIL", 2],
    ["REFUSED", 5],
  ])("after %s the next one is asked at once, and the last one's words are passed on", (_, code) => {
    using scene = setUp(2);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    send(query);
    const first = bench.queryAt(upstreams[0]);
    upstreams[0].reply(makeAnswer(first.message, { code }), first);
    const second = bench.queryAt(upstreams[1]);
    expect(answer()).toBeUndefined();
    upstreams[1].reply(makeAnswer(second.message, { code, padding: 9 }), second);
    expect(bench.until("an answer", answer)).toEqual(makeAnswer(query, { code, padding: 9 }));
  });

  test("a name that does not exist is an answer", () => {
    using scene = setUp(2);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    send(query);
    const sent = bench.queryAt(upstreams[0]);
    upstreams[0].reply(makeAnswer(sent.message, { code: 3 }), sent);
    expect(headerOf(bench.until("an answer", answer))).toMatchObject({ code: 3 });
    expect(upstreams[1].query()).toBeUndefined();
  });

  test("an error that leaves the question out is passed on with it", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    send(query);
    const sent = bench.queryAt(upstreams[0]);
    const [high = 0, low = 0] = sent.message;
    upstreams[0].reply(Buffer.from([high, low, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]), sent);
    const received = bench.until("an answer", answer);
    expect(headerOf(received)).toMatchObject({ id: 0x1234, code: 1 });
    expect(received.subarray(12, 29)).toEqual(query.subarray(12, 29));
  });

  test("where nobody is, or no way leads, is not waited for", () => {
    // The kernel refuses to send anything to all at once.
    using scene = setUp(1, deadAddress(), "255.255.255.255");
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    send(query);
    const sent = bench.queryAt(upstreams[0]);
    upstreams[0].reply(makeAnswer(sent.message), sent);
    expect(headerOf(bench.until("an answer", answer))).toMatchObject({ code: 0 });
    using alone = new TestNameServer({ upstream: [deadAddress()] });
    expect(headerOf(alone.client().ask(query))).toMatchObject({ id: 0x1234, code: 2 });
  });

  test("where it cannot be read who they are, there are none", () => {
    const reason = new Error("too many open files");
    using bench = new TestNameServer({
      upstream: () => {
        throw reason;
      },
    });
    expect(headerOf(bench.client().ask(query))).toMatchObject({ id: 0x1234, code: 2 });
    expect(bench.errors).toEqual([reason]);
  });

  test("three servers are asked, and what is no address is none", () => {
    using scene = setUp(4, "dns.example", "");
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    send(query);
    for (const upstream of upstreams.slice(0, 3)) {
      const sent = bench.queryAt(upstream);
      upstream.reply(makeAnswer(sent.message, { code: 5 }), sent);
    }
    expect(headerOf(bench.until("an answer", answer))).toMatchObject({ code: 5 });
  });

  test("an answer that is larger than the client takes, or that is cut off, is to be asked for over TCP", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const { send, answer } = bench.client();
    const large = (message: Buffer) => makeAnswer(message, { padding: 600 });
    const cases = [
      [makeQuery("example.com"), large, { isTruncated: true, answers: 0 }],
      [makeQuery("example.com", 1, { datagram: 1232 }), large, { isTruncated: false, answers: 1 }],
      [makeQuery("example.com", 1, { datagram: 100 }), large, { isTruncated: true, answers: 0 }],
      [query, (message: Buffer) => makeAnswer(message, { flags: 0x200 }), { isTruncated: true, answers: 0 }],
    ] as const;
    for (const [asked, reply, expected] of cases) {
      send(asked);
      const sent = bench.queryAt(upstreams[0]);
      upstreams[0].reply(reply(sent.message), sent);
      const received = bench.until("an answer", answer);
      expect(headerOf(received)).toMatchObject({ id: 0x1234, code: 0, ...expected });
      if (expected.isTruncated) expect(received.length).toBeLessThanOrEqual(512);
    }
  });

  test("servers may be of IPv6", () => {
    using upstream = new FakeUpstream(parseSocketAddress("::1", 0));
    using bench = new TestNameServer({ upstream: [upstream.address] });
    const { send, answer } = bench.client();
    send(query);
    const sent = bench.queryAt(upstream);
    upstream.reply(makeAnswer(sent.message), sent);
    expect(headerOf(bench.until("an answer", answer))).toMatchObject({ code: 0 });
  });
});

describe("over TCP", () => {
  /** Sends bytes over a connection of a client's, once it is there. */
  function connectAndSend(bench: TestNameServer, bytes: Uint8Array) {
    const connection = bench.connect();
    bench.until("to be connected", () => connection.write(bytes) > 0);
    return connection;
  }

  test("queries come one after the other, in pieces or together, and so do the answers", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const queries = [1, 2, 3, 4].map((id) => makeQuery(`name-${id}.example`, 1, { id }));
    const all = Buffer.concat(queries.map(framed));
    const connection = connectAndSend(bench, all.subarray(0, 1));
    for (const [start, end] of [
      [1, 2],
      [2, 3],
      [3, 40],
      [40, all.length],
    ] as const) {
      bench.settle();
      connection.write(all.subarray(start, end));
    }
    for (const asked of queries) {
      using server = bench.connectionAt(upstreams[0]);
      const sent = bench.until("a query at the host's server", () => server.message());
      expect(sent.subarray(2)).toEqual(asked.subarray(2));
      const answer = framed(makeAnswer(sent, { padding: 2_000 }));
      for (const [start, end] of [
        [0, 1],
        [1, 2],
        [2, 700],
        [700, answer.length],
      ] as const) {
        server.write(answer.subarray(start, end));
        bench.settle();
      }
      const received = bench.until("an answer", () => connection.message());
      expect(received).toEqual(makeAnswer(asked, { padding: 2_000 }));
    }
    expect(bench.server.isIdle).toBe(false);
  });

  test("the largest answers go to a client that reads slowly, while others are served", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const connection = bench.connect(4096);
    const both = Buffer.concat([framed(query), framed(query)]);
    bench.until("to be connected", () => connection.write(both) > 0);
    const other = bench.client();
    for (let count = 0; count < 2; count++) {
      using server = bench.connectionAt(upstreams[0]);
      const sent = bench.until("a query at the host's server", () => server.message());
      const answer = makeAnswer(sent, { padding: 65_535 - makeAnswer(sent, { padding: 1 }).length + 1 });
      expect(answer).toHaveLength(65_535);
      let rest: Buffer = framed(answer);
      bench.until("all to be taken", () => {
        rest = rest.subarray(server.write(rest));
        return rest.length === 0;
      });
      bench.settle();
      // The second query waits until the first answer has been taken.
      expect(acceptConnection(upstreams[0].tcp)).toBeUndefined();
      expect(connection.message(1_000)).toBeUndefined();
      other.send(query);
      const asked = bench.queryAt(upstreams[0]);
      upstreams[0].reply(makeAnswer(asked.message), asked);
      expect(headerOf(bench.until("another answer", () => other.answer()))).toMatchObject({ code: 0 });
      const received = bench.until("an answer", () => connection.message(10_000));
      expect(received.subarray(2).equals(answer.subarray(2))).toBe(true);
    }
  });

  test("answers of gocker's own keep their place among others", () => {
    using upstream = new FakeUpstream();
    const lookup = {
      addresses: (name: string) => (name === "web" ? ["10.77.0.2"] : undefined),
      nameOf: () => undefined,
    };
    using bench = new TestNameServer({ lookup, upstream: [upstream.address] });
    const names = ["web", "web", "example.com", "web", "example.com", "web"];
    const queries = names.map((name, id) => makeQuery(name, 1, { id }));
    const connection = connectAndSend(bench, Buffer.concat(queries.map(framed)));
    for (const [id, name] of names.entries()) {
      using server = name === "web" ? undefined : bench.connectionAt(upstream);
      if (server !== undefined) {
        bench.settle();
        expect(connection.message()).toBeUndefined();
        server.write(framed(makeAnswer(bench.until("a query", () => server.message()))));
      }
      expect(headerOf(bench.until("an answer", () => connection.message())).id).toBe(id);
    }
  });

  test.each([
    ["hangs up", () => Buffer.alloc(0)],
    ["answers something else", () => framed(makeAnswer(makeQuery("example.org")))],
    ["has an empty answer", () => framed(Buffer.alloc(0))],
    ["says that it fails", (sent: Buffer) => framed(makeAnswer(sent, { code: 2 }))],
  ])("after one that %s the next one is asked", (_, reply) => {
    using scene = setUp(2, deadAddress());
    const { bench, upstreams } = scene;
    const connection = connectAndSend(bench, framed(query));
    using server = bench.connectionAt(upstreams[0]);
    const bytes = reply(bench.until("a query at the host's server", () => server.message()));
    if (bytes.length > 0) server.write(bytes);
    else server.endWriting();
    using next = bench.connectionAt(upstreams[1]);
    next.write(framed(makeAnswer(bench.until("a query", () => next.message()))));
    expect(bench.until("an answer", () => connection.message())).toEqual(makeAnswer(query));
  });

  test("who does not answer is given up in time", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const connection = connectAndSend(bench, framed(query));
    using _server = bench.connectionAt(upstreams[0]);
    bench.elapse(1_500);
    bench.elapse(1_500);
    expect(connection.message()).toBeUndefined();
    bench.elapse(1_500);
    expect(headerOf(bench.until("an answer", () => connection.message()))).toMatchObject({ id: 0x1234, code: 2 });
  });

  test("a client that is silent is left after five seconds, one that waits for an answer is not", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const silent = connectAndSend(bench, framed(query).subarray(0, 5));
    bench.settle();
    expect(bench.server.timeout).toBe(5_000);
    bench.elapse(3_000);
    const asking = connectAndSend(bench, framed(query));
    using _server = bench.connectionAt(upstreams[0]);
    bench.elapse(2_000);
    bench.until("the end", () => silent.message() ?? silent.hasEnded);
    expect(asking.message()).toBeUndefined();
    bench.elapse(2_500);
    bench.until("an answer", () => asking.message());
    bench.elapse(4_999);
    expect(asking.message()).toBeUndefined();
    expect(asking.hasEnded).toBe(false);
    bench.elapse(1);
    bench.until("the end", () => asking.message() ?? asking.hasEnded);
    expect(bench.server.isIdle).toBe(true);
    expect(bench.server.timeout).toBeUndefined();
  });

  test("a client that has said all it wants still gets its answers", () => {
    using bench = new TestNameServer({ lookup: { addresses: () => ["10.77.0.2"], nameOf: () => undefined } });
    const connection = connectAndSend(bench, Buffer.concat([framed(query), framed(query)]));
    connection.endWriting();
    for (let count = 0; count < 2; count++) {
      expect(headerOf(bench.until("an answer", () => connection.message()))).toMatchObject({ answers: 1 });
    }
    bench.until("the end", () => connection.message() ?? connection.hasEnded);
    expect(bench.server.isIdle).toBe(true);
  });

  test("what a client that has gone wanted is forgotten", () => {
    using scene = setUp(1);
    const { bench, upstreams } = scene;
    const connection = connectAndSend(bench, framed(query));
    using server = bench.connectionAt(upstreams[0]);
    connection.breakOff();
    bench.until("nothing to be left", () => bench.server.isIdle);
    bench.until("the end", () => {
      server.message();
      return server.hasEnded;
    });
  });

  test("messages that are no queries: some get nothing, and others end the connection", () => {
    using bench = new TestNameServer();
    const connection = connectAndSend(bench, Buffer.concat([framed(makeAnswer(query)), framed(query)]));
    expect(headerOf(bench.until("an answer", () => connection.message()))).toMatchObject({ code: 2 });
    connection.write(Buffer.from([0x10, 0x01]));
    bench.until("the end", () => connection.message() ?? connection.hasEnded);
    expect(bench.server.isIdle).toBe(true);
  });
});
