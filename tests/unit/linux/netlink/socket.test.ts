import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { createSocketPair, OwnedFd } from "../../../../src/linux/fd.ts";
import { libc } from "../../../../src/linux/libc.ts";
import { findLink, linkUpOrder, listLinks } from "../../../../src/linux/netlink/links.ts";
import { type Order, RouteSocket } from "../../../../src/linux/netlink/socket.ts";
import { linkPairOrders } from "../../../../src/linux/netlink/virtual-links.ts";
import { inNetworkNamespace } from "../../../../src/linux/network-namespace.ts";
import { syscallNumber } from "../../../../src/linux/syscalls.ts";
import { canMakeNetworks, NetworkNamespace } from "../../../helpers/network-namespace.ts";

/** The loopback of every network namespace, which comes up however often it is told to. */
const loopbackUp = linkUpOrder(1, "lo");

describe.skipIf(!canMakeNetworks)("orders that are begun", () => {
  test("are carried out in their order while the caller goes on", async () => {
    await using namespace = await NetworkNamespace.create("link add bridge0 type bridge");
    await using host = await openSocket(namespace);
    await using inside = await NetworkNamespace.create();
    const target = openSync(inside.path, "r");
    try {
      const bridge = findLink(host.socket, "bridge0")?.index ?? 0;
      const pairs = Array.from({ length: 20 }, (_, index) =>
        linkPairOrders({ name: `port${index}`, mtu: 1400, reflects: true }, bridge, {
          name: `eth${index}`,
          namespace: target,
        }),
      );
      await using begun = host.socket.begin(pairs.flat());
      await begun.end();
      const ports = listLinks(host.socket).filter((link) => link.bridge === bridge);
      expect(ports.map(({ name, mtu }) => [name, mtu])).toEqual(pairs.map((_, index) => [`port${index}`, 1400]));
      expect((await inside.devices()).map(({ ifname }) => ifname)).toEqual(pairs.map((_, index) => `eth${index}`));
    } finally {
      closeSync(target);
    }
  });

  test("end with the first that is refused", async () => {
    await using namespace = await NetworkNamespace.create();
    await using host = await openSocket(namespace);
    const nobody = linkUpOrder(9999, "nobody");
    const again: Order = { ...loopbackUp, deed: { step: "bring up again", path: "lo" } };
    await using begun = host.socket.begin([loopbackUp, nobody, again, linkUpOrder(9998, "nobody either")]);
    await expect(begun.end()).rejects.toThrow("bring up the network device: netlink nobody: no such device");
    await using other = host.socket.begin([again]);
    await other.end();
  });

  test("may be left alone, and are at their end when they are disposed of", async () => {
    await using namespace = await NetworkNamespace.create("link add bridge0 type bridge");
    await using host = await openSocket(namespace);
    {
      await using _begun = host.socket.begin([linkUpOrder(findLink(host.socket, "bridge0")?.index ?? 0, "bridge0")]);
    }
    const [bridge] = await namespace.devices();
    expect(bridge?.flags).toContain("UP");
  });
});

test("orders that cannot be sent end with the reason", async () => {
  // What is written to it fails, and it has nothing to read.
  const pair = createSocketPair();
  const forWriting = 1;
  expect(Number(libc.syscall(syscallNumber("shutdown"), pair.reader.number, forWriting, 0, 0, 0, 0))).toBe(0);
  using _other = pair.writer;
  using socket = new RouteSocket(pair.reader);
  await using begun = socket.begin([loopbackUp]);
  await expect(begun.end()).rejects.toThrow("bring up the network device: write lo: broken pipe");
});

async function openSocket(namespace: NetworkNamespace): Promise<{ readonly socket: RouteSocket } & AsyncDisposable> {
  using descriptor = new OwnedFd(openSync(namespace.path, "r"));
  const socket = inNetworkNamespace(descriptor.number, () => RouteSocket.open());
  return {
    socket,
    [Symbol.asyncDispose]: async () => {
      socket[Symbol.dispose]();
    },
  };
}
