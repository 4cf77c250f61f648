import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { RouteSocket } from "../../../src/linux/netlink/socket.ts";
import { inNetworkNamespace } from "../../../src/linux/network-namespace.ts";
import type { Attachment } from "../../../src/network/endpoints.ts";
import { addWaysOut, moveWaysOut, waysOut } from "../../../src/network/plug.ts";
import type { NetworkRecord } from "../../../src/network/record.ts";
import { canMakeNetworks, NetworkNamespace } from "../../helpers/network-namespace.ts";

const attachment = (number: number, gateways: string[], gatewayPriority?: number): Attachment => ({
  network: `n${number}`,
  networkId: "",
  device: `eth${number}`,
  hardwareAddress: "",
  addresses: [],
  gateways,
  ...(gatewayPriority !== undefined && { gatewayPriority }),
  aliases: [],
});

const network = (internal = false): NetworkRecord => ({
  version: 1,
  id: "",
  name: "",
  created: "",
  driver: "bridge",
  device: "",
  subnets: [],
  internal,
  labels: {},
  options: {},
});

const [open, inner] = [network(), network(true)];

describe("a container's way out", () => {
  const gateways = (attachments: Attachment[], networks = attachments.map(() => open), lacks = "") =>
    waysOut(attachments, networks, (device) => (device === lacks ? undefined : 7)).map(({ deed }) => deed.path);

  test.each([
    [["10.0.0.1"], [attachment(0, ["10.0.0.1"]), attachment(1, ["10.1.0.1"])]],
    [["10.1.0.1"], [attachment(0, ["10.0.0.1"]), attachment(1, ["10.1.0.1"], 1), attachment(2, ["10.2.0.1"], 1)]],
    [["10.1.0.1"], [attachment(0, ["10.0.0.1"], -1), attachment(1, ["10.1.0.1"])]],
    [["10.2.0.1"], [attachment(0, ["10.0.0.1"], 5), attachment(1, ["10.1.0.1"]), attachment(2, ["10.2.0.1"], 10)]],
    // Each family by itself.
    [
      ["10.1.0.1", "fd00::1"],
      [attachment(0, ["10.0.0.1", "fd00::1"]), attachment(1, ["10.1.0.1"], 1)],
    ],
  ])("is by the gateways %p", (expected, attachments) => {
    expect(gateways(attachments)).toEqual(expected);
  });

  test("is by no network that has none, nor by a device that is not there, whatever their priority", () => {
    const three = [attachment(0, ["10.0.0.1"], 9), attachment(1, ["10.1.0.1"]), attachment(2, [], 10)];
    expect(gateways(three, [inner, open, open])).toEqual(["10.1.0.1"]);
    expect(gateways(three, [open, open, open], "eth0")).toEqual(["10.1.0.1"]);
    expect(gateways(three, [inner, inner, inner])).toEqual([]);
  });
});

describe.skipIf(!canMakeNetworks)("the way out of a container that runs", () => {
  test("stays, but where a network comes that has a higher priority", async () => {
    await using inside = await NetworkNamespace.create(
      "link add eth0 type veth peer name peer0",
      "link add eth1 type veth peer name peer1",
      ...["eth0", "peer0", "eth1", "peer1"].map((device) => `link set ${device} up`),
      ...[0, 1].flatMap((number) => [
        `addr add 10.${number}.0.2/24 dev eth${number}`,
        `addr add fd00:${number}::2/64 dev eth${number} nodad`,
      ]),
    );
    const descriptor = openSync(inside.path, "r");
    try {
      using socket = inNetworkNamespace(descriptor, () => RouteSocket.open());
      const routes = async () => {
        const text = (await inside.ip("route show default")) + (await inside.ip("-6 route show default"));
        return Array.from(text.matchAll(/via (\S+)/g), ([, gateway]) => gateway);
      };
      const first = attachment(0, ["10.0.0.1", "fd00:0::1"]);
      const second = (priority: number) => attachment(1, ["10.1.0.1", "fd00:1::1"], priority);
      addWaysOut(socket, [first], [open]);
      expect(await routes()).toEqual(["10.0.0.1", "fd00::1"]);
      addWaysOut(socket, [second(1)], [open]);
      moveWaysOut(socket, "eth1", [first, second(0)], [undefined, open]);
      moveWaysOut(socket, "eth1", [first, second(1)], [open, inner]);
      expect(await routes()).toEqual(["10.0.0.1", "fd00::1"]);
      moveWaysOut(socket, "eth1", [first, second(1)], [open, open]);
      expect(await routes()).toEqual(["10.1.0.1", "fd00:1::1"]);
      // Where there was none it is the first.
      await inside.ip("route del default");
      moveWaysOut(socket, "eth1", [attachment(0, []), second(0)], [open, open]);
      expect(await routes()).toEqual(["10.1.0.1", "fd00:1::1"]);
    } finally {
      closeSync(descriptor);
    }
  });
});
