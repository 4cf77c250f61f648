import { describe, expect, test } from "bun:test";
import {
  addressBytes,
  addressOfBytes,
  formatIpAddress,
  formatSubnet,
  isInSubnet,
  lastAddress,
  overlap,
  parseIpAddress,
  parseSubnet,
  type Subnet,
} from "../../../src/util/ip-address.ts";

function subnet(text: string): Subnet {
  const parsed = parseSubnet(text);
  if (parsed === undefined) throw new Error(`${text} is no subnet`);
  return parsed;
}

describe("addresses", () => {
  test.each([
    ["0.0.0.0", 0n],
    ["10.77.0.1", 0x0a4d0001n],
    ["255.255.255.255", 0xffffffffn],
  ])("%s", (text, value) => {
    const address = parseIpAddress(text);
    expect(address).toEqual({ family: 4, value });
    expect(formatIpAddress({ family: 4, value })).toBe(text);
  });

  test.each([
    ["::", "::", 0n],
    ["::1:2", "::1:2", 0x10002n],
    ["FD00:0:0::0001", "fd00::1", (0xfd00n << 112n) | 1n],
    ["::ffff:10.0.0.1", "::ffff:a00:1", 0xffff0a000001n],
  ])("%s is %s", (text, canonical, value) => {
    const address = parseIpAddress(text);
    expect(address).toEqual({ family: 6, value });
    expect(formatIpAddress({ family: 6, value })).toBe(canonical);
  });

  test.each(["", "256.1.1.1", "1.2.3", "1.2.3.4/8", "fe80::1%eth0", ":::", "localhost", "1:2", "g::"])(
    "%p is none",
    (text) => expect(parseIpAddress(text)).toBeUndefined(),
  );

  test("their bytes are in the network's order", () => {
    expect(addressBytes({ family: 4, value: 0x0a4d0001n })).toEqual(new Uint8Array([10, 77, 0, 1]));
    const address = parseIpAddress("fd00::1:203");
    expect(address && addressOfBytes(addressBytes(address))).toEqual(address as never);
  });
});

describe("subnets", () => {
  test("bits behind the prefix are cut off", () => {
    expect(formatSubnet(subnet("10.77.3.4/16"))).toBe("10.77.0.0/16");
    expect(formatSubnet(subnet("fd00::3/64"))).toBe("fd00::/64");
    expect(formatSubnet(subnet("10.1.2.3/32"))).toBe("10.1.2.3/32");
    expect(formatSubnet(subnet("10.1.2.3/0"))).toBe("0.0.0.0/0");
  });

  test.each(["10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/", "10.0.0.0/8/8"])("%p is none", (text) =>
    expect(parseSubnet(text)).toBeUndefined(),
  );

  test("what is in them", () => {
    const block = subnet("10.77.0.0/16");
    expect(formatIpAddress({ family: 4, value: lastAddress(block) })).toBe("10.77.255.255");
    expect(isInSubnet({ family: 4, value: 0x0a4dffffn }, block)).toBe(true);
    expect(isInSubnet({ family: 4, value: 0x0a4e0000n }, block)).toBe(false);
    expect(isInSubnet({ family: 6, value: 0x0a4d0001n }, block)).toBe(false);
  });

  test("which of them overlap", () => {
    expect(overlap(subnet("10.0.0.0/8"), subnet("10.77.0.0/16"))).toBe(true);
    expect(overlap(subnet("10.77.0.0/16"), subnet("10.0.0.0/8"))).toBe(true);
    expect(overlap(subnet("10.76.0.0/16"), subnet("10.77.0.0/16"))).toBe(false);
    expect(overlap(subnet("0.0.0.0/0"), subnet("::/0"))).toBe(false);
  });
});
