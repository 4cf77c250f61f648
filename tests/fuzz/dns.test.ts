import { describe, expect, test } from "bun:test";
import { datagramLimit, encodeAnswer, refusal } from "../../src/network/dns/answer.ts";
import { decodeQuery, judgeResponse, recordType } from "../../src/network/dns/message.ts";
import { FakeUpstream, framed, headerOf, makeAnswer, makeQuery, TestNameServer } from "../helpers/dns.ts";
import { randomNumbers } from "../helpers/random-numbers.ts";

/**
 * Queries and answers with random damage, and bytes that are neither: nothing throws, everything ends, and what is
 * answered is an answer. GOCKER_FUZZ_SEED repeats a run, GOCKER_FUZZ_ROUNDS makes it longer.
 */
const seed = Number(process.env["GOCKER_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env["GOCKER_FUZZ_ROUNDS"] ?? 6);
const fixedSeed = 20240229;

type Random = (limit: number) => number;

const queries = [
  makeQuery("web"),
  makeQuery("web", 28, { datagram: 1232 }),
  makeQuery("2.0.77.10.in-addr.arpa", 12),
  makeQuery(`${"1.".repeat(32)}ip6.arpa`, 12, { datagram: 512 }),
  makeQuery(`${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`, 255),
  makeQuery("www.example.com", 65, { datagram: 65_535 }),
];

/** Bytes that mean much: lengths, pointers, flags, types. */
const telling = [0x00, 0x01, 0x0c, 0x29, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];

function damage(message: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(message);
  for (let count = random(5); count > 0; count--) {
    const at = random(bytes.length + 1);
    const piece = Buffer.from(Array.from({ length: random(30) }, () => random(256)));
    switch (random(5)) {
      case 0:
        if (at < bytes.length) bytes[at] = random(256);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = telling[random(telling.length)] as number;
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([bytes, bytes.subarray(at)]);
    }
  }
  return bytes;
}

function someMessage(random: Random): Buffer {
  if (random(8) === 0) return Buffer.from(Array.from({ length: random(600) }, () => random(256)));
  return damage(queries[random(queries.length)] as Buffer, random);
}

function someRecords(random: Random) {
  return Array.from({ length: random(60) }, () => ({ type: recordType.A, data: new Uint8Array(random(20)) }));
}

const lookup = {
  addresses: (name: string) => (name.startsWith("web") ? ["10.77.0.2", "fd00::2"] : undefined),
  nameOf: (address: string) => (address.startsWith("10.") ? "web" : undefined),
};

describe.each([fixedSeed, seed])("with seed %d", (start) => {
  test("what is read as a query has an answer to it, which fits", () => {
    const random = randomNumbers(start);
    let [taken, refused] = [0, 0];
    for (let round = 0; round < rounds * 2_000; round++) {
      const message = someMessage(random);
      const query = decodeQuery(message);
      if (query === undefined) continue;
      if ("code" in query) {
        refused++;
        const { id, code } = headerOf(Buffer.from(refusal(query, query.code)));
        expect([id, code]).toEqual([message.readUInt16BE(0), query.code]);
        continue;
      }
      taken++;
      const limit = datagramLimit(query);
      const answer = encodeAnswer(query, { code: 0, records: someRecords(random), lifetime: 5 }, limit);
      expect(answer.length).toBeLessThanOrEqual(limit);
      expect(judgeResponse(answer, message, query.questionEnd)).toBe("answer");
      judgeResponse(damage(Buffer.from(answer), random), message, query.questionEnd);
    }
    expect(Math.min(taken, refused)).toBeGreaterThan(rounds * 50);
  });

  test("the server goes on, whatever clients and other servers send", () => {
    const random = randomNumbers(start);
    using upstream = new FakeUpstream();
    using bench = new TestNameServer({ lookup, upstream: [upstream.address] });
    const { ask, send, answer } = bench.client();
    let answers = 0;
    for (let round = 0; round < rounds * 10; round++) {
      const connection = bench.connect();
      bench.serveOnce();
      const message = framed(someMessage(random));
      connection.write(random(4) === 0 ? damage(message, random) : message);
      for (let count = random(10); count > 0; count--) send(someMessage(random));
      bench.settle();
      for (let sent = upstream.query(); sent !== undefined; sent = upstream.query()) {
        upstream.reply(damage(makeAnswer(sent.message, { addresses: ["192.0.2.7"] }), random), sent);
      }
      bench.settle();
      while (answer() !== undefined) answers++;
      if (random(2) === 0) connection[Symbol.dispose]();
      bench.elapse(random(1_000));
    }
    expect(answers).toBeGreaterThan(rounds);
    bench.elapse(5_000);
    bench.settle();
    bench.elapse(5_000);
    while (answer() !== undefined) answers++;
    expect(headerOf(ask(makeQuery("web", 1, { id: 7 })))).toMatchObject({ id: 7, answers: 1 });
    expect(bench.errors).toEqual([]);
    expect(bench.server.isIdle).toBe(true);
  });
});
