import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { listLinks } from "../../../src/linux/netlink/links.ts";
import { RouteSocket } from "../../../src/linux/netlink/socket.ts";
import { createNetwork, type NetworkWish } from "../../../src/network/create.ts";
import { NetworkStore } from "../../../src/network/networks.ts";
import { subnetsOfHost } from "../../../src/network/subnets.ts";
import { ConflictError, NotFoundError, UsageError } from "../../../src/util/errors.ts";
import { formatSubnet } from "../../../src/util/ip-address.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const wish = (change: Partial<NetworkWish> = {}): NetworkWish => ({
  name: "blue",
  driver: "bridge",
  subnets: [],
  gateways: [],
  ipRanges: [],
  auxiliary: [],
  ipv6: false,
  internal: false,
  labels: {},
  options: {},
  ...change,
});

function openStore() {
  const directory = new TemporaryDirectory("create");
  const store = new NetworkStore(`${directory.path}/root`, `${directory.path}/state`);
  const create = (change?: Partial<NetworkWish>) => createNetwork(store, wish(change));
  return { store, create, path: directory.path, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

// Such as no host uses: RFC 5737, RFC 2544, RFC 3849.
const [free4, other4, free6] = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:9::/64"] as const;

describe("a network that is made", () => {
  test("has a bridge and addresses of its own, of which the host has the first", async () => {
    using bench = openStore();
    const blue = await bench.create({ labels: { a: "b" } });
    expect(blue).toMatchObject({ name: "blue", driver: "bridge", internal: false, labels: { a: "b" } });
    expect(blue.device).toMatch(/^gocker[1-9]\d*$/);
    expect(blue.subnets).toHaveLength(1);
    const [first] = blue.subnets;
    expect(first?.gateway).toBe(first?.subnet.replace(/\d+\/\d+$/, "1"));
    const red = await bench.create({ name: "red" });
    expect(red.device).not.toBe(blue.device);
    expect(red.subnets[0]?.subnet).not.toBe(first?.subnet);
    expect(bench.store.list()).toEqual([blue, red]);
    expect(readdirSync(`${bench.path}/root/networks`).toSorted()).toEqual([".lock", "blue.json", "red.json"]);
  });

  test("has what is asked for", async () => {
    using bench = openStore();
    const { subnets, device } = await bench.create({
      subnets: [free6, free4],
      gateways: ["198.51.100.254", "2001:db8:9::fe"],
      ipRanges: ["198.51.100.64/26"],
      ipv6: true,
      options: { "com.docker.network.bridge.name": "br-blue", mtu: "1400" },
    });
    expect(device).toBe("br-blue");
    expect(subnets).toEqual([
      { subnet: free6, gateway: "2001:db8:9::fe" },
      { subnet: free4, gateway: "198.51.100.254", ipRange: "198.51.100.64/26" },
    ]);
  });

  test.each<[number[], Partial<NetworkWish>]>([
    [[4], {}],
    [[4, 6], { ipv6: true }],
    [[4, 6], { ipv6: true, subnets: [free4] }],
    [[4, 6], { ipv6: true, subnets: [free6] }],
    [[4], { internal: true }],
  ])("is of families %p: %j", async (families, change) => {
    using bench = openStore();
    const { subnets } = await bench.create(change);
    expect(subnets.map(({ subnet }) => (subnet.includes(":") ? 6 : 4)).toSorted((a, b) => a - b)).toEqual(
      families as (4 | 6)[],
    );
    for (const { gateway } of subnets) expect(gateway).toBeDefined();
  });

  test("keeps addresses free for others, of each family for one of a name", async () => {
    using bench = openStore();
    const { subnets } = await bench.create({
      subnets: [free4, free6],
      auxiliary: ["nas=198.51.100.9", "nas=2001:DB8:9:0::9", "__proto__=198.51.100.8", "a b=198.51.100.1"],
    });
    expect(subnets).toEqual([
      {
        subnet: free4,
        gateway: "198.51.100.1",
        auxiliary: Object.fromEntries([
          ["nas", "198.51.100.9"],
          ["__proto__", "198.51.100.8"],
          ["a b", "198.51.100.1"],
        ]),
      },
      { subnet: free6, gateway: "2001:db8:9::1", auxiliary: { nas: "2001:db8:9::9" } },
    ]);
    expect(bench.store.list()[0]?.subnets).toEqual(subnets);
  });

  test("may have two addresses alone, the smallest packets, or the largest", async () => {
    using bench = openStore();
    const { subnets } = await bench.create({ subnets: ["198.51.100.6/31", "2001:db8:9::6/127"] });
    expect(subnets).toEqual([
      { subnet: "198.51.100.6/31", gateway: "198.51.100.6" },
      { subnet: "2001:db8:9::6/127", gateway: "2001:db8:9::6" },
    ]);
    await bench.create({ name: "small", options: { mtu: "68" } });
    await bench.create({ name: "small6", ipv6: true, options: { mtu: "1280" } });
    await bench.create({ name: "large", ipv6: true, options: { mtu: "65535" } });
  });

  test.each<[string, Partial<NetworkWish>]>([
    ["invalid network name", { name: "a/b" }],
    ["a network cannot be called host", { name: "host" }],
    ["a network cannot be called bridge", { name: "bridge", internal: true, subnets: [free4] }],
    ["a network cannot be called default", { name: "default" }],
    ["there is a network taken already", { name: "taken" }],
    ["invalid --subnet", { subnets: ["nonsense"] }],
    ["invalid --subnet", { subnets: ["198.51.100.0/33"] }],
    ["it begins with 198.51.100.0/24", { subnets: ["198.51.100.1/24"] }],
    ["a network has one --subnet of IPv4", { subnets: [free4, other4] }],
    ["a network has one --subnet of IPv6", { subnets: [free6, "2001:db8:8::/64"] }],
    ["overlaps 198.18.7.0/24, which another network has", { subnets: ["198.18.7.128/25"] }],
    ["overlaps 198.18.7.0/24, which another network has", { subnets: ["198.18.0.0/16"] }],
    ["overlaps 2001:db8:7::/64, which another network has", { subnets: ["2001:db8:7::/48"] }],
    ["0.0.7.0/24 cannot be a network's: the addresses of 0.0.0.0/8 are unspecified", { subnets: ["0.0.7.0/24"] }],
    ["0.0.0.0/0 cannot be a network's", { subnets: ["0.0.0.0/0"] }],
    ["the addresses of 127.0.0.0/8 are each host's own loopbacks", { subnets: ["127.0.5.0/24"] }],
    ["the addresses of 224.0.0.0/4 are for many hosts at once", { subnets: ["224.0.7.0/24"] }],
    ["the addresses of 255.255.255.255/32 are for all hosts at once", { subnets: ["255.255.255.254/31"] }],
    ["the addresses of ::/128 are unspecified", { subnets: ["::/64"] }],
    ["the addresses of ::1/128 are each host's own loopback", { subnets: ["::1/128"] }],
    ["the addresses of ::ffff:0:0/96 are of IPv4", { subnets: ["::ffff:0:0/96"] }],
    ["the addresses of ::ffff:0:0/96 are of IPv4", { subnets: ["::ffff:10.7.0.0/112"] }],
    ["the addresses of fe80::/10 are of one link alone", { subnets: ["fe80::/64"] }],
    ["the addresses of ff00::/8 are for many hosts at once", { subnets: ["ff00:7::/64"] }],
    ["198.51.100.7/32 has no address for a container beside the gateway", { subnets: ["198.51.100.7/32"] }],
    ["2001:db8:9::/128 has no address for a container beside the gateway", { subnets: ["2001:db8:9::/128"] }],
    ["198.51.100.1/32 has no address for a container", { subnets: [free4], ipRanges: ["198.51.100.1/32"] }],
    ["198.51.100.254/31 has no", { subnets: [free4], ipRanges: ["198.51.100.254/31"], gateways: ["198.51.100.254"] }],
    ["invalid --aux-address", { subnets: [free4], auxiliary: ["198.51.100.9"] }],
    ["invalid --aux-address", { subnets: [free4], auxiliary: ["=198.51.100.9"] }],
    ["invalid --aux-address", { subnets: [free4], auxiliary: ["nas=198.51.100.9/24"] }],
    ["203.0.113.9 is in none of the network's subnets", { subnets: [free4], auxiliary: ["nas=203.0.113.9"] }],
    ["--aux-address nas is given twice", { subnets: [free4], auxiliary: ["nas=198.51.100.9", "nas=198.51.100.8"] }],
    [
      "198.51.100.0/30 has no address for a container beside the gateway 198.51.100.1 and those that are kept free",
      { subnets: ["198.51.100.0/30"], auxiliary: ["nas=198.51.100.2"] },
    ],
    ["invalid --opt mtu=67: IPv4 needs packets of 68 bytes", { options: { mtu: "67" } }],
    ["invalid --opt mtu=1279: IPv6 needs packets of 1280 bytes", { options: { mtu: "1279" }, ipv6: true }],
    ["mtu=65536: no device takes packets of more", { options: { "com.docker.network.driver.mtu": "65536" } }],
    ["mtu=7: IPv4 needs", { options: { "com.docker.network.driver.mtu": "1400", mtu: "7" } }],
    ["invalid --gateway", { subnets: [free4], gateways: ["gate"] }],
    ["203.0.113.1 is in none of the network's subnets", { subnets: [free4], gateways: ["203.0.113.1"] }],
    ["198.51.100.0 cannot be the gateway", { subnets: [free4], gateways: ["198.51.100.0"] }],
    ["198.51.100.255 cannot be the gateway", { subnets: [free4], gateways: ["198.51.100.255"] }],
    ["invalid --ip-range", { subnets: [free4], ipRanges: ["198.51.100"] }],
    ["is larger than its --subnet", { subnets: [free4], ipRanges: ["198.51.100.0/23"] }],
    ["203.0.113.0/25 is in none of the network's subnets", { subnets: [free4], ipRanges: ["203.0.113.0/25"] }],
    ["has no option", { options: { nonsense: "1" } }],
    ["has no option", { options: { constructor: "1" } }],
    ["the driver bridge has no option", { options: { parent: "eth0" } }],
    ["invalid --opt mtu=large", { options: { mtu: "large" } }],
    ["invalid --opt", { options: { "com.docker.network.bridge.name": "../x" } }],
    ["invalid --opt", { options: { "com.docker.network.bridge.name": "a-name-that-is-too-long" } }],
    ["invalid --opt", { options: { "com.docker.network.bridge.enable_ip_masquerade": "yes" } }],
    ["the bridge br-taken is that of another network", { options: { "com.docker.network.bridge.name": "br-taken" } }],
    ["the host has a network device lo already", { options: { "com.docker.network.bridge.name": "lo" } }],
    ["needs the device of the host", { driver: "macvlan" }],
    ["the host has no network device nothing9", { driver: "macvlan", options: { parent: "nothing9" } }],
    [
      "has no network device nothing9.7, and gocker makes none",
      { driver: "macvlan", options: { parent: "nothing9.7" } },
    ],
    ["network blue: lo is no Ethernet device", { driver: "macvlan", subnets: [free4], options: { parent: "lo" } }],
    ["invalid --opt macvlan_mode", { driver: "macvlan", options: { parent: "lo", macvlan_mode: "x" } }],
  ])("is refused: %s, %j", async (reason, change) => {
    using bench = openStore();
    const taken = await bench.create({
      name: "taken",
      subnets: ["198.18.7.0/24", "2001:db8:7::/64"],
      options: { "com.docker.network.bridge.name": "br-taken" },
    });
    const refused = bench.create(change);
    await expect(refused).rejects.toThrow(reason);
    const error: unknown = await refused.catch((thrown: unknown) => thrown);
    expect([UsageError, ConflictError, NotFoundError].some((kind) => error instanceof kind)).toBe(true);
    expect(bench.store.list()).toEqual([taken]);
  });

  test("is refused where the host uses its addresses otherwise, but as a macvlan", async () => {
    using socket = RouteSocket.open();
    const used = subnetsOfHost(socket, new Set()).find(({ family, prefixLength }) => family === 4 && prefixLength < 31);
    const parent = listLinks(socket).find(({ isEthernet }) => isEthernet)?.name;
    if (used === undefined || parent === undefined) return console.warn("skipped: this host has no network");
    using bench = openStore();
    const subnets = [formatSubnet(used)];
    await expect(bench.create({ subnets })).rejects.toThrow("which the host uses otherwise");
    const options = { parent };
    const lan = await bench.create({ driver: "macvlan", subnets, options });
    expect(lan).toMatchObject({ device: parent, driver: "macvlan" });
    await expect(bench.create({ name: "red", driver: "macvlan", options })).rejects.toThrow(
      "needs the --subnet of its host's network",
    );
  });

  test("is one of many that are made at once, each with addresses of its own", async () => {
    using bench = openStore();
    const made = await Promise.all(Array.from({ length: 20 }, (_, index) => bench.create({ name: `n${index}` })));
    expect(new Set(made.map(({ device }) => device)).size).toBe(20);
    expect(new Set(made.map(({ subnets }) => subnets[0]?.subnet)).size).toBe(20);
    const twice = await Promise.allSettled([bench.create(), bench.create()]);
    expect(twice.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });
});
