import { describe, expect, test } from "bun:test";
import { openSync } from "node:fs";
import { OwnedFd } from "../../../../src/linux/fd.ts";
import { listAddresses } from "../../../../src/linux/netlink/addresses.ts";
import { RouteSocket } from "../../../../src/linux/netlink/socket.ts";
import { inNetworkNamespace } from "../../../../src/linux/network-namespace.ts";
import { formatIpAddress } from "../../../../src/util/ip-address.ts";
import { canMakeNetworks, NetworkNamespace } from "../../../helpers/network-namespace.ts";

describe.skipIf(!canMakeNetworks)("the addresses of a host", () => {
  // No container may get one of them, and every other one is free: what the kernel would do with its packets tells neither.
  test("are those of its devices, also when they are not in use yet, and not what is routed to it", async () => {
    await using host = await NetworkNamespace.create(
      // Without a carrier an address of IPv6 stays tentative.
      "link add eth0 type veth peer name peer0",
      "link set eth0 up",
      "addr add 10.9.0.3/24 dev eth0",
      "addr add fd00:9::3/64 dev eth0",
      "link set lo up",
      "route add local 10.60.0.0/16 dev lo",
      "-6 route add local 2001:db8:7::/64 dev lo",
    );
    expect(await host.ip("-6 addr show dev eth0")).toContain("fd00:9::3/64 scope global tentative");
    using namespace = new OwnedFd(openSync(host.path, "r"));
    using socket = inNetworkNamespace(namespace.number, () => RouteSocket.open());
    const addresses = listAddresses(socket).map(formatIpAddress);
    expect(addresses.toSorted()).toEqual(["10.9.0.3", "127.0.0.1", "::1", "fd00:9::3"]);
  });
});
