import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { canConnect, NetworkLab } from "../helpers/network-lab.ts";
import { until } from "../helpers/until.ts";

const protocols = ["tcp", "udp"] as const;

describe.skipIf(!canConnect)("containers in networks", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
  });
  afterEach(() => lab.clear());
  afterAll(() => lab?.end());

  test("are not made where a container is only shown", async () => {
    expect(await lab.must("run", "--explain=only", lab.image, "true")).toContain("clone3");
    expect(await lab.leftovers()).toEqual([]);
  });

  test("that ask for none get out, where the host is seen, and reach each other", async () => {
    const [one, other] = [await lab.container("one"), await lab.container("other")];
    expect([one.address, other.address]).toEqual(["10.77.0.2", "10.77.0.3"]);
    for (const protocol of protocols) {
      expect(await one.peer.ask(protocol, "192.0.2.2", 80)).toBe("outside 192.0.2.1");
      await other.peer.listen(protocol, 80, "other");
      expect(await one.peer.ask(protocol, other.address, 80)).toBe("other 10.77.0.2");
    }
    // From outside nobody comes in, even who sends to the right address.
    await lab.outside.ip("route add 10.77.0.0/16 via 192.0.2.1");
    expect(await lab.atOutside.askInVain("tcp", other.address, 80)).not.toContain("other");
    await lab.outside.ip("route del 10.77.0.0/16");
  });

  test("have their address in /etc/hosts, the host's name servers, and what exec runs is in there too", async () => {
    const { id } = await lab.container("one", "--dns", "192.0.2.2", "--dns-search", "example.org");
    const inside = (...words: string[]) => lab.must("exec", "one", ...words);
    expect(await inside("cat", "/etc/hosts")).toContain(`10.77.0.2\t${id.slice(0, 12)}\n`);
    expect(await inside("cat", "/etc/resolv.conf")).toBe("nameserver 192.0.2.2\nsearch example.org\n");
    expect(await inside("ip", "-4", "-o", "addr", "show", "eth0")).toContain("10.77.0.2/16 brd 10.77.255.255");
    expect(await inside("ip", "route")).toBe(
      "default via 10.77.0.1 dev eth0 \n10.77.0.0/16 dev eth0 scope link  src 10.77.0.2 \n",
    );
    expect(await inside("nslookup", "-type=a", "anything.example")).toContain("192.0.2.53");
    // No addresses of IPv6 that it did not get, not even of its link.
    expect(await inside("ip", "-6", "-o", "addr", "show", "eth0")).toBe("");
  });

  test("send no larger packets than the host's way out takes", async () => {
    // A bridge that has been without containers for a moment has not forgotten it.
    await lab.remove((await lab.container("before")).name);
    await lab.untilLeft([]);
    const one = await lab.container("one");
    const devices = await lab.host.devices();
    expect(devices.find(({ ifname }) => ifname === "gocker0")?.mtu).toBe(1400);
    await lab.atOutside.echo(7);
    expect(await one.peer.transfer("192.0.2.2", 7, 20_000_000)).toBe("20000000 bytes came back");
  });

  // What comes by a port when its bridge is gone is the host's: a router's words would be believed (CVE-2020-13401).
  test("have nothing of IPv6 at the host's end of their devices, neither from their start on nor when they are connected", async () => {
    await lab.must("network", "create", "blue");
    await lab.container("web");
    await lab.must("network", "connect", "blue", "web");
    await lab.host.run("ip link del gocker0; ip link del gocker1");
    const ports = (await lab.devices()).filter((name) => name.startsWith("veth"));
    expect(ports).toHaveLength(2);
    const settings = ports.map((port) => `/proc/sys/net/ipv6/conf/${port}/disable_ipv6`);
    await lab.host.run(`test "$(cat ${settings.join(" ")} | tr -d '\\n')" = 11`);
  });

  test("of different networks are apart, also by the other's address of the host", async () => {
    await lab.must("network", "create", "blue");
    await lab.must("network", "create", "red");
    const [blue, red, none] = [
      await lab.container("blue1", "--network", "blue"),
      await lab.container("red1", "--network", "red"),
      await lab.container("usual"),
    ];
    for (const [from, to] of [
      [blue, red],
      [red, blue],
      [none, blue],
      [blue, none],
    ] as const) {
      await to.peer.listen("tcp", 80, to.name, "0.0.0.0").catch(() => {});
      expect(await from.peer.askInVain("tcp", to.address, 80)).not.toContain(to.name);
    }
    const both = await lab.container("both", "--network", "blue", "--network", "red");
    expect(await both.peer.ask("tcp", red.address, 80)).toStartWith("red1 ");
    expect(await both.peer.ask("tcp", blue.address, 80)).toStartWith("blue1 ");
    expect(await blue.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
  });

  test("of an internal network have no way out, no names of outside, and nothing of the host's but its own address", async () => {
    await lab.must("network", "create", "--internal", "inner");
    await lab.host.ip("addr add 169.254.169.254/32 dev lo");
    await lab.atHost.listen("tcp", 8169, "metadata", "169.254.169.254");
    const [one, other] = [
      await lab.container("one", "--network", "inner", "--dns", "192.0.2.2"),
      await lab.container("other", "--network", "inner"),
    ];
    await other.peer.listen("tcp", 80, "other");
    expect(await one.peer.ask("tcp", other.address, 80)).toBe(`other ${one.address}`);
    expect(await one.peer.resolve("other")).toBe(other.address);
    expect(await one.peer.resolve("example.org")).toBe("SERVFAIL");
    const outside = await one.peer.askInVain("tcp", "192.0.2.2", 80);
    expect(["ENETUNREACH", "nothing"]).toContain(outside);
    // Root in the container may ask for the way that it was not given.
    const gateway = one.address.replace(/\d+$/, "1");
    const by = ["nsenter", `--net=/proc/${one.pid}/ns/net`, "ip", "route", "add", "default", "via", gateway];
    expect(Bun.spawnSync(by).exitCode).toBe(0);
    expect(await one.peer.askInVain("tcp", "192.0.2.2", 80)).not.toContain("outside");
    expect(await one.peer.askInVain("tcp", "169.254.169.254", 8169)).not.toContain("metadata");
    await lab.host.ip("addr del 169.254.169.254/32 dev lo");
  });

  test("of an internal network do not reach ports that are published for others, which gocker itself passes on", async () => {
    await lab.must("network", "create", "--internal", "--ipv6", "inner");
    const inner = await lab.container("inner", "--network", "inner");
    const web = await lab.container("web", "-p", "8080:80", "-p", "8080:80/udp");
    await web.peer.listen("tcp", 80, "web");
    await web.peer.listen("udp", 80, "web");
    const gateways = await lab.inspect(
      "inner",
      "{{with .NetworkSettings.Networks.inner}}{{.Gateway}} {{.IPv6Gateway}}{{end}}",
    );
    for (const protocol of ["tcp", "udp"] as const) {
      expect(await lab.atHost.ask(protocol, "::1", 8080)).toStartWith("web ");
      for (const address of gateways.split(" ")) {
        expect([address, await inner.peer.askInVain(protocol, address, 8080)]).toEqual([address, "nothing"]);
      }
    }
  });

  test("have IPv6 both ways where the network has it", async () => {
    await lab.must("network", "create", "--ipv6", "--subnet", "fd00:99::/64", "six");
    const [one, other] = [
      await lab.container("one", "--network", "six", "-p", "8086:80"),
      await lab.container("other", "--network", "six", "--ip6", "fd00:99::77"),
    ];
    // As long as the bridge was not sure of an address, the host would not ask for containers.
    expect(await lab.host.ip("-6 -o addr show dev gocker1 tentative")).toBe("");
    await one.peer.listen("tcp", 80, "one");
    expect(await one.peer.ask("tcp", "2001:db8:1::2", 80)).toBe("outside 2001:db8:1::1");
    expect(await one.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    expect(await other.peer.resolve("one", "AAAA")).toBe("fd00:99::2");
    expect(await one.peer.resolve("other", "AAAA", { protocol: "tcp" })).toBe("fd00:99::77");
    expect(await other.peer.ask("tcp", "fd00:99::2", 80)).toBe("one fd00:99::77");
    expect(await lab.atOutside.ask("tcp", "2001:db8:1::1", 8086)).toBe("one 2001:db8:1::2");
    expect(await lab.atHost.ask("tcp", "::1", 8086)).toStartWith("one ");
  });

  test("get the addresses that are asked for, or a reason why not", async () => {
    await lab.must("network", "create", "--subnet", "10.99.0.0/24", "--ip-range", "10.99.0.128/25", "blue");
    const flags = ["--network", "blue", "--ip", "10.99.0.7", "--mac-address", "02:42:00:00:00:07"];
    const one = await lab.container("one", ...flags);
    expect(one.address).toBe("10.99.0.7");
    const { Networks } = await lab.networksOf("one");
    expect(Networks["blue"]).toMatchObject({ MacAddress: "02:42:00:00:00:07", IPPrefixLen: 24, Gateway: "10.99.0.1" });
    expect(await lab.must("exec", "one", "cat", "/sys/class/net/eth0/address")).toBe("02:42:00:00:00:07\n");
    expect((await lab.container("other", "--network", "blue")).address).toBe("10.99.0.128");
    const refuse = (...words: string[]) => lab.refused("run", "--rm", ...words, lab.image, "true");
    expect(await refuse("--network", "blue", "--ip", "10.99.0.7")).toContain("10.99.0.7 is in use by container");
    expect(await refuse("--network", "blue", "--ip", "10.98.0.7")).toContain("10.98.0.7 is no address of network blue");
    expect(await refuse("--network", "blue", "--ip", "10.99.0.1")).toContain("it is the network's own");
    expect(await refuse("--network", "blue", "--ip6", "fd00::1")).toContain("no addresses of IPv6");
    expect(await refuse("--network", "green")).toContain("no such network: green");
    expect(await refuse("--network", "blue", "--network", Networks["blue"]?.NetworkID ?? "")).toContain("blue");
  });

  test("of several networks get out by the one with the highest priority, where their ports are too", async () => {
    await lab.must("network", "create", "--subnet", "10.98.0.0/24", "blue");
    await lab.must("network", "create", "--subnet", "10.99.0.0/24", "--ipv6", "red");
    const words = ["--network", "blue", "--network", "name=red,gw-priority=10", "-p", "8080:80"] as const;
    const one = await lab.container("one", ...words);
    const route = async () => (await lab.must("exec", "one", "ip", "route", "show", "default")).split(" ")[2];
    expect(await route()).toBe("10.99.0.1");
    expect(await one.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    await one.peer.listen("tcp", 80, "one", "10.99.0.2");
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8080)).toBe("one 192.0.2.2");
    expect(await lab.inspect("one", "{{.NetworkSettings.Networks.red.GwPriority}}")).toBe("10");
    await lab.silence("one");
    await lab.must("stop", "-t", "0", "one");
    await lab.must("network", "disconnect", "blue", "one");
    await lab.must("network", "connect", "--gw-priority", "11", "blue", "one");
    await lab.must("start", "one");
    expect(await route()).toBe("10.98.0.1");
    const refused = await lab.gocker(["network", "connect", "--gw-priority", "x", "bridge", "one"]);
    expect(refused.stderr).toContain('invalid --gw-priority "x": it is no whole number');
  });

  test("run in the smallest networks that there are, with the smallest packets and the largest", async () => {
    const two = ["--subnet", "10.99.0.6/31", "--subnet", "fd00:99::6/127"] as const;
    await lab.must("network", "create", ...two, "-o", "mtu=1280", "two");
    const one = await lab.container("one", "--network", "two");
    expect(one.address).toBe("10.99.0.7");
    expect(await one.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    expect(await one.peer.ask("tcp", "2001:db8:1::2", 80)).toBe("outside 2001:db8:1::1");
    const full = await lab.gocker(["run", "--rm", "--network", "two", lab.image, "true"]);
    expect([full.exitCode, full.stderr]).toEqual([125, expect.stringContaining("the network has no address left")]);
    for (const [mtu, ...words] of [
      ["68", "--subnet", "240.0.0.0/29"],
      ["65535", "--ipv6"],
    ] as const) {
      await lab.must("network", "create", "-o", `mtu=${mtu}`, ...words, `of${mtu}`);
      const inside = ["run", "--rm", "--network", `of${mtu}`, lab.image, "cat", "/sys/class/net/eth0/mtu"] as const;
      expect(await lab.must(...inside)).toBe(`${mtu}\n`);
    }
  });

  test("share a network by --network container:, and lose it with the one whose it is", async () => {
    const one = await lab.container("one", "-p", "8080:80");
    const serve = ["lab-httpd", "--network", "container:one", lab.image, "httpd", "-f", "-h", "/etc", "-p", "80"];
    await lab.must("run", "-d", "--name", ...serve);
    const isThere = ["exec", "lab-httpd", "nc", "-z", "127.0.0.1", "80"];
    await until("the server is there", async () => (await lab.gocker(isThere)).exitCode === 0);
    expect(await lab.must("exec", "lab-httpd", "ip", "-4", "-o", "addr", "show", "eth0")).toContain(one.address);
    const fetch = ["wget", "-qO-", "-T2", "http://192.0.2.1:8080/hostname"];
    expect(await lab.must("run", "--rm", "--network", "container:one", lab.image, ...fetch)).toBe(
      `${one.id.slice(0, 12)}\n`,
    );
    // The address is the next one's as soon as its owner has ended, also while somebody is in that network yet.
    await lab.must("kill", "one");
    await until("it has ended", async () => (await lab.inspect("one", "{{.State.Status}}")) === "exited");
    const beside = await lab.running("lab-httpd");
    const next = await lab.container("next");
    expect(next.address).toBe(one.address);
    expect(await beside.peer.askInVain("tcp", "192.0.2.2", 80)).not.toContain("outside");
    expect(await next.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    await next.peer.listen("tcp", 80, "next");
    for (let round = 0; round < 5; round++) expect(await lab.atHost.ask("tcp", next.address, 80)).toStartWith("next ");
  });

  test("of a network whose addresses the host has come to use get others", async () => {
    await lab.host.ip("link add used type veth peer name other");
    await lab.host.ip("addr add 10.77.3.1/24 dev used");
    await lab.host.ip("link set used up");
    // A macvlan network has none of its parent's addresses.
    await lab.must("network", "create", "-d", "macvlan", "--subnet", "10.99.0.0/24", "-o", "parent=used", "lan");
    const one = await lab.container("one");
    expect(one.address).toMatch(/^172\.24\.0\.2$/);
    expect(await one.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    const refused = await lab.gocker(["network", "create", "--subnet", "10.77.0.0/16", "blue"]);
    expect(refused).toMatchObject({ stdout: "", exitCode: 125 });
    expect(refused.stderr).toContain("overlaps 10.77.3.0/24, which the host uses otherwise");
    await lab.must("network", "rm", "lan");
    await lab.host.ip("link del used");
  });
});
