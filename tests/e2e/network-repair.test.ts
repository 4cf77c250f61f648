import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { nft } from "../helpers/firewall-networks.ts";
import { canConnect, NetworkLab } from "../helpers/network-lab.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canConnect)("what containers have of networks", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
  });
  afterEach(() => lab.clear());
  afterAll(() => lab?.end());

  const untilEnded = (name: string) =>
    until(
      `${name} is known to have ended`,
      async () => (await lab.must("ps", "-q", "--filter", `name=${name}`)) === "",
    );

  test("is gone from the host three seconds after the last one, however that ended", async () => {
    await lab.must("network", "create", "--ipv6", "blue");
    const web = await lab.container("web", "--rm", "-p", "8080:80", "--network", "blue", "--network", "bridge");
    expect(await lab.leftovers()).toEqual(expect.arrayContaining(["gocker0", "gocker1", "table inet gocker"]));
    expect(await lab.setting("ipv4/ip_forward")).toBe("1");
    expect(await lab.setting("ipv6/conf/all/forwarding")).toBe("1");
    // Of a process that was killed while it wrote.
    writeFileSync(`${lab.sandbox.state}/networks/endpoints/.${web.pid}-0-abc.new`, "");
    process.kill(web.pid, "SIGKILL");
    await until("nothing is left", async () => (await lab.leftovers()).length === 0, 3_500);
    await until("the sweeper has ended", () => lab.sandbox.processes().length === 0, 1_000);
  });

  test("is not taken away while another one starts, again and again", async () => {
    for (let round = 0; round < 3; round++) {
      const { stdout } = await lab.gocker(["run", "--rm", lab.image, "ping", "-c", "1", "-W", "2", "192.0.2.2"]);
      expect(stdout).toContain("1 packets received");
      await Promise.all(
        Array.from({ length: 3 }, () => lab.must("run", "--rm", lab.image, "ping", "-c1", "-W2", "10.77.0.1")),
      );
    }
    expect(lab.leases()).toEqual([]);
  });

  test("comes back after another program has removed all rules, by repair or by the next start", async () => {
    const web = await lab.container("web", "-p", "8080:80");
    await web.peer.listen("tcp", 80, "web");
    await nft(lab.host, ["flush", "ruleset"]);
    expect(await web.peer.askInVain("tcp", "192.0.2.2", 80)).not.toContain("outside");
    expect(await lab.must("network", "repair")).toContain("the table inet gocker of the firewall was not there");
    expect(await web.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8080)).toBe("web 192.0.2.2");
    expect(await lab.must("network", "repair")).toBe("Nothing was wrong.\n");

    await nft(lab.host, ["flush", "ruleset"]);
    await lab.container("next");
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8080)).toBe("web 192.0.2.2");
    expect(await web.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");

    await lab.host.ip("link del gocker0");
    expect(await lab.must("network", "repair")).toContain("the bridge gocker0 of network bridge was not there");
    expect(await web.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    expect(await lab.must("network", "repair")).toBe("Nothing was wrong.\n");
  });

  test("is put right by repair, which says what was wrong", async () => {
    const web = await lab.container("web", "-p", "8080:80");
    await web.peer.listen("tcp", 80, "web");
    const port = (await lab.devices()).find((name) => name.startsWith("veth")) ?? "";
    const bridge = "the bridge gocker0 of network bridge";
    for (const [damage, ...faults] of [
      ["sysctl -qw net.ipv4.ip_forward=0", "forwarding of IPv4 was off on this host"],
      ["ip addr flush dev gocker0", `${bridge} had lost its address 10.77.0.1`],
      ["ip link set gocker0 down", `${bridge} was down`],
      [`ip link set ${port} down`, "container web was not connected to network bridge"],
      [`ip link set ${port} nomaster down`, "container web was not connected to network bridge"],
      [
        "sysctl -qw net.ipv4.conf.gocker0.route_localnet=0",
        "ports of containers in network bridge could not be reached at 127.0.0.1",
      ],
      [`ip link del ${port}`, "container web had no device in network bridge"],
    ] as const) {
      await lab.host.run(damage);
      expect([damage, await lab.must("network", "repair")]).toEqual([
        damage,
        faults.map((fault) => `${fault}\n`).join(""),
      ]);
      expect([damage, await lab.atOutside.ask("tcp", "192.0.2.1", 8080)]).toEqual([damage, "web 192.0.2.2"]);
      expect([damage, await lab.atHost.ask("tcp", "127.0.0.1", 8080)]).toEqual([damage, "web 10.77.0.1"]);
      expect([damage, await web.peer.ask("tcp", "192.0.2.2", 80)]).toEqual([damage, "outside 192.0.2.1"]);
      expect([damage, await lab.must("network", "repair")]).toEqual([damage, "Nothing was wrong.\n"]);
    }
  });

  test("comes back with the next start when somebody has switched the forwarding of packets off", async () => {
    const web = await lab.container("web");
    await lab.host.run("sysctl -qw net.ipv4.ip_forward=0");
    await lab.container("next");
    expect(await web.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
  });

  test("is no device of somebody else's, which has the name of a bridge", async () => {
    const bridgeName = "com.docker.network.bridge.name=br-lan";
    await lab.must("network", "create", "-o", bridgeName, "--subnet", "10.89.0.0/24", "lan");
    await lab.host.run("ip link add br-lan type bridge");
    await lab.host.run("ip link add tap0 type veth peer name tap1");
    await lab.host.run("ip link set tap0 master br-lan");
    const { stderr, exitCode } = await lab.gocker(["run", "--rm", "--network", "lan", lab.image, "true"]);
    expect({ stderr: stderr.split("\n")[0], exitCode }).toEqual({
      stderr: "gocker: the bridge br-lan is not that of network lan",
      exitCode: 125,
    });
    await lab.must("network", "rm", "lan");
    expect((await lab.devices()).toSorted()).toEqual(expect.arrayContaining(["br-lan", "tap0", "tap1"]));
    await lab.host.run("ip link del br-lan");
    await lab.host.run("ip link del tap0");

    await until("the bridge is gone", async () => !(await lab.devices()).includes("gocker0"));
    await lab.host.run("ip link add gocker0 type bridge");
    const web = await lab.container("web");
    expect(await web.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    await lab.remove("web");
    await until("the other bridge is gone", async () => Bun.deepEquals(await lab.devices(), ["gocker0"]));
    await lab.host.run("ip link del gocker0");
  });

  test("has routes from routers again when the host does not forward IPv6 any more", async () => {
    const accepted = () => lab.setting("ipv6/conf/wan/accept_ra");
    await lab.host.run("sysctl -qw net.ipv6.conf.wan.accept_ra=1");
    await lab.must("network", "create", "--ipv6", "blue");
    await lab.container("web", "--network", "blue");
    expect(await accepted()).toBe("2");
    await lab.remove("web");
    await until("it is as before", async () => (await accepted()) === "1");
  });

  test("is given back by the next command when its monitor was killed", async () => {
    const web = await lab.container("web", "-p", "8080:80");
    await lab.silence();
    process.kill(lab.monitorOf(web), "SIGKILL");
    await untilEnded("web");
    expect(lab.leases()).toEqual([]);
    expect(await lab.atOutside.askInVain("tcp", "192.0.2.1", 8080)).toBe("ECONNREFUSED");
    const next = await lab.container("next", "-p", "8080:80");
    expect(next.address).toBe(web.address);
    await next.peer.listen("tcp", 80, "next");
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8080)).toBe("next 192.0.2.2");
  });

  test("is given back when gocker itself was killed in the foreground, at any moment of its start", async () => {
    for (const delay of [20, 60, 100, 200]) {
      const run = lab.start(["run", "--rm", "--name", `at${delay}`, lab.image, "sleep", "1000"]);
      await Bun.sleep(delay);
      run.kill("SIGKILL");
      await run.exited;
    }
    await untilEnded("at");
    await lab.must("network", "repair");
    expect(lab.leases()).toEqual([]);
    const next = await lab.container("next", "-p", "8080:80");
    await next.peer.listen("tcp", 80, "next");
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8080)).toBe("next 192.0.2.2");
  });

  test("survives the removal of what another engine would have needed: forwarding that was on stays on", async () => {
    const by = [...lab.host.by, "sh", "-c"];
    // Forwarding that gocker itself has switched on for those before is switched off with their bridge.
    await until("the bridge is gone", async () => (await lab.devices()).length === 0);
    expect(Bun.spawnSync([...by, "echo 1 >/proc/sys/net/ipv4/ip_forward"]).exitCode).toBe(0);
    await lab.container("web");
    await lab.remove("web");
    await until("the bridge is gone", async () => (await lab.devices()).length === 0);
    expect(await lab.setting("ipv4/ip_forward")).toBe("1");
    expect(Bun.spawnSync([...by, "echo 0 >/proc/sys/net/ipv4/ip_forward"]).exitCode).toBe(0);
  });
});
