import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { canConnect, NetworkLab } from "../helpers/network-lab.ts";
import { until } from "../helpers/until.ts";

const lan = ["-d", "macvlan", "-o", "parent=wan"] as const;

describe.skipIf(!canConnect)("containers in the host's own network", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
  });
  afterEach(() => lab.clear());
  afterAll(() => lab?.end());

  /** A device of the host's that nobody else is at. */
  const loneDevice = async (): Promise<AsyncDisposable> => {
    await lab.host.run("ip link add lone type veth peer name far; ip link set lone up");
    return { [Symbol.asyncDispose]: () => lab.host.run("ip link del lone") };
  };

  const mtuOf = async (name: string) => (await lab.must("exec", name, "cat", "/sys/class/net/eth0/mtu")).trim();

  test("send packets as large as the host's device does, or smaller ones", async () => {
    const addresses = ["--subnet", "192.0.2.0/24", "--gateway", "192.0.2.2"] as const;
    await lab.must("network", "create", ...lan, ...addresses, "lan");
    await lab.container("usual", "--network", "lan", "--ip", "192.0.2.20");
    expect(await mtuOf("usual")).toBe("1400");
    await lab.remove("usual");
    await lab.must("network", "rm", "lan");
    for (const option of ["mtu", "com.docker.network.driver.mtu"]) {
      await lab.must("network", "create", ...lan, "-o", `${option}=1300`, ...addresses, "small");
      const small = await lab.container("small", "--network", "small", "--ip", "192.0.2.20");
      expect(await mtuOf("small")).toBe("1300");
      expect(await small.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.20");
      await lab.remove("small");
      await lab.must("network", "rm", "small");
    }
  });

  test("have no larger packets than the host's device has, also when that takes fewer by now", async () => {
    const create = ["network", "create", ...lan, "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.2"] as const;
    const reason = "its mtu of 1401 is larger than that of its parent wan, which is 1400";
    expect(await lab.refused(...create, "-o", "mtu=1401", "lan")).toBe(`gocker: network lan: ${reason}`);
    await lab.must(...create, "-o", "mtu=1400", "lan");
    await lab.host.ip("link set wan mtu 1350");
    const run = ["run", "--rm", "--network", "lan", "--ip", "192.0.2.20", lab.image, "true"] as const;
    expect(await lab.refused(...run)).toContain("its mtu of 1400 is larger than that of its parent wan, which is 1350");
    await lab.host.ip("link set wan mtu 1400");
    await lab.must(...run);
  });

  test("never get an address that the host has, of whichever device and family, nor one that is kept free", async () => {
    await lab.host.ip("addr add 192.0.2.4/32 dev lo");
    const four = ["--subnet", "192.0.2.0/24", "--gateway", "192.0.2.2", "--aux-address", "nas=192.0.2.3"] as const;
    const six = ["--subnet", "2001:db8:1::/64", "--gateway", "2001:db8:1::2"] as const;
    await lab.must("network", "create", ...lan, ...four, ...six, "--aux-address", "nas=2001:db8:1::3", "lan");
    const one = await lab.container("one", "--network", "lan");
    expect(one.address).toBe("192.0.2.5");
    expect((await lab.networksOf("one")).Networks["lan"]?.GlobalIPv6Address).toBe("2001:db8:1::4");
    expect(await one.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.5");
    expect(await one.peer.ask("tcp", "2001:db8:1::2", 80)).toBe("outside 2001:db8:1::4");
    const [document] = JSON.parse(await lab.must("network", "inspect", "lan")) as [Record<string, unknown>];
    expect(document).toMatchObject({
      IPAM: {
        Config: [
          { Subnet: "192.0.2.0/24", Gateway: "192.0.2.2", AuxiliaryAddresses: { nas: "192.0.2.3" } },
          { Subnet: "2001:db8:1::/64", Gateway: "2001:db8:1::2", AuxiliaryAddresses: { nas: "2001:db8:1::3" } },
        ],
      },
    });
    await lab.must("create", "--name", "other", lab.image, "true");
    await lab.container("running");
    for (const [flag, address, whose] of [
      ["--ip", "192.0.2.1", "the host's own"],
      ["--ip", "192.0.2.4", "the host's own"],
      ["--ip6", "2001:db8:1::1", "the host's own"],
      ["--ip", "192.0.2.3", "kept free for nas"],
      ["--ip6", "2001:DB8:1:0::3", "kept free for nas"],
    ] as const) {
      const reason = expect.stringContaining(`cannot be a container's address in network lan: it is ${whose}`);
      expect(await lab.refused("run", "--rm", "--network", "lan", flag, address, lab.image, "true")).toEqual(reason);
      expect(await lab.refused("network", "connect", flag, address, "lan", "other")).toEqual(reason);
      expect(await lab.refused("network", "connect", flag, address, "lan", "running")).toEqual(reason);
    }
    await lab.must("start", "other");
    // One that is given already may become the host's.
    await lab.must("stop", "-t", "0", "one");
    await lab.host.ip("addr add 192.0.2.5/32 dev lo");
    await lab.must("start", "one");
    expect((await lab.running("one")).address).toBe("192.0.2.6");
    await lab.host.ip("addr del 192.0.2.5/32 dev lo");
    await lab.host.ip("addr del 192.0.2.4/32 dev lo");
  });

  test("have the host's device one at a time where all of it is passed through, and others are told so", async () => {
    await using _device = await loneDevice();
    const whole = ["-d", "macvlan", "-o", "parent=lone", "-o", "macvlan_mode=passthru", "--subnet", "10.99.0.0/24"];
    await lab.must("network", "create", ...whole, "whole");
    await lab.container("first", "--network", "whole");
    const reason =
      "gocker: the device lone is for one container alone in mode passthru, and first has it in network whole";
    expect(await lab.refused("run", "--rm", "--network", "whole", lab.image, "true")).toBe(reason);
    await lab.must("network", "create", "-d", "macvlan", "-o", "parent=lone", "--subnet", "10.98.0.0/24", "shared");
    expect(await lab.refused("run", "--rm", "--network", "shared", lab.image, "true")).toBe(reason);
    // The kernel takes the devices of a container away when that has ended, and the next one may be earlier.
    for (let round = 0; round < 10; round++) await lab.must("restart", "-t", "0", "first");
    await lab.remove("first");
    for (let round = 0; round < 10; round++) await lab.must("run", "--rm", "--network", "whole", lab.image, "true");
    // It may be somebody else's, whom nobody knows.
    const others = "ip link add link lone name others type macvlan mode passthru";
    await until("the last container has left it", () =>
      lab.host.run(others).then(
        () => true,
        () => false,
      ),
    );
    const other = await lab.gocker(["run", "--rm", "--network", "whole", lab.image, "true"]);
    expect(other).toMatchObject({ stdout: "", exitCode: 125 });
    expect(other.stderr).toContain("in mode passthru a device takes one container at a time");
  });

  test("have hardware addresses that nobody else has there, also right after the end of another one", async () => {
    await using _device = await loneDevice();
    await lab.must("network", "create", "-d", "macvlan", "-o", "parent=lone", "--subnet", "10.99.0.0/24", "lan");
    const same = ["--network", "lan", "--mac-address", "02:42:00:00:00:07"] as const;
    await lab.container("first", ...same);
    const reason = "gocker: the hardware address 02:42:00:00:00:07 is in use by container first";
    expect(await lab.refused("run", "--rm", ...same, lab.image, "true")).toBe(reason);
    for (let round = 0; round < 20; round++) await lab.must("restart", "-t", "0", "first");
    const bridge = await lab.container("second");
    for (let round = 0; round < 20; round++) {
      await lab.must("network", "connect", "lan", "second");
      await lab.must("network", "disconnect", "lan", "second");
    }
    expect(bridge.address).not.toBe("");
  });

  test("are in the network of an Ethernet device that is there", async () => {
    const create = ["network", "create", "-d", "macvlan", "--subnet", "192.0.2.0/24"] as const;
    for (const [reason, parent] of [
      ["network lan: lo is no Ethernet device", "lo"],
      ["network lan: the host has no network device nothing", "nothing"],
      ["network lan: the host has no network device wan.100, and gocker makes none of VLANs", "wan.100"],
    ] as const) {
      expect(await lab.refused(...create, "-o", `parent=${parent}`, "lan")).toContain(reason);
    }
    await lab.host.ip("link add wan.100 type veth peer name wan.101");
    await lab.must(...create, "-o", "parent=wan.100", "lan");
    await lab.host.ip("link del wan.100");
    expect(await lab.refused("run", "--rm", "--network", "lan", lab.image, "true")).toContain(
      "the host has no network device wan.100, and gocker makes none of VLANs",
    );
  });
});
