import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { canConnect, type LabContainer, NetworkLab } from "../helpers/network-lab.ts";

const protocols = ["tcp", "udp"] as const;

describe.skipIf(!canConnect)("published ports", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
  });
  afterEach(() => lab.clear());
  afterAll(() => lab?.end());

  async function web(...words: string[]): Promise<LabContainer> {
    const made = await lab.container("web", ...words);
    for (const protocol of protocols) await made.peer.listen(protocol, 80, "web");
    return made;
  }

  test("are reached from outside, from the host by any of its addresses, from containers, and from within", async () => {
    const { address, peer } = await web("-p", "8080:80", "-p", "8080:80/udp");
    const other = await lab.container("other");
    for (const protocol of protocols) {
      expect(await lab.atOutside.ask(protocol, "192.0.2.1", 8080)).toBe("web 192.0.2.2");
      for (const local of ["127.0.0.1", "192.0.2.1", "::1"]) {
        expect([local, await lab.atHost.ask(protocol, local, 8080)]).toEqual([local, expect.stringMatching(/^web /)]);
      }
      expect(await other.peer.ask(protocol, "192.0.2.1", 8080)).toStartWith("web ");
      expect(await other.peer.ask(protocol, "10.77.0.1", 8080)).toStartWith("web ");
      expect(await peer.ask(protocol, "192.0.2.1", 8080)).toStartWith("web ");
      expect(await lab.atHost.ask(protocol, address, 80)).toStartWith("web ");
      // By IPv6, which the container has not, gocker itself passes it on.
      expect(await lab.atOutside.ask(protocol, "2001:db8:1::1", 8080)).toStartWith("web ");
    }
  });

  test("at an address of the host are reached by that alone", async () => {
    await web("-p", "127.0.0.1:8080:80", "-p", "192.0.2.1:8081:80", "-p", "[::1]:8082:80");
    const other = await lab.container("other");
    expect(await lab.atHost.ask("tcp", "127.0.0.1", 8080)).toStartWith("web ");
    expect(await lab.atOutside.askInVain("tcp", "192.0.2.1", 8080)).not.toContain("web");
    // Somebody on the same cable who sends to the loopback, of a host that takes that.
    await lab.host.run("sysctl -qw net.ipv4.conf.all.route_localnet=1");
    await lab.outside.run("sysctl -qw net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo");
    await lab.outside.ip("route add 127.0.0.1 via 192.0.2.1 src 192.0.2.2");
    expect(await lab.atOutside.askInVain("tcp", "127.0.0.1", 8080)).toBe("nothing");
    await lab.outside.run("ip route del 127.0.0.1; ip addr add 127.0.0.1/8 dev lo");
    await lab.host.run("sysctl -qw net.ipv4.conf.all.route_localnet=0");
    expect(await other.peer.askInVain("tcp", "10.77.0.1", 8080)).not.toContain("web");
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8081)).toBe("web 192.0.2.2");
    expect(await lab.atHost.ask("tcp", "127.0.0.1", 8081)).toBe("ECONNREFUSED");
    expect(await lab.atHost.ask("tcp", "::1", 8082)).toStartWith("web ");
    expect(await lab.atOutside.askInVain("tcp", "2001:db8:1::1", 8082)).not.toContain("web");
  });

  test("are told of by port, ps and inspect as Docker does", async () => {
    const flags = ["-p", "8080:80", "-p", "8000-8002:8000-8002", "-p", "127.0.0.1:5353:53/udp", "--expose", "443"];
    const { id } = await web(...flags);
    expect(await lab.must("port", "web")).toBe(
      [
        "53/udp -> 127.0.0.1:5353",
        "80/tcp -> 0.0.0.0:8080",
        "80/tcp -> [::]:8080",
        ...[8000, 8001, 8002].flatMap((port) => [`${port}/tcp -> 0.0.0.0:${port}`, `${port}/tcp -> [::]:${port}`]),
        "",
      ].join("\n"),
    );
    expect(await lab.must("port", "web", "53/udp")).toBe("127.0.0.1:5353\n");
    expect(await lab.gocker(["port", "web", "443"])).toEqual({
      stdout: "",
      stderr: "Error: no public port '443/tcp' published for web\n",
      exitCode: 1,
    });
    expect(await lab.must("ps", "--format", "{{.Ports}}")).toBe(
      "0.0.0.0:8080->80/tcp, 0.0.0.0:8000-8002->8000-8002/tcp, 127.0.0.1:5353->53/udp, " +
        "[::]:8080->80/tcp, [::]:8000-8002->8000-8002/tcp, 443/tcp\n",
    );
    const facts = await lab.networksOf("web");
    expect(facts.Ports["80/tcp"]).toEqual([
      { HostIp: "0.0.0.0", HostPort: "8080" },
      { HostIp: "::", HostPort: "8080" },
    ]);
    expect(facts.Ports["443/tcp"]).toBeNull();
    const { NetworkID: _, ...network } = facts.Networks["bridge"] ?? {};
    expect(network).toMatchObject({ IPAddress: "10.77.0.2", IPPrefixLen: 16, Gateway: "10.77.0.1", Aliases: null });
    const bindings = JSON.parse(await lab.inspect("web", "{{json .HostConfig.PortBindings}}")) as unknown;
    expect(bindings).toMatchObject({ "80/tcp": [{ HostIp: "", HostPort: "8080" }] });
    await lab.must("stop", "-t", "0", "web");
    expect((await lab.networksOf("web")).Ports).toEqual({});
    expect(await lab.must("port", "web")).toBe("");
    expect(await lab.must("ps", "-a", "--filter", `id=${id}`, "--format", "{{.Ports}}")).toBe("\n");
  });

  test("are any that are free where none is named, and all that the image and --expose name with -P", async () => {
    await web("-p", "80", "--expose", "443", "--expose", "53/udp", "-P");
    const { Ports } = await lab.networksOf("web");
    expect(Object.keys(Ports).toSorted()).toEqual(["443/tcp", "53/udp", "80/tcp"]);
    const hostPorts = Object.values(Ports).map((bindings) => new Set(bindings?.map(({ HostPort }) => HostPort)));
    // The same one in both families.
    expect(hostPorts.map(({ size }) => size)).toEqual([1, 1, 1]);
    const [port = ""] = Ports["80/tcp"]?.map(({ HostPort }) => HostPort) ?? [];
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", Number(port))).toBe("web 192.0.2.2");
  });

  test("that somebody has are an error before anything runs, and of a range the next one is taken", async () => {
    await lab.atHost.listen("tcp", 8070, "host", "0.0.0.0");
    const refused = await lab.gocker(["run", "--rm", "-p", "8069:79", "-p", "8070:80", lab.image, "echo", "ran"]);
    expect(refused).toMatchObject({ stdout: "", exitCode: 125 });
    expect(refused.stderr).toContain("port 8070/tcp of the host is in use already");
    expect(await lab.must("ps", "-aq")).toBe("");
    expect(await lab.atHost.ask("tcp", "127.0.0.1", 8069)).toBe("ECONNREFUSED");
    expect(lab.leases()).toEqual([]);

    await web("-p", "8069-8071:80");
    expect(await lab.must("port", "web")).toBe("80/tcp -> 0.0.0.0:8069\n80/tcp -> [::]:8069\n");
    await lab.must("run", "-d", "--name", "next", "-p", "8069-8071:80", lab.image, "sleep", "1000");
    expect(await lab.must("port", "next", "80")).toBe("0.0.0.0:8071\n[::]:8071\n");
    const full = await lab.gocker(["run", "--rm", "-p", "8069-8071:80", lab.image, "true"]);
    expect(full.exitCode).toBe(125);
    expect(full.stderr).toContain("all ports 8069-8071/tcp of the host are in use already");
    const elsewhere = await lab.gocker(["run", "--rm", "-p", "192.0.2.77:80:80", lab.image, "true"]);
    expect(elsewhere.exitCode).toBe(125);
    expect(elsewhere.stderr).toContain("the host has no address 192.0.2.77");
    // Who has it is not disturbed.
    expect(await lab.atHost.ask("tcp", "127.0.0.1", 8070)).toStartWith("host ");
  });

  test("of SCTP, which no socket holds, are one container's alone, too", async () => {
    await web("-p", "8080:80/sctp");
    const other = ["run", "--rm", "-p", "127.0.0.1:8080:80/sctp", lab.image, "echo", "ran"];
    const refused = await lab.gocker(other);
    expect(refused).toMatchObject({ stdout: "", exitCode: 125 });
    expect(refused.stderr).toContain("port 8080/sctp of the host is in use already at 127.0.0.1");
    expect(await lab.must("run", "--rm", "-p", "8080:80", lab.image, "echo", "ran")).toBe("ran\n");
    // Its own it has again.
    await lab.must("restart", "-t", "0", "web");
    await lab.remove("web");
    expect(await lab.must(...other)).toBe("ran\n");
  });

  test("that one container asks for twice, or for too many of, leave nothing behind", async () => {
    const twice = await lab.gocker(["run", "--rm", "-p", "6000:80", "-p", "6000:81", lab.image, "true"]);
    expect(twice).toEqual({
      stdout: "",
      stderr: expect.stringContaining("port 6000/tcp of the host is asked for twice by the container itself"),
      exitCode: 125,
    });
    expect(twice.stderr).not.toContain("ss -lntup");
    const words = ["run", "-d", "--name", "many", "-p", "10000-60000:10000-60000/udp", lab.image, "true"];
    const many = await lab.gocker(words);
    expect([many.stdout, many.exitCode]).toEqual(["", 125]);
    expect(many.stderr).toMatch(
      /gocker: 50001 ports of the host take more sockets than a container can have here \(\d+\)\n/,
    );
    expect(many.stderr).toContain("hint: publish fewer ports");
    expect(lab.leases()).toEqual([]);
    await lab.must("rm", "many");
    expect(await lab.must("run", "--rm", "-p", "10000:10000/udp", lab.image, "echo", "ran")).toBe("ran\n");
  });

  test("of a container whose networks lead nowhere are none, and that is said", async () => {
    await lab.must("network", "create", "--internal", "back");
    const warning = "published ports are left out: network back is internal";
    for (const flag of [
      ["-p", "8080:80"],
      ["-P", "--expose", "80"],
    ]) {
      const made = await lab.gocker([
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "back",
        ...flag,
        lab.image,
        "sleep",
        "9",
      ]);
      expect([made.exitCode, made.stderr]).toEqual([0, expect.stringContaining(warning)]);
      expect(await lab.must("port", "web")).toBe("");
      await lab.remove("web");
    }
    await lab.must("network", "create", "front");
    const networks = ["--network", "back", "--network", "front"];
    await lab.must("run", "-d", "--name", "web", ...networks, "-p", "8080:80", lab.image, "sleep", "9");
    expect(await lab.must("port", "web", "80")).toBe("0.0.0.0:8080\n[::]:8080\n");
  });

  test("carry much, both ways, by the firewall and by gocker itself", async () => {
    const { peer } = await web("-p", "8007:7");
    await peer.echo(7);
    expect(await lab.atOutside.transfer("192.0.2.1", 8007, 30_000_000)).toBe("30000000 bytes came back");
    expect(await lab.atHost.transfer("::1", 8007, 30_000_000)).toBe("30000000 bytes came back");
  });

  test("serve who comes while many others are connected and say nothing", async () => {
    await web("-p", "8080:80", "-p", "8081:80");
    await using _held = await lab.atHost.hold("::1", 8080, 1000);
    for (const port of [8080, 8081]) {
      expect(await lab.atHost.ask("tcp", "::1", port)).toStartWith("web ");
      expect(await lab.atOutside.ask("tcp", "2001:db8:1::1", port)).toStartWith("web ");
    }
  });

  test("lead to where a container is by now, when it leaves the network by which they were reached", async () => {
    await lab.must("network", "create", "blue");
    await lab.must("network", "create", "red");
    const { address, peer } = await web("-p", "8080:80", "-p", "127.0.0.1:8080:80/udp", "--network", "blue");
    const asked = () => [lab.atOutside.ask("tcp", "192.0.2.1", 8080), lab.atHost.ask("udp", "127.0.0.1", 8080)];
    const own = [expect.stringMatching(/^web /), expect.stringMatching(/^web /)];
    expect(await Promise.all(asked())).toEqual(own);
    await lab.must("network", "disconnect", "blue", "web");
    const next = await lab.container("next", "--network", "blue", "--ip", address);
    for (const protocol of protocols) await next.peer.listen(protocol, 80, "next");
    expect(await lab.atOutside.askInVain("tcp", "192.0.2.1", 8080)).not.toContain("next");
    expect(await lab.atHost.askInVain("udp", "127.0.0.1", 8080)).not.toContain("next");
    expect(await lab.must("network", "repair")).toBe("Nothing was wrong.\n");
    // The port is its own all the same.
    const taken = await lab.gocker(["run", "--rm", "-p", "8080:80", lab.image, "true"]);
    expect(taken.exitCode).toBe(125);
    await lab.must("network", "connect", "red", "web");
    expect(await Promise.all(asked())).toEqual(own);
    await lab.must("network", "connect", "bridge", "web");
    await lab.must("network", "disconnect", "red", "web");
    expect(await Promise.all(asked())).toEqual(own);
    expect(await peer.ask("tcp", "192.0.2.2", 80)).toBe("outside 192.0.2.1");
    expect(await lab.must("network", "repair")).toBe("Nothing was wrong.\n");
  });
});
