import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Linux, RuntimeSpec } from "../../src/oci/runtime-spec.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { canMakeNetworks, type DeviceFacts, devicesAt, NetworkNamespace } from "../helpers/network-namespace.ts";

const types = ["pid", "ipc", "uts", "mount"] as const;

/** A container with such devices, in a network namespace that is new or has a path. */
function withDevices(netDevices: Linux["netDevices"], path?: string): NonNullable<RuntimeSpec["linux"]> {
  const network = { type: "network" as const, ...(path !== undefined && { path }) };
  return { netDevices: netDevices ?? {}, namespaces: [...types.map((type) => ({ type })), network] };
}

function addressesOf({ addr_info }: DeviceFacts): string[] {
  return addr_info.filter(({ scope }) => scope !== "link").map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

// gocker runs in a network namespace of the test's own: what is the host's to it are pairs of devices made there.
describe.skipIf(!canRunBundles || !canMakeNetworks)("network devices of the host", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  async function create(host: NetworkNamespace, id: string, change: BundleChange): Promise<string> {
    const bundle = sandbox.bundle({ ...change, process: { args: ["sleep", "1000"], ...change.process } });
    return (await sandbox.oci(["create", "--bundle", bundle, id], { by: host.by })).stderr;
  }

  test("come with their addresses, under their new names, before the hooks run, and leave the host", async () => {
    await using host = await NetworkNamespace.create(
      "link add card type veth peer name far",
      "link set card mtu 1789 address 02:11:22:33:44:55",
      "addr add 192.0.2.7/24 dev card",
      "addr add 127.0.0.33 scope host dev card",
      "addr add 198.51.100.1/32 valid_lft 1000 preferred_lft 1000 dev card",
      "addr add 2001:db8::7/64 nodad dev card",
      "link set card up",
    );
    const seen = join(sandbox.directory, "seen");
    const script = `nsenter --net=/proc/$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/')/ns/net ip link show lan0 > ${seen}`;
    const hooks = { prestart: [{ path: "/bin/sh", args: ["sh", "-c", script] }] };
    const linux = withDevices({ card: { name: "lan0" }, far: {} });
    expect(await create(host, "devices-moved", { linux, spec: { hooks } })).toBe("");
    const { pid, status } = await sandbox.state("devices-moved");
    expect(status).toBe("created");
    const devices = await devicesAt(`/proc/${pid}/ns/net`);
    expect(devices.map(({ ifname }) => ifname).toSorted()).toEqual(["far", "lan0"]);
    for (const { flags } of devices) expect(flags).toContain("UP");
    const card = devices.find(({ ifname }) => ifname === "lan0") as DeviceFacts;
    expect(card).toMatchObject({ mtu: 1789, address: "02:11:22:33:44:55" });
    expect(addressesOf(card)).toEqual(["192.0.2.7/24", "2001:db8::7/64"]);
    expect(await host.devices()).toEqual([]);
    expect(readFileSync(seen, "utf8")).toContain("mtu 1789");
    expect(await sandbox.oci(["delete", "--force", "devices-moved"], { by: host.by })).toMatchObject({ exitCode: 0 });
  });

  test("come to a container in a user namespace of its own", async () => {
    await using host = await NetworkNamespace.create("link add card type veth peer name far");
    const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const linux = withDevices({ card: { name: "lan0" } });
    const namespaces = [...(linux.namespaces ?? []), { type: "user" as const }];
    const users = { ...linux, namespaces, uidMappings: mappings, gidMappings: mappings };
    const bundle = sandbox.bundle({
      linux: { ...users, sysctl: { "net.ipv4.conf.lan0.forwarding": "1" } },
      process: { args: ["cat", "/proc/self/uid_map", "/proc/sys/net/ipv4/conf/lan0/forwarding"] },
    });
    const { stdout, stderr } = await sandbox.oci(["run", "--bundle", bundle, "devices-mapped"], { by: host.by });
    expect({ words: stdout.trim().split(/\s+/), stderr }).toEqual({ words: ["0", "100000", "65536", "1"], stderr: "" });
    expect((await host.devices()).map(({ ifname }) => ifname)).not.toContain("card");
  });

  test("a device's own settings can be given with it", async () => {
    await using host = await NetworkNamespace.create("link add card type veth peer name far");
    const linux = { ...withDevices({ card: {} }), sysctl: { "net.ipv4.conf.card.forwarding": "1" } };
    const bundle = sandbox.bundle({
      linux,
      process: { args: ["cat", "/proc/sys/net/ipv4/conf/card/forwarding", "/sys/class/net/card/flags"] },
    });
    expect(await sandbox.oci(["run", "--bundle", bundle, "set"], { by: host.by })).toEqual({
      stdout: "1\n0x1003\n",
      stderr: "",
      exitCode: 0,
    });
  });

  test("stay in a namespace that is not the container's alone", async () => {
    await using host = await NetworkNamespace.create(
      "link add card type veth peer name far",
      "addr add 192.0.2.7/24 dev card",
    );
    await using shared = await NetworkNamespace.create("link add net0 type veth peer name far");
    expect(await create(host, "devices-joined", { linux: withDevices({ card: { name: "net%d" } }, shared.path) })).toBe(
      "",
    );
    expect(await sandbox.oci(["delete", "--force", "devices-joined"])).toMatchObject({ exitCode: 0 });
    expect((await host.devices()).map(({ ifname }) => ifname)).toEqual(["far"]);
    const device = (await shared.devices()).find(({ ifname }) => ifname === "net1") as DeviceFacts;
    expect(device.flags).toContain("UP");
    expect(addressesOf(device)).toEqual(["192.0.2.7/24"]);
  });

  test("stay the host's, as they were, when one of them cannot come", async () => {
    await using host = await NetworkNamespace.create("link add card type veth peer name far", "link set card up");
    await using shared = await NetworkNamespace.create("link add taken type veth peer name far");
    const before = await host.devices();
    expect(await create(host, "devices-failed", { linux: withDevices({ card: {}, gone: {} }) })).toBe(
      "gocker: linux.netDevices.gone: the host has no such network device\n",
    );
    expect(await create(host, "devices-failed", { linux: withDevices({ card: { name: "taken" } }, shared.path) })).toBe(
      "gocker: linux.netDevices.card: the container's network namespace has a device taken already\n",
    );
    expect(
      await create(host, "devices-failed", {
        linux: { ...withDevices({ card: {} }), namespaces: types.map((type) => ({ type })) },
      }),
    ).toBe("gocker: linux.netDevices.card: unable to move network devices without a network namespace\n");
    expect(await create(host, "devices-failed", { linux: withDevices({ card: {} }, host.path) })).toContain(
      "unable to move network devices without a network namespace",
    );
    expect(await host.devices()).toEqual(before);
    expect((await sandbox.oci(["list", "--quiet"])).stdout).toBe("");
  });

  test("features tells of them", async () => {
    const { stdout } = await sandbox.oci(["features"]);
    expect(JSON.parse(stdout)).toMatchObject({ linux: { netDevices: { enabled: true } } });
  });
});
