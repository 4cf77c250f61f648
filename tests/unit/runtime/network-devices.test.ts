import { afterEach, describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { findLink } from "../../../src/linux/netlink/links.ts";
import { RouteSocket } from "../../../src/linux/netlink/socket.ts";
import { inNetworkNamespace } from "../../../src/linux/network-namespace.ts";
import { moveNetDevices } from "../../../src/runtime/network-devices.ts";
import { canMakeNetworks, NetworkNamespace } from "../../helpers/network-namespace.ts";
import { type NetDevices, planDeviceMoves } from "../../../src/runtime/plan/network-devices.ts";

/** What the plan makes of `linux.netDevices` for a container with a network namespace. */
const moves = (devices: NetDevices) => planDeviceMoves(devices, new Set(["network"]));

describe.skipIf(!canMakeNetworks)("moving", () => {
  let cleanup = new AsyncDisposableStack();
  afterEach(async () => {
    await cleanup.disposeAsync();
    cleanup = new AsyncDisposableStack();
  });

  /** A network of the test's own, and what gocker needs to work in it. */
  async function network(...setup: string[]) {
    const namespace = cleanup.use(await NetworkNamespace.create(...setup));
    const descriptor = openSync(namespace.path, "r");
    cleanup.defer(() => closeSync(descriptor));
    const socket = cleanup.use(inNetworkNamespace(descriptor, () => RouteSocket.open()));
    return { descriptor, socket, devices: () => namespace.devices() };
  }

  test("a device keeps its lasting addresses and comes up under its new name", async () => {
    const host = await network(
      "link add card type veth peer name far",
      "addr add 192.0.2.7/24 broadcast 192.0.2.255 dev card",
      "addr add 198.51.100.1/32 dev card",
      "addr add 127.1.1.1/8 scope host dev card",
      "addr add 203.0.113.5/24 valid_lft 1000 preferred_lft 1000 dev card",
      "addr add 2001:db8::7/64 nodad dev card",
      "link set card up",
    );
    const container = await network();
    moveNetDevices(moves({ card: { name: "eth0" } }), container.descriptor, host.socket);
    expect(findLink(host.socket, "card")).toBeUndefined();
    const [link] = await container.devices();
    expect(link?.ifname).toBe("eth0");
    expect(link?.flags).toContain("UP");
    const addresses = link?.addr_info.map(({ local, prefixlen, broadcast }) => [local, prefixlen, broadcast]);
    expect(addresses?.filter(([local]) => !String(local).startsWith("fe80"))).toEqual([
      ["192.0.2.7", 24, "192.0.2.255"],
      ["198.51.100.1", 32, undefined],
      ["2001:db8::7", 64, undefined],
    ]);
  });

  test("several devices come, those without a new name under their own", async () => {
    const host = await network("link add one type veth peer name two");
    const container = await network();
    moveNetDevices(moves({ one: {}, two: { name: "" } }), container.descriptor, host.socket);
    expect(findLink(container.socket, "one")).toMatchObject({ isUp: true });
    expect(findLink(container.socket, "two")).toMatchObject({ isUp: true });
    moveNetDevices([], container.descriptor);
  });

  test("the kernel numbers those that are to be numbered, after the others", async () => {
    const host = await network(
      "link add one type veth peer name two",
      "link add three type veth peer name four",
      "addr add 192.0.2.1/24 dev one",
    );
    const container = await network();
    const devices = { one: { name: "net%d" }, three: { name: "net%d" }, four: { name: "net1" } };
    moveNetDevices(moves(devices), container.descriptor, host.socket);
    const links = await container.devices();
    expect(links.map(({ ifname }) => ifname).toSorted()).toEqual(["net0", "net1", "net2"]);
    expect(links.find(({ ifname }) => ifname === "net0")?.addr_info[0]?.local).toBe("192.0.2.1");
  });

  test("what cannot be moved is told by its place and the kernel's words, and nothing is changed", async () => {
    const host = await network("link add card type veth peer name far", "link set card up", "link set lo up");
    const container = await network("link add taken type veth peer name far");
    const move = (devices: NetDevices) => moveNetDevices(moves(devices), container.descriptor, host.socket);
    expect(() => move({ card: {}, gone: {} })).toThrow("linux.netDevices.gone: the host has no such network device");
    expect(() => move({ far: { name: "card" }, card: { name: "taken" } })).toThrow(
      "linux.netDevices.card: the container's network namespace has a device taken already",
    );
    expect(() => move({ lo: { name: "lo1" } })).toThrow(
      expect.objectContaining({ errnoName: "EINVAL", hint: expect.stringContaining("the kernel says: ") }),
    );
    for (const name of ["card", "lo"]) expect(findLink(host.socket, name)).toMatchObject({ isUp: true });
    expect(findLink(host.socket, "far")).toMatchObject({ isUp: false });
  });

  test("a descriptor that is no network namespace is refused", async () => {
    const file = openSync("/dev/null", "r");
    cleanup.defer(() => closeSync(file));
    expect(() => moveNetDevices(moves({ card: {} }), file)).toThrow(
      "enter a network namespace: setns: invalid argument (EINVAL)",
    );
  });
});
