import { describe, expect, test } from "bun:test";
import {
  type AddressPool,
  chooseSubnet,
  defaultPools,
  uniqueLocalSubnet,
  userPools,
} from "../../../src/network/subnets.ts";
import { ConflictError } from "../../../src/util/errors.ts";
import { formatSubnet, isInSubnet, overlap, parseSubnet, type Subnet } from "../../../src/util/ip-address.ts";

const subnet = (text: string): Subnet => {
  const parsed = parseSubnet(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const choose = (pools: readonly AddressPool[], ...taken: string[]) =>
  formatSubnet(chooseSubnet(pools, taken.map(subnet)));

describe("a block of addresses for a network", () => {
  test("is the first of its pools that overlaps nothing that is taken", () => {
    expect(choose(defaultPools)).toBe("10.77.0.0/16");
    expect(choose(userPools)).toBe("10.78.0.0/24");
    expect(choose(userPools, "10.78.0.0/24", "10.78.2.0/24")).toBe("10.78.1.0/24");
    expect(choose(userPools, "10.78.0.128/25", "10.78.1.7/32", "192.168.0.0/16")).toBe("10.78.2.0/24");
    // The other family's take nothing away.
    expect(choose(userPools, "fd00::/8", "::/0")).toBe("10.78.0.0/24");
  });

  test("is of the next pool when one is used up, by many networks or by one that has all of it", () => {
    expect(choose(defaultPools, "10.77.200.0/24")).toBe("172.24.0.0/16");
    expect(choose(defaultPools, "10.0.0.0/8", "172.16.0.0/12")).toBe("192.168.128.0/24");
    const all = Array.from({ length: 512 }, (_, number) => `10.${78 + (number >> 8)}.${number & 255}.0/24`);
    expect(choose(userPools, ...all.slice(0, -1))).toBe("10.79.255.0/24");
    expect(choose(userPools, ...all)).toBe("172.24.0.0/16");
  });

  test("is none when all pools are used up", () => {
    const exhausted = () => choose(userPools, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16");
    expect(exhausted).toThrow(ConflictError);
    expect(exhausted).toThrow("there is no block of addresses left for another network");
    expect(() => choose([{ base: "10.9.0.0/30", size: 31 }], "10.9.0.0/31", "10.9.0.2/31")).toThrow(ConflictError);
    expect(() => choose(defaultPools, "0.0.0.0/0")).toThrow(ConflictError);
  });

  test("is never of another network's pool by chance", () => {
    for (const pool of defaultPools.slice(0, 1)) {
      for (const other of userPools.slice(0, 1)) expect(overlap(subnet(pool.base), subnet(other.base))).toBe(false);
    }
  });

  test("of IPv6 is a unique local one of the bytes that are drawn", () => {
    expect(formatSubnet(uniqueLocalSubnet(Uint8Array.of(0x12, 0x34, 0x56, 0x78, 0x9a)))).toBe("fd12:3456:789a::/64");
    expect(formatSubnet(uniqueLocalSubnet(new Uint8Array(5)))).toBe("fd00::/64");
    const highest = uniqueLocalSubnet(new Uint8Array(5).fill(255));
    expect(isInSubnet({ family: 6, value: highest.base }, subnet("fd00::/8"))).toBe(true);
  });
});
