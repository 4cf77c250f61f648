import { describe, expect, test } from "bun:test";
import { parseDefaultNetworkConfig, readDefaultNetworkConfig } from "../../../src/network/config.ts";
import { defaultSubnets } from "../../../src/network/default-network.ts";
import { parseSubnet, type Subnet } from "../../../src/util/ip-address.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

function subnet(text: string): Subnet {
  const parsed = parseSubnet(text);
  if (parsed === undefined) throw new Error(`${text} is no subnet`);
  return parsed;
}

const parse = (network: unknown) => parseDefaultNetworkConfig(JSON.stringify({ network, registries: {} }), "F");
const nothing = { ofHost: [], ofNetworks: [] };

describe("the configuration of the default network", () => {
  test("may be left out, in parts and with its file", () => {
    expect(parseDefaultNetworkConfig("{}", "F")).toEqual({ subnets: [], ipv6: false });
    expect(parse({ ipv6: true })).toEqual({ subnets: [], ipv6: true });
    expect(parse({ subnets: ["10.5.0.0/16", "fd00:5::/64"] })).toEqual({
      subnets: [subnet("10.5.0.0/16"), subnet("fd00:5::/64")],
      ipv6: true,
    });
    using directory = new TemporaryDirectory("config");
    expect(readDefaultNetworkConfig({ GOCKER_CONFIG: `${directory.path}/none` })).toEqual({ subnets: [], ipv6: false });
  });

  test.each([
    [[], "F: network must be an object"],
    [{ subnet: "10.5.0.0/16" }, 'F: network has the unknown key "subnet" (known: subnets, ipv6)'],
    [{ subnets: "10.5.0.0/16" }, "F: network.subnets must be a list of strings"],
    [{ subnets: ["10.5.0.0"] }, 'F: network.subnets: "10.5.0.0" is no block of addresses'],
    [
      { subnets: ["10.5.0.0/32"] },
      'F: network.subnets: "10.5.0.0/32" has no address for a container beside the gateway',
    ],
    [{ subnets: ["127.0.0.0/24"] }, 'F: network.subnets: "127.0.0.0/24" cannot be a network\'s: the addresses of 127'],
    [{ subnets: ["fe80::/64"] }, 'F: network.subnets: "fe80::/64" cannot be a network\'s: the addresses of fe80::/10'],
    [{ subnets: ["10.5.0.0/16", "10.6.0.0/16"] }, "F: network.subnets has two blocks of one family"],
    [{ ipv6: "yes" }, "F: network.ipv6 must be true or false"],
  ])("%p is refused", (network, message) => {
    expect(() => parse(network)).toThrow(message);
  });

  test("that is no JSON is refused", () => {
    expect(() => parseDefaultNetworkConfig("{", "F")).toThrow("F is not JSON");
  });
});

describe("the default network's addresses", () => {
  const config = (subnets: string[] = [], ipv6 = subnets.some((text) => text.includes(":"))) => ({
    subnets: subnets.map(subnet),
    ipv6,
  });
  const current = [{ subnet: "10.77.0.0/16", gateway: "10.77.0.1" }];

  test("are what is configured, whatever they were", () => {
    expect(defaultSubnets(current, config(["10.5.0.0/16", "fd00:5::/64"]), nothing)).toEqual([
      { subnet: "10.5.0.0/16", gateway: "10.5.0.1" },
      { subnet: "fd00:5::/64", gateway: "fd00:5::1" },
    ]);
  });

  test("stay as long as nobody else uses them", () => {
    const both = [...current, { subnet: "fd12:3456::/64", gateway: "fd12:3456::1" }];
    expect(defaultSubnets(both, config([], true), nothing)).toEqual(both);
    expect(defaultSubnets(both, config(), nothing)).toEqual(current);
    expect(defaultSubnets([], config(), nothing)).toEqual(current);
    const [other] = defaultSubnets(current, config(), { ofHost: [subnet("10.0.0.0/8")], ofNetworks: [] });
    expect(other).toEqual({ subnet: "172.24.0.0/16", gateway: "172.24.0.1" });
  });

  test("of IPv6 are of a block of their own where none is configured", () => {
    const [, one] = defaultSubnets([], config([], true), nothing);
    const [, other] = defaultSubnets([], config([], true), nothing);
    expect(one?.subnet).toMatch(/^fd[0-9a-f:]+\/64$/);
    expect(one).not.toEqual(other);
  });

  test("that are configured and in use are an error, not replaced", () => {
    const taken = { ofHost: [], ofNetworks: [subnet("10.5.3.0/24")] };
    expect(() => defaultSubnets(current, config(["10.5.0.0/16"]), taken)).toThrow(
      "the default network cannot have 10.5.0.0/16, which is in use",
    );
  });
});
