import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { bringDown, findLink } from "../../../../src/linux/netlink/links.ts";
import { RouteSocket } from "../../../../src/linux/netlink/socket.ts";
import { inNetworkNamespace } from "../../../../src/linux/network-namespace.ts";
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
});
