import { expect, test } from "bun:test";
import type { Query } from "../../../../src/network/dns/message.ts";
import { type NameLookup, ownAnswer } from "../../../../src/network/dns/own-names.ts";

const names: Record<string, string[]> = {
  web: ["10.77.0.2", "fd00::2", "10.77.0.3", "10.77.0.4"],
  quiet: [],
};
const owners: Record<string, string> = { "10.77.0.2": "web.net", "fd00::2": "web.net", "10.77.0.9": "a".repeat(64) };
const lookup: NameLookup = { addresses: (name) => names[name], nameOf: (address) => owners[address] };

const ask = (name: string, type: number, random = () => 0) => {
  const query: Query = { bytes: new Uint8Array(), name, type, questionEnd: 0, extension: undefined };
  const answer = ownAnswer(query, lookup, random);
  return answer?.records.map((record) => `${record.type} ${Buffer.from(record.data).toString("hex")}`);
};

const [a, ptr, mx, aaaa, any] = [1, 12, 15, 28, 255];
const four = ["1 0a4d0002", "1 0a4d0003", "1 0a4d0004"] as const;
const six = "28 fd000000000000000000000000000002";

test("addresses are of the family that is asked for", () => {
  expect(ask("web", a)).toEqual([...four]);
  expect(ask("web", aaaa)).toEqual([six]);
  expect(ask("web", any)).toEqual([four[0], six, four[1], four[2]]);
});

test("a name has nothing else, and nobody else is asked for that", () => {
  expect(ask("web", mx)).toEqual([]);
  expect(ask("quiet", a)).toEqual([]);
  expect(ask("2.0.77.10.in-addr.arpa", a)).toEqual([]);
});

test("each address comes first sometimes", () => {
  expect(ask("web", a, () => 0.4)).toEqual([four[1], four[2], four[0]]);
  expect(ask("web", a, () => 0.999_999)).toEqual([four[2], four[0], four[1]]);
  const first = new Set(Array.from({ length: 200 }, () => ask("web", a, Math.random)?.[0]));
  expect(first).toEqual(new Set(four));
});

test("addresses have names", () => {
  const webNet = "12 03776562036e657400";
  expect(ask("2.0.77.10.in-addr.arpa", ptr)).toEqual([webNet]);
  expect(ask(`2.${"0.".repeat(27)}0.0.d.f.ip6.arpa`, ptr)).toEqual([webNet]);
  // Its name is none for DNS, but the address is nobody else's.
  expect(ask("9.0.77.10.in-addr.arpa", ptr)).toEqual([]);
});

test("what is not gocker's is not answered", () => {
  expect(ask("example.com", a)).toBeUndefined();
  expect(ask("3.0.77.10.in-addr.arpa", ptr)).toBeUndefined();
  expect(ask("web", ptr)).toEqual([]);
});
