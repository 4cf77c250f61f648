import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { canConnect, NetworkLab } from "../helpers/network-lab.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canConnect)("gocker network", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
  });
  afterEach(() => lab.clear());
  afterAll(() => lab?.end());

  /** Those who tell names to containers without a monitor. */
  const helpers = () =>
    lab.sandbox.processes().filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("gocker-names\0"));

  test("create, ls and inspect tell of a network as Docker does, and its bridge comes with its first container", async () => {
    const id = (await lab.must("network", "create", "--label", "a=b", "--opt", "mtu=1300", "blue")).trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const list = ["network", "ls", "--filter", "type=custom", "--format"];
    expect(await lab.must(...list, "{{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Labels}}")).toBe(
      "blue bridge local false a=b\n",
    );
    expect(await lab.must("network", "ls", "-q", "--filter", "name=blue")).toBe(`${id.slice(0, 12)}\n`);
    expect(await lab.must("network", "ls", "-q", "--filter", "dangling=false")).not.toContain(id.slice(0, 12));
    expect(await lab.devices()).not.toContain("gocker1");
    const web = await lab.container("web", "--network", id.slice(0, 12), "--network-alias", "www");
    const bridge = (await lab.host.devices()).find(({ ifname }) => ifname === "gocker1");
    expect(bridge?.mtu).toBe(1300);
    const [document] = JSON.parse(await lab.must("network", "inspect", "blue")) as [Record<string, unknown>];
    expect(document).toMatchObject({
      Name: "blue",
      Id: id,
      Scope: "local",
      Driver: "bridge",
      EnableIPv6: false,
      IPAM: { Driver: "default", Config: [{ Subnet: "10.78.0.0/24", Gateway: "10.78.0.1" }] },
      Internal: false,
      Containers: { [web.id]: { Name: "web", IPv4Address: "10.78.0.2/24", IPv6Address: "" } },
      Options: { mtu: "1300" },
      Labels: { a: "b" },
    });
    expect(await lab.inspect("web", "{{json .NetworkSettings.Networks.blue.Aliases}}")).toBe('["www"]');
    expect(await lab.must("inspect", "-f", "{{.Driver}}", "blue")).toBe("bridge\n");
    expect(await lab.must("ps", "--format", "{{.Networks}}")).toBe("blue\n");
  });

  test("host and none are networks as well, which nobody makes, changes or removes", async () => {
    expect(await lab.must("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")).toBe(
      "bridge bridge local\nhost host local\nnone null local\n",
    );
    expect(await lab.must("network", "ls", "--filter", "dangling=true", "-q")).toBe("");
    expect(await lab.must("network", "ls", "--filter", "type=custom", "-q")).toBe("");
    const id = (await lab.must("network", "ls", "-q", "--no-trunc", "--filter", "driver=null")).trim();
    const alone = await lab.container("alone", "--network", "none");
    const [document] = JSON.parse(await lab.must("network", "inspect", id.slice(0, 10))) as unknown[];
    expect(document).toMatchObject({
      Name: "none",
      Id: id,
      Driver: "null",
      IPAM: { Config: [] },
      Containers: { [alone.id]: { Name: "alone", MacAddress: "", IPv4Address: "", IPv6Address: "" } },
    });
    const refusal = /^gocker: network (host|none) is always there, and is neither removed nor connected to$/;
    expect(await lab.refused("network", "rm", "host")).toMatch(refusal);
    expect(await lab.refused("network", "rm", id)).toMatch(refusal);
    expect(await lab.refused("network", "connect", "host", "alone")).toMatch(refusal);
    expect(await lab.refused("network", "disconnect", "none", "alone")).toMatch(refusal);
  });

  test("create refuses what cannot be", async () => {
    await lab.must("network", "create", "--subnet", "10.99.0.0/24", "blue");
    for (const [reason, ...words] of [
      ["there is a network blue already", "blue"],
      ["invalid network name", "a/b"],
      ["a network cannot be called host", "host"],
      ["a network cannot be called bridge", "--internal", "bridge"],
      ["overlaps 10.99.0.0/24, which another network has", "--subnet", "10.99.0.0/16", "red"],
      ["overlaps 192.0.2.0/24, which the host uses otherwise", "--subnet", "192.0.2.128/25", "red"],
      ["it begins with 10.98.0.0/24", "--subnet", "10.98.0.7/24", "red"],
      ["is in none of the network's subnets", "--subnet", "10.98.0.0/24", "--gateway", "10.97.0.1", "red"],
      ["has no address for a container", "--subnet", "10.98.0.1/32", "red"],
      ["224.0.7.0/24 cannot be a network's", "--subnet", "224.0.7.0/24", "red"],
      ["::1/128 cannot be a network's", "--subnet", "::1/128", "red"],
      ["invalid --opt mtu=67", "-o", "mtu=67", "red"],
      ["no network driver", "-d", "overlay", "red"],
      ["needs the device of the host", "-d", "macvlan", "red"],
      ["has no option", "-o", "nonsense=1", "red"],
    ] as const) {
      expect([words, await lab.refused("network", "create", ...words)]).toEqual([
        words,
        expect.stringContaining(reason),
      ]);
    }
    expect(await lab.must("network", "ls", "-q", "--filter", "type=custom")).toHaveLength(13);
  });

  test("connect and disconnect refuse what cannot be, and change nothing then", async () => {
    await lab.must("network", "create", "--subnet", "10.99.0.0/24", "blue");
    await lab.must("network", "create", "red");
    const web = await lab.container("web", "--network", "blue");
    await lab.must("run", "-d", "--name", "apart", "--network", "none", lab.image, "sleep", "1000");
    await lab.container("red1", "--network", "red");
    for (const [reason, ...words] of [
      ["no such network: green", "connect", "green", "web"],
      ["no such container: wep", "connect", "red", "wep"],
      ["is in network blue already", "connect", "blue", "web"],
      ["has no network of gocker's", "connect", "blue", "apart"],
      ["10.99.0.2 is in use by container", "connect", "--ip", "10.99.0.2", "blue", "red1"],
      ["is no address of network blue", "connect", "--ip", "10.98.0.2", "blue", "red1"],
      ["is not in network red", "disconnect", "red", "web"],
      ["no such network: green", "disconnect", "green", "web"],
    ] as const) {
      expect([words, await lab.refused("network", ...words)]).toEqual([words, expect.stringContaining(reason)]);
    }
    expect(Object.keys((await lab.networksOf("red1")).Networks)).toEqual(["red"]);
    await lab.must("network", "connect", "--ip", "10.99.0.50", "blue", "red1");
    const red1 = await lab.running("red1");
    await web.peer.listen("tcp", 80, "web");
    expect(await red1.peer.ask("tcp", "10.99.0.2", 80)).toBe("web 10.99.0.50");
    expect(await lab.must("exec", "red1", "ip", "-o", "-4", "addr", "show", "eth1")).toContain("10.99.0.50/24");
    // Its way out was by the other one, and stays when that goes.
    await lab.must("network", "disconnect", "red", "red1");
    expect(await red1.peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    await lab.must("restart", "-t", "0", "red1");
    expect((await lab.running("red1")).address).toBe("10.99.0.50");
    // Of one that does not run it is noted.
    await lab.must("stop", "-t", "0", "red1");
    await lab.must("network", "connect", "red", "red1");
    await lab.must("start", "red1");
    expect(Object.keys((await lab.networksOf("red1")).Networks).toSorted()).toEqual(["blue", "red"]);
  });

  test("connect refuses addresses for a container that does not run as for one that does, but those that are in use", async () => {
    await lab.must("network", "create", "--subnet", "10.99.0.0/24", "--aux-address", "nas=10.99.0.9", "blue");
    await lab.container("web", "--network", "blue");
    await lab.must("create", "--name", "rest", lab.image, "true");
    for (const [reason, ...words] of [
      ["1.2.3.4 is no address of network blue", "--ip", "1.2.3.4"],
      ["10.99.0.255 cannot be a container's address", "--ip", "10.99.0.255"],
      ["10.99.0.1 cannot be a container's address", "--ip", "10.99.0.1"],
      ["10.99.0.9 cannot be a container's address in network blue: it is kept free for nas", "--ip", "10.99.0.9"],
      ["network blue has no addresses of IPv6", "--ip6", "fd00::9"],
    ] as const) {
      expect(await lab.refused("network", "connect", ...words, "blue", "rest")).toContain(reason);
    }
    expect(Object.keys((await lab.networksOf("rest")).Networks)).toEqual(["bridge"]);
    await lab.must("network", "connect", "--ip", "10.99.0.2", "blue", "rest");
    expect(await lab.refused("start", "rest")).toContain("the address 10.99.0.2 is in use by container");
    await lab.remove("web");
    await lab.must("start", "rest");
  });

  test("connect leaves a device alone that the container has made", async () => {
    await lab.must("network", "create", "--subnet", "10.99.0.0/24", "blue");
    await lab.container("web", "--cap-add", "NET_ADMIN");
    await lab.must("exec", "web", "ip", "link", "add", "name", "eth1", "type", "bridge");
    await lab.must("network", "connect", "blue", "web");
    expect(await lab.must("exec", "web", "ip", "-o", "-4", "addr", "show", "eth2")).toContain("10.99.0.2/24");
    await lab.must("network", "disconnect", "blue", "web");
    expect(await lab.must("exec", "web", "ip", "link", "show", "eth1")).toContain("eth1");
  });

  test("connect gives a container of the default network the names of the other one at once", async () => {
    await lab.must("network", "create", "blue");
    const usual = await lab.container("usual");
    const web = await lab.container("web", "--network", "blue");
    const files = () => lab.must("exec", "usual", "cat", "/etc/resolv.conf", "/etc/hosts");
    expect(await files()).not.toContain("127.0.0.11");
    await lab.must("network", "connect", "blue", "usual");
    expect(await lab.must("exec", "usual", "ping", "-c", "1", "-W", "1", web.address)).toContain("1 packets received");
    expect(await usual.peer.resolve("web")).toBe(web.address);
    expect(await lab.must("exec", "usual", "ping", "-c", "1", "-W", "1", "web")).toContain("1 packets received");
    const own = await lab.inspect("usual", "{{.NetworkSettings.Networks.blue.IPAddress}}");
    expect(await web.peer.resolve("usual")).toBe(own);
    expect(await files()).toContain("nameserver 127.0.0.11\n");
    expect(await files()).toContain(`${usual.address}\t${usual.id.slice(0, 12)}\n${own}\t${usual.id.slice(0, 12)}\n`);
    await lab.must("network", "disconnect", "blue", "usual");
    expect(await files()).not.toContain(own);
    await lab.must("network", "connect", "blue", "usual");
    await lab.must("restart", "-t", "0", "usual");
    expect(await (await lab.running("usual")).peer.resolve("web")).toBe(web.address);
    expect(usual.address).toStartWith("10.77.");
  });

  test("connect leaves files in /etc alone that the container has changed", async () => {
    await lab.must("network", "create", "blue");
    await lab.container("usual");
    await lab.must("exec", "usual", "sh", "-c", "echo nameserver 192.0.2.2 >/etc/resolv.conf; echo >>/etc/hosts");
    const files = () => lab.must("exec", "usual", "cat", "/etc/resolv.conf", "/etc/hosts");
    const before = await files();
    await lab.must("network", "connect", "blue", "usual");
    expect(await files()).toBe(before);
  });

  test("connect gives a way out for each family that has none", async () => {
    await lab.must("network", "create", "four");
    await lab.must("network", "create", "--ipv6", "six");
    await lab.container("web", "--network", "four");
    const routes = async () => (await lab.must("exec", "web", "ip", "-6", "route")).includes("default via fd");
    expect(await routes()).toBe(false);
    for (let round = 0; round < 2; round++) {
      await lab.must("network", "connect", "six", "web");
      expect(await routes()).toBe(true);
      await lab.must("network", "disconnect", "six", "web");
    }
  });

  test("connect says that ports are published later, where there was no way to them before", async () => {
    await lab.must("network", "create", "--internal", "inner");
    await lab.must("network", "create", "blue");
    const flags = ["--name", "web", "--network", "inner", "-p", "8080:80"];
    const made = await lab.gocker(["run", "-d", ...flags, lab.image, "sleep", "1000"]);
    expect(made.stderr).toContain("published ports are left out");
    const { stderr, exitCode } = await lab.gocker(["network", "connect", "blue", "web"]);
    expect({ stderr, exitCode }).toEqual({
      stderr: "gocker: warning: the ports of container web are published from its next start on\n",
      exitCode: 0,
    });
    await lab.must("restart", "-t", "0", "web");
    expect(await lab.must("port", "web")).toContain("80/tcp -> 0.0.0.0:8080");
    // By no network they lead anywhere.
    await lab.must("network", "disconnect", "blue", "web");
    await lab.must("network", "disconnect", "inner", "web");
    expect(await lab.must("port", "web")).toBe("");
    expect(await lab.must("ps", "--format", "{{.Ports}}")).toBe("\n");
    expect((await lab.networksOf("web")).Ports).toEqual({ "80/tcp": null });
  });

  test("connect moves the way out to a network of a higher priority, and disconnect moves it back", async () => {
    await lab.must("network", "create", "blue");
    await lab.must("network", "create", "red");
    await lab.container("web");
    const wayOut = async () => /default via (\S+)/.exec(await lab.must("exec", "web", "ip", "route"))?.[1];
    expect(await wayOut()).toBe("10.77.0.1");
    await lab.must("network", "connect", "blue", "web");
    expect(await wayOut()).toBe("10.77.0.1");
    await lab.must("network", "connect", "--gw-priority", "5", "red", "web");
    expect(await wayOut()).toBe("10.78.1.1");
    await lab.must("network", "disconnect", "red", "web");
    expect(await wayOut()).toBe("10.77.0.1");
  });

  test("connect takes a container back that is in no network any more, also after another start", async () => {
    await lab.must("network", "create", "blue");
    await lab.container("web", "--network", "blue");
    await lab.must("network", "disconnect", "blue", "web");
    await lab.must("network", "connect", "blue", "web");
    expect((await lab.running("web")).address).toBe("10.78.0.2");
    await lab.must("network", "disconnect", "blue", "web");
    await lab.must("restart", "-t", "0", "web");
    await lab.must("network", "connect", "blue", "web");
    const web = await lab.running("web");
    expect(web.address).toBe("10.78.0.2");
    const other = await lab.container("other", "--network", "blue");
    expect(await other.peer.resolve("web")).toBe(web.address);
    expect(await web.peer.resolve("other")).toBe(other.address);
  });

  test("connect can be killed at any moment, and done again", async () => {
    await lab.must("network", "create", "blue");
    const web = await lab.container("web");
    const other = await lab.container("other", "--network", "blue");
    for (const delay of [10, 14, 18, 22, 26, 30, 40]) {
      const connecting = lab.start(["network", "connect", "blue", "web"]);
      await Bun.sleep(delay);
      connecting.kill("SIGKILL");
      await connecting.exited;
      const { stderr, exitCode } = await lab.gocker(["network", "connect", "blue", "web"]);
      if (exitCode !== 0) expect(stderr).toStartWith("gocker: container web is in network blue already\n");
      expect(await web.peer.resolve("other")).toBe(other.address);
      expect(await lab.must("exec", "web", "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11\n");
      const own = await lab.inspect("web", "{{.NetworkSettings.Networks.blue.IPAddress}}");
      expect(await lab.must("exec", "other", "ping", "-c", "1", "-W", "1", own)).toContain("1 packets received");
      await lab.must("network", "disconnect", "blue", "web");
      expect(lab.leases()).toHaveLength(2);
    }
  });

  test("connect gives names also to a container that belongs to the command which runs it", async () => {
    await lab.must("network", "create", "blue");
    await lab.must("network", "create", "green");
    const other = await lab.container("other", "--network", "blue");
    await lab.container("third", "--network", "green");
    const alone = lab.start(["run", "--rm", "--name", "alone", lab.image, "sleep", "1000"]);
    await until("it runs", async () => (await lab.must("ps", "-q", "--filter", "name=alone")) !== "");
    const reaches = (name: string) => lab.must("exec", "alone", "ping", "-c", "1", "-W", "1", name);
    expect(await lab.gocker(["network", "connect", "blue", "alone"])).toMatchObject({ stderr: "", exitCode: 0 });
    expect(await reaches("other")).toContain(`PING other (${other.address})`);
    expect(await lab.must("exec", "other", "ping", "-c", "1", "-W", "1", "alone")).toContain("1 packets received");
    expect(helpers()).toHaveLength(1);
    // The same process knows of further networks, also when there was none meanwhile.
    await lab.must("network", "disconnect", "blue", "alone");
    await lab.must("network", "connect", "green", "alone");
    expect(await reaches("third")).toContain("1 packets received");
    const [helper] = helpers();
    expect(helpers()).toHaveLength(1);
    // Should somebody have killed it, there is another one with the next connection.
    process.kill(helper ?? Number.NaN, "SIGKILL");
    await until("it is dead", () => helpers().length === 0);
    await lab.must("network", "disconnect", "green", "alone");
    await lab.must("network", "connect", "blue", "alone");
    expect(await reaches("other")).toContain("1 packets received");
    expect(helpers()).toHaveLength(1);
    await lab.must("kill", "alone");
    await alone.exited;
    await until("nobody tells it names any more", () => helpers().length === 0);
  });

  test("whoever tells a container names sleeps in between, and tells them after that", async () => {
    await lab.must("network", "create", "blue");
    const other = await lab.container("other", "--network", "blue");
    const alone = lab.start(["run", "--rm", "--name", "alone", lab.image, "sleep", "1000"]);
    await until("it runs", async () => (await lab.must("ps", "-q", "--filter", "name=alone")) !== "");
    await lab.must("network", "connect", "blue", "alone");
    const [helper] = helpers();
    const isAsleep = () => readlinkSync(`/proc/${helper}/exe`).startsWith("/memfd:gocker");
    for (let round = 0; round < 2; round++) {
      await until("it sleeps", isAsleep, 10_000);
      expect(await lab.must("exec", "alone", "nslookup", "other")).toContain(other.address);
    }
    alone.kill("SIGKILL");
    await alone.exited;
    await until("it has ended", () => !existsSync(`/proc/${helper}`));
  });

  test("events tell of networks, and of containers that come and go", async () => {
    const since = (Date.now() / 1000).toFixed(3);
    const blue = (await lab.must("network", "create", "blue")).trim();
    const { id } = await lab.container("web");
    await lab.must("network", "connect", "blue", "web");
    await lab.must("network", "disconnect", "blue", "web");
    await lab.must("network", "connect", "blue", "web");
    await lab.must("stop", "-t", "0", "web");
    await lab.must("rm", "web");
    await lab.must("network", "rm", "blue");
    const format = "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}} {{.Actor.Attributes.container}}";
    const words = ["events", "--since", since, "--until", "0s", "--filter", "type=network"];
    const member = (action: string, name: string) => `${action} ${name} bridge ${id}`;
    expect((await lab.must(...words, "--format", format)).trim().split("\n")).toEqual([
      "create blue bridge <no value>",
      member("connect", "bridge"),
      member("connect", "blue"),
      member("disconnect", "blue"),
      member("connect", "blue"),
      member("disconnect", "bridge"),
      member("disconnect", "blue"),
      "destroy blue bridge <no value>",
    ]);
    expect(await lab.must(...words, "--filter", "network=blue", "--format", "{{.Actor.ID}}")).toStartWith(`${blue}\n`);
  });

  test("rm and prune leave what is used, and take bridges away", async () => {
    await lab.must("network", "create", "blue");
    await lab.must("network", "create", "--label", "keep", "red");
    await lab.must("network", "create", "green");
    await lab.container("web", "--network", "blue");
    expect(await lab.refused("network", "rm", "blue")).toContain("network blue is in use by web");
    expect(await lab.refused("network", "rm", "bridge")).toMatch(
      /the default network cannot be removed|no such network/,
    );
    expect(await lab.refused("network", "rm", "nothing")).toContain("no such network: nothing");
    expect(await lab.must("network", "rm", "-f", "nothing")).toBe("nothing\n");
    await lab.must("stop", "-t", "0", "web");
    expect(await lab.must("network", "prune", "-f", "--filter", "label!=keep")).toBe("Deleted Networks:\ngreen\n\n");
    expect(await lab.must("network", "prune", "-f")).toBe("Deleted Networks:\nred\n\n");
    await lab.must("network", "rm", "blue");
    const gone = await lab.gocker(["start", "web"]);
    expect(gone.stderr).toContain("no such network: blue");
    expect(await lab.devices()).not.toContain("gocker1");
  });
});
