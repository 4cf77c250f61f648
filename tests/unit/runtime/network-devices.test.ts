import { afterEach, describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { openRouteSocketIn } from "../../../src/linux/netlink/namespace-socket.ts";
import { findLink } from "../../../src/linux/netlink/links.ts";
import type { Linux, NamespaceType } from "../../../src/oci/runtime-spec.ts";
import { checkNetDevices, moveNetDevices } from "../../../src/runtime/network-devices.ts";

type NetDevices = NonNullable<Linux["netDevices"]>;

describe("devices that no host could give", () => {
  const check = (devices: NetDevices, types: NamespaceType[] = ["network"]) => {
    return () => checkNetDevices(devices, new Set(types));
  };

  test.each<[NetDevices, string]>([
    [{ "eth/0": {} }, "linux.netDevices.eth/0: no name of a network device"],
    [{ "": {} }, "linux.netDevices.: no name"],
    [{ "..": {} }, "linux.netDevices...: no name"],
    [{ eth0123456789abcd: {} }, "linux.netDevices.eth0123456789abcd: no name"],
    [{ eth0: { name: "a b" } }, "linux.netDevices.eth0.name: a b is no name"],
    [{ eth0: { name: "eth%d" } }, "linux.netDevices.eth0.name: eth%d is no name"],
    [{ eth0: { name: "c" }, c: {} }, "linux.netDevices.c.name: c is the name of linux.netDevices.eth0 already"],
  ])("%j is refused", (devices, message) => {
    expect(check(devices)).toThrow(message);
  });

  test("and such without a network namespace of the container's own", () => {
    expect(check({ eth0: {} }, ["mount"])).toThrow("linux.netDevices.eth0: a container without a network namespace");
    expect(check({ eth0: { name: "" }, eth1: { name: "eth0123456789ab" } })).not.toThrow();
    expect(() => checkNetDevices(undefined, new Set())).not.toThrow();
  });
});

const canMove = process.getuid?.() === 0 && Bun.which("ip") !== null && Bun.which("nsenter") !== null;
if (!canMove) console.warn("skipped: moving network devices needs root, ip and nsenter");

describe.skipIf(!canMove)("moving", () => {
  let cleanup = new AsyncDisposableStack();
  afterEach(async () => {
    await cleanup.disposeAsync();
    cleanup = new AsyncDisposableStack();
  });

  /** A network namespace that lives until the test ends, and ip(8) in it. */
  async function network(...setup: string[]) {
    const child = Bun.spawn(["unshare", "--net", "sh", "-c", "echo ready; exec cat"], {
      stdin: "pipe",
      stdout: "pipe",
    });
    cleanup.defer(async () => {
      await child.stdin.end();
      await child.exited;
    });
    await child.stdout.getReader().read();
    const descriptor = openSync(`/proc/${child.pid}/ns/net`, "r");
    cleanup.defer(() => closeSync(descriptor));
    const ip = async (words: string) => {
      const run = Bun.spawn(["nsenter", `--net=/proc/${child.pid}/ns/net`, "ip", ...words.split(" ")], {
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr] = await Promise.all([run.stdout.text(), run.stderr.text()]);
      expect(stderr).toBe("");
      return stdout;
    };
    for (const words of setup) await ip(words);
    const socket = cleanup.use(await openRouteSocketIn(descriptor));
    return { descriptor, ip, socket };
  }

  interface Link {
    readonly ifname: string;
    readonly flags: readonly string[];
    readonly addr_info: readonly { readonly local: string; readonly prefixlen: number; readonly broadcast?: string }[];
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
    await moveNetDevices({ card: { name: "eth0" } }, container.descriptor, host.socket);
    expect(findLink(host.socket, "card")).toBeUndefined();
    const [link] = JSON.parse(await container.ip("-j addr show dev eth0")) as Link[];
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
    await moveNetDevices({ one: {}, two: { name: "" } }, container.descriptor, host.socket);
    expect(findLink(container.socket, "one")).toBeNumber();
    expect(findLink(container.socket, "two")).toBeNumber();
    await moveNetDevices({}, container.descriptor);
  });

  test("what cannot be moved is told by its place and the kernel's words", async () => {
    const host = await network("link add card type veth peer name far");
    const container = await network("link add taken type veth peer name far");
    const move = (devices: NetDevices) => moveNetDevices(devices, container.descriptor, host.socket);
    await expect(move({ gone: {} })).rejects.toThrow("linux.netDevices.gone: the host has no such network device");
    await expect(move({ card: { name: "taken" } })).rejects.toThrow(
      "move the network device card into the container: netlink taken: file exists (EEXIST)",
    );
    await expect(move({ lo: { name: "lo1" } })).rejects.toMatchObject({
      errnoName: "EINVAL",
      hint: expect.stringContaining("the kernel says: "),
    });
  });

  test("a descriptor that is no network namespace is refused", async () => {
    const file = openSync("/dev/null", "r");
    cleanup.defer(() => closeSync(file));
    await expect(openRouteSocketIn(file)).rejects.toThrow(
      "join the network namespace: setns: invalid argument (EINVAL)",
    );
  });
});
