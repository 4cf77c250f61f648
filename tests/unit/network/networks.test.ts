import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { type NewNetwork, NetworkStore, parseNetworkName } from "../../../src/network/networks.ts";
import { ConflictError, InvalidDocumentError, NotFoundError, UsageError } from "../../../src/util/errors.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const wish = (name: string): NewNetwork => ({
  name,
  driver: "bridge",
  device: `br-${name}`,
  subnets: [{ subnet: "10.9.0.0/24", gateway: "10.9.0.1" }],
  internal: false,
  labels: {},
  options: {},
});

function openStore() {
  const directory = new TemporaryDirectory("networks");
  const store = new NetworkStore(`${directory.path}/root`, `${directory.path}/state`);
  return { store, path: directory.path, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("names of networks", () => {
  test.each(["a", "blue", "Blue_2.x-y", "0", "a".repeat(255)])("may be %s", (name) => {
    expect(parseNetworkName(name)).toBe(name);
  });

  test.each(["", ".hidden", "-x", "_x", "a/b", "../x", "a b", "a\n", "ä", "a".repeat(256), "a:b"])(
    "may not be %j",
    (name) => {
      expect(() => parseNetworkName(name)).toThrow(UsageError);
    },
  );

  test.each(["bridge", "host", "none", "default", "container", "ns"])(
    "may not be %s, which stands for something else",
    (name) => {
      expect(() => parseNetworkName(name)).toThrow(`a network cannot be called ${name}`);
    },
  );
});

describe("networks on record", () => {
  test("are found by name, ID, and as much of that as is one network's", async () => {
    using bench = openStore();
    expect(bench.store.list()).toEqual([]);
    using _lock = await bench.store.lockRecords();
    const blue = bench.store.add(wish("blue"));
    const red = bench.store.add(wish("red"));
    expect(blue.id).toMatch(/^[0-9a-f]{64}$/);
    expect(blue).toEqual({ ...wish("blue"), version: 1, id: blue.id, created: blue.created });
    expect(bench.store.list()).toEqual([blue, red]);
    for (const reference of ["blue", blue.id, blue.id.slice(0, 12)]) {
      expect(bench.store.resolve(reference)).toEqual(blue);
    }
    expect(() => bench.store.add(wish("blue"))).toThrow(ConflictError);
    // A name comes before the beginning of an ID.
    const named = bench.store.add(wish(red.id.slice(0, 2)));
    expect(bench.store.resolve(red.id.slice(0, 2))).toEqual(named);
  });

  test("are not found by what is no name, no ID, or several networks' ID", async () => {
    using bench = openStore();
    using _lock = await bench.store.lockRecords();
    const made = Array.from({ length: 17 }, (_, index) => bench.store.add(wish(`n${index}`)));
    for (const reference of ["", "nothing", "../n1", "n1/", "g".repeat(64), `${made[0]?.id}0`, ".lock", "N1"]) {
      expect(() => bench.store.resolve(reference)).toThrow(NotFoundError);
    }
    // Of 17 IDs two begin with the same digit.
    const digits = made.map(({ id }) => id.slice(0, 1));
    const shared = digits.find((digit, index) => digits.indexOf(digit) < index) ?? "";
    expect(() => bench.store.resolve(shared)).toThrow(`several networks have IDs that begin with ${shared}`);
  });

  test("go with the addresses that are in use of them", async () => {
    using bench = openStore();
    using _lock = await bench.store.lockRecords();
    const blue = bench.store.add(wish("blue"));
    bench.store.leases(blue.id).takeThis({ family: 4, value: 7n }, "a");
    bench.store.remove(blue);
    bench.store.remove(blue);
    expect(bench.store.list()).toEqual([]);
    expect(readdirSync(`${bench.path}/state/networks/leases`)).toEqual([]);
    expect(bench.store.read("blue")).toBeUndefined();
  });

  test("that this version does not understand are an error, and no other network", async () => {
    using bench = openStore();
    using _lock = await bench.store.lockRecords();
    for (const text of ["{", "[]", "null", '{"version":2}', JSON.stringify({ ...wish("blue"), version: 1, id: 5 })]) {
      bench.store.write({ version: 1, id: "1", created: "", ...wish("blue") });
      writeFileSync(`${bench.path}/root/networks/blue.json`, text);
      expect(() => bench.store.read("blue")).toThrow(InvalidDocumentError);
      expect(() => bench.store.list()).toThrow(InvalidDocumentError);
    }
  });
});

test("the host is at rest when nobody holds its lock, and somebody has", async () => {
  using bench = openStore();
  expect(bench.store.isHostAtRest()).toBe(false);
  {
    using _lock = await bench.store.lockHost();
    expect(bench.store.isHostAtRest()).toBe(false);
  }
  expect(bench.store.isHostAtRest()).toBe(true);
});

test("one alone sweeps", () => {
  using bench = openStore();
  {
    using first = bench.store.trySweeping();
    expect([first === undefined, bench.store.trySweeping()]).toEqual([false, undefined]);
  }
  using second = bench.store.trySweeping();
  expect(second).toBeDefined();
});

test("that forwarding was switched on is noted for each family, until it is not any more", async () => {
  using bench = openStore();
  expect(bench.store.switchedForwarding()).toEqual([]);
  using _lock = await bench.store.lockHost();
  bench.store.markForwarding(6);
  expect(bench.store.switchedForwarding()).toEqual([6]);
  bench.store.markForwarding(4);
  expect(bench.store.switchedForwarding()).toEqual([4, 6]);
  bench.store.unmarkForwarding(6);
  bench.store.unmarkForwarding(6);
  expect(bench.store.switchedForwarding()).toEqual([4]);
});
