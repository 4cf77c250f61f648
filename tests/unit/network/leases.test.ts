import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { type AddressRange, AddressLeases, isAssignable } from "../../../src/network/leases.ts";
import { ConflictError } from "../../../src/util/errors.ts";
import {
  formatIpAddress,
  type IpAddress,
  parseIpAddress,
  parseSubnet,
  type Subnet,
} from "../../../src/util/ip-address.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const subnet = (text: string): Subnet => {
  const parsed = parseSubnet(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const address = (text: string): IpAddress => {
  const parsed = parseIpAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const range = (text: string, reserved: string[] = [], part?: string): AddressRange => ({
  subnet: subnet(text),
  reserved: reserved.map((one) => address(one).value),
  range: part === undefined ? undefined : subnet(part),
});
const [one, other] = ["1".repeat(64), "2".repeat(64)];

/** Leases in a directory that is gone afterwards. */
function openLeases() {
  const directory = new TemporaryDirectory("leases");
  const leases = new AddressLeases(`${directory.path}/of/a/network`);
  const take = (from: AddressRange, holder = one) => formatIpAddress(leases.take(from, holder));
  return { leases, take, path: directory.path, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("the addresses of a network", () => {
  test("are given from the lowest on, without the network's own, the gateway's, and that of all", () => {
    using bench = openLeases();
    const block = range("10.9.0.0/29", ["10.9.0.1"]);
    expect(bench.leases.holders()).toEqual(new Map());
    for (const last of [2, 3, 4, 5, 6]) expect(bench.take(block)).toBe(`10.9.0.${last}`);
    expect(() => bench.take(block)).toThrow(ConflictError);
    expect(() => bench.take(block)).toThrow("the network has no address left");
    bench.leases.release(one);
    expect(bench.take(block, other)).toBe("10.9.0.2");
  });

  test.each([
    ["10.9.0.0/30", ["10.9.0.1"], ["10.9.0.2"]],
    ["10.9.0.0/31", ["10.9.0.1"], ["10.9.0.0"]],
    ["10.9.0.0/31", [], ["10.9.0.0", "10.9.0.1"]],
    ["10.9.0.7/32", [], ["10.9.0.7"]],
    ["fd00::/126", ["fd00::1"], ["fd00::2", "fd00::3"]],
    ["fd00::/127", [], ["fd00::", "fd00::1"]],
  ])("of %s, of which %p are reserved, are %p", (text, reserved, all) => {
    using bench = openLeases();
    for (const expected of all) expect(bench.take(range(text, reserved))).toBe(expected);
    expect(() => bench.take(range(text, reserved))).toThrow(ConflictError);
  });

  test("come from the range that is to be given from, and never from outside of the subnet", () => {
    using bench = openLeases();
    const part = range("10.9.0.0/24", ["10.9.0.1"], "10.9.0.64/31");
    expect(bench.take(part)).toBe("10.9.0.64");
    expect(bench.take(part)).toBe("10.9.0.65");
    expect(() => bench.take(part)).toThrow(ConflictError);
    // The range may begin with the subnet, whose own address is nobody's.
    expect(bench.take(range("10.9.0.0/24", ["10.9.0.1"], "10.9.0.0/30"))).toBe("10.9.0.2");
    expect(bench.take(range("10.9.0.0/24", ["10.9.0.1"], "10.9.0.254/31"))).toBe("10.9.0.254");
    expect(() => bench.take(range("10.9.0.0/24", [], "10.9.0.254/31"))).toThrow(ConflictError);
    expect(() => bench.take(range("10.9.0.0/24", [], "10.8.0.0/24"))).toThrow(ConflictError);
  });

  test("that are asked for are had once, and by who has them already", () => {
    using bench = openLeases();
    bench.leases.takeThis(address("10.9.0.7"), one);
    bench.leases.takeThis(address("10.9.0.7"), one);
    expect(() => bench.leases.takeThis(address("10.9.0.7"), other)).toThrow(
      `the address 10.9.0.7 is in use by container ${one.slice(0, 12)}`,
    );
    expect(bench.leases.holderOf(address("10.9.0.7"))).toBe(one);
    expect(bench.leases.holderOf(address("10.9.0.8"))).toBeUndefined();
    expect(bench.take(range("10.9.0.4/30", ["10.9.0.5"]), other)).toBe("10.9.0.6");
  });

  test("are given back by who has them alone", () => {
    using bench = openLeases();
    bench.leases.takeThis(address("10.9.0.7"), one);
    bench.leases.takeThis(address("fd00::7"), one);
    bench.leases.takeThis(address("10.9.0.8"), other);
    expect(Object.fromEntries(bench.leases.holders())).toEqual({ "10.9.0.7": one, "10.9.0.8": other, "fd00::7": one });
    bench.leases.release(one);
    bench.leases.release(one);
    expect(bench.leases.holders()).toEqual(new Map([["10.9.0.8", other]]));
    bench.leases.release(other);
    expect(readdirSync(`${bench.path}/of/a/network`)).toEqual([]);
  });

  test("are never given twice, however many processes take them at once", async () => {
    using bench = openLeases();
    const takers = 6;
    const each = 40;
    const program = `
      import { AddressLeases } from ${JSON.stringify(require.resolve("../../../src/network/leases.ts"))};
      const leases = new AddressLeases(process.argv[1]);
      const subnet = { family: 4, base: 0x0a090000n, prefixLength: 24 };
      process.stdout.write("ready\\n");
      for await (const _ of process.stdin) break;
      const taken = Array.from({ length: ${each} }, () => String(leases.take({ subnet, reserved: [] }, process.argv[2]).value));
      process.stdout.write(taken.join(" "));`;
    const children = Array.from({ length: takers }, (_, index) =>
      Bun.spawn([process.execPath, "-e", program, `${bench.path}/of/a/network`, String(index).repeat(64)], {
        stdin: "pipe",
        stdout: "pipe",
      }),
    );
    const outputs = await Promise.all(
      children.map(async ({ stdin, stdout }) => {
        let text = "";
        for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
          text += part;
          if (text === "ready\n") {
            void stdin.write("go\n");
            void stdin.end();
          }
        }
        return text.replace("ready\n", "").split(" ");
      }),
    );
    expect(outputs.map(({ length }) => length)).toEqual(Array<number>(takers).fill(each));
    expect(new Set(outputs.flat()).size).toBe(takers * each);
    expect(bench.leases.holders().size).toBe(takers * each);
  });
});

test("what may be a container's address", () => {
  const may = (text: string, block: string) => isAssignable(address(text).value, subnet(block));
  expect([may("10.9.0.0", "10.9.0.0/24"), may("10.9.0.255", "10.9.0.0/24"), may("10.8.0.9", "10.9.0.0/24")]).toEqual([
    false,
    false,
    false,
  ]);
  expect([may("10.9.0.0", "10.9.0.0/31"), may("fd00::ffff:ffff:ffff:ffff", "fd00::/64")]).toEqual([true, true]);
  expect(may("fd00::", "fd00::/64")).toBe(false);
});
