import { describe, expect, test } from "bun:test";
import { attach, type NetworkRequest } from "../../../src/network/place.ts";
import { NetworkStore } from "../../../src/network/networks.ts";
import type { NetworkRecord } from "../../../src/network/record.ts";
import { ConflictError, UsageError } from "../../../src/util/errors.ts";
import { type IpAddress, parseIpAddress } from "../../../src/util/ip-address.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const blue: NetworkRecord = {
  version: 1,
  id: "b".repeat(64),
  name: "blue",
  created: "",
  driver: "bridge",
  device: "gocker1",
  subnets: [
    { subnet: "10.9.0.0/24", gateway: "10.9.0.1", ipRange: "10.9.0.128/25" },
    { subnet: "fd00:9::/64", gateway: "fd00:9::1" },
  ],
  internal: false,
  labels: {},
  options: {},
};

function openPlace(network: NetworkRecord = blue, ofHost: readonly IpAddress[] = []) {
  const directory = new TemporaryDirectory("place");
  const store = new NetworkStore(`${directory.path}/root`, directory.path);
  const take = (request: Partial<NetworkRequest> = {}, container = "1".repeat(64)) =>
    attach({ request: { network: network.name, ...request }, network, device: "eth3" }, store, container, ofHost);
  const leases = () => [...store.leases(network.id).holders().keys()].toSorted();
  return { take, leases, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("a container's place in a network", () => {
  test("has an address of each family, of which its hardware address follows", () => {
    using bench = openPlace();
    const first = bench.take({ aliases: ["db"] });
    expect(first).toMatchObject({
      network: "blue",
      networkId: blue.id,
      device: "eth3",
      addresses: ["10.9.0.128/24", "fd00:9::2/64"],
      gateways: ["10.9.0.1", "fd00:9::1"],
      aliases: ["db"],
    });
    // Of one device, and of nobody's make: IEEE 802-2014 8.2.
    expect(Number.parseInt(first.hardwareAddress.slice(0, 2), 16) & 3).toBe(2);
    expect(first.port).toMatch(/^veth[0-9a-f]{8}$/);
    const second = bench.take();
    expect(second.addresses).toEqual(["10.9.0.129/24", "fd00:9::3/64"]);
    expect(second.hardwareAddress).not.toBe(first.hardwareAddress);
    expect(second.port).not.toBe(first.port);
    expect(bench.leases()).toEqual(["10.9.0.128", "10.9.0.129", "fd00:9::2", "fd00:9::3"]);
  });

  test("has what it asks for, also outside of the range from which others get theirs", () => {
    using bench = openPlace();
    const hardwareAddress = "02:42:00:00:00:07";
    expect(bench.take({ ipv4: "10.9.0.7", ipv6: "fd00:9::77", hardwareAddress })).toMatchObject({
      addresses: ["10.9.0.7/24", "fd00:9::77/64"],
      hardwareAddress,
    });
  });

  test.each<[string, Partial<NetworkRequest>]>([
    ["10.8.0.7 is no address of network blue, which has 10.9.0.0/24", { ipv4: "10.8.0.7" }],
    ["10.9.0.0 cannot be a container's address in network blue", { ipv4: "10.9.0.0" }],
    ["10.9.0.255 cannot be a container's address in network blue", { ipv4: "10.9.0.255" }],
    ["10.9.0.1 cannot be a container's address in network blue", { ipv4: "10.9.0.1" }],
    ["fd00:9::1 cannot be a container's address in network blue", { ipv6: "fd00:9::1" }],
    ["fd00:8::7 is no address of network blue", { ipv6: "fd00:8::7" }],
  ])("cannot be what is not the network's to give: %s", (reason, request) => {
    using bench = openPlace();
    const refused = () => bench.take(request);
    expect(refused).toThrow(UsageError);
    expect(refused).toThrow(reason);
  });

  test("is neither the host's own address nor one that is kept free for somebody, not even when it is asked for", () => {
    const [four, six] = ["10.9.0.3", "fd00:9::3"].map((text) => parseIpAddress(text) as IpAddress);
    const kept = { nas: "10.9.0.4" };
    const subnets = [
      { subnet: "10.9.0.0/24", gateway: "10.9.0.2", auxiliary: kept },
      { subnet: "fd00:9::/64", gateway: "fd00:9::2" },
    ];
    const ofHost = [four, six, { family: 4, value: 0xfd00_0009n }] as IpAddress[];
    using bench = openPlace({ ...blue, subnets }, ofHost);
    expect(bench.take().addresses).toEqual(["10.9.0.1/24", "fd00:9::1/64"]);
    expect(bench.take({}, "2".repeat(64)).addresses).toEqual(["10.9.0.5/24", "fd00:9::4/64"]);
    for (const [request, whose] of [
      [{ ipv4: "10.9.0.3" }, "the host's own"],
      [{ ipv6: "fd00:9::3" }, "the host's own"],
      [{ ipv4: "10.9.0.4" }, "kept free for nas"],
      [{ ipv4: "10.9.0.2" }, "the network's own"],
    ] as const) {
      const refused = () => bench.take(request, "3".repeat(64));
      expect(refused).toThrow(UsageError);
      expect(refused).toThrow(`cannot be a container's address in network blue: it is ${whose}`);
    }
    expect(bench.leases()).toHaveLength(4);
  });

  test("cannot be where another one is", () => {
    using bench = openPlace();
    bench.take({ ipv4: "10.9.0.7" });
    const other = () => bench.take({ ipv4: "10.9.0.7" }, "2".repeat(64));
    expect(other).toThrow(ConflictError);
    expect(other).toThrow("the address 10.9.0.7 is in use by container 111111111111");
  });

  test("has no address of a family that the network has not, and no bridge's port in a macvlan", () => {
    using bench = openPlace({ ...blue, driver: "macvlan", subnets: [{ subnet: "10.9.0.0/24" }] });
    expect(() => bench.take({ ipv6: "fd00:9::2" })).toThrow("network blue has no addresses of IPv6");
    const { addresses, gateways, port } = bench.take({}, "2".repeat(64));
    expect([addresses, gateways, port]).toEqual([["10.9.0.1/24"], [], undefined]);
  });
});
