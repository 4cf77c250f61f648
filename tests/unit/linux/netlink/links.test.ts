import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { addAddress, bringDown, deviceAddress, findLink } from "../../../../src/linux/netlink/links.ts";
import { RouteSocket } from "../../../../src/linux/netlink/socket.ts";
import { inNetworkNamespace } from "../../../../src/linux/network-namespace.ts";
import { GockerError } from "../../../../src/util/errors.ts";
import { type IpAddress, parseIpAddress } from "../../../../src/util/ip-address.ts";
import { canMakeNetworks, NetworkNamespace } from "../../../helpers/network-namespace.ts";

test("a device that is not there is none", () => {
  using socket = RouteSocket.open();
  expect(findLink(socket, "gocker-none")).toBeUndefined();
  expect(findLink(socket, "lo")).toMatchObject({ name: "lo", index: 1, isEthernet: false });
});

describe.skipIf(!canMakeNetworks)("a device", () => {
  test("is brought down by its name, and may be gone", async () => {
    await using namespace = await NetworkNamespace.create(
      "link add eth0 type veth peer name peer0",
      "link set eth0 up",
      "link set peer0 up",
    );
    const descriptor = openSync(namespace.path, "r");
    try {
      using socket = inNetworkNamespace(descriptor, () => RouteSocket.open());
      bringDown(socket, "eth0");
      expect(findLink(socket, "eth0")?.isUp).toBe(false);
      expect(findLink(socket, "peer0")?.isUp).toBe(true);
      bringDown(socket, "eth1");
    } finally {
      closeSync(descriptor);
    }
  });

  test("has no address of IPv6 where that is switched off, and what to do is said", async () => {
    await using namespace = await NetworkNamespace.create("link add eth0 type veth peer name peer0");
    await namespace.run("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    const descriptor = openSync(namespace.path, "r");
    try {
      using socket = inNetworkNamespace(descriptor, () => RouteSocket.open());
      const index = findLink(socket, "eth0")?.index ?? 0;
      const give = (text: string) =>
        addAddress(socket, index, "eth0", deviceAddress(parseIpAddress(text) as IpAddress, 16));
      give("10.9.0.3");
      expect(hintOf(() => give("fd00::3"))).toMatch(/^(the kernel says: .+; )?switch IPv6 on \(net\.ipv6\./);
    } finally {
      closeSync(descriptor);
    }
  });
});

function hintOf(deed: () => void): string | undefined {
  try {
    deed();
  } catch (error) {
    if (error instanceof GockerError) return error.hint;
    throw error;
  }
  return undefined;
}
