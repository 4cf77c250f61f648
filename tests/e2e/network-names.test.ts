import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { canConnect, NetworkLab } from "../helpers/network-lab.ts";
import { until } from "../helpers/until.ts";

const protocols = ["udp", "tcp"] as const;

describe.skipIf(!canConnect)("names in networks of users", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
  });
  afterEach(() => lab.clear());
  afterAll(() => lab?.end());

  test("are a container's own, its aliases, and its short ID, with and without the network's", async () => {
    await lab.must("network", "create", "blue");
    const one = await lab.container("one", "--network", "blue", "--dns", "192.0.2.2");
    const db = await lab.container("db", "--network", "blue", "--network-alias", "postgres", "-h", "hostname");
    for (const protocol of protocols) {
      for (const name of ["db", "DB", "postgres", db.id.slice(0, 12), "db.blue", "Postgres.BLUE"]) {
        expect([name, await one.peer.resolve(name, "A", { protocol })]).toEqual([name, db.address]);
      }
      // It has no address of IPv6, which is no reason to ask others for it.
      expect(await one.peer.resolve("db", "AAAA", { protocol })).toBe("");
    }
    const reversed = `${db.address.split(".").toReversed().join(".")}.in-addr.arpa`;
    expect(await one.peer.resolve(reversed, "PTR")).toBe("db.blue");
    // What nobody here is called the host's servers are asked for.
    for (const name of ["example.org", "hostname", "db.red", "one.two.three"]) {
      expect([name, await one.peer.resolve(name)]).toEqual([name, "192.0.2.53"]);
    }
    expect(await lab.must("exec", "one", "cat", "/etc/resolv.conf")).toMatch(/^nameserver 127\.0\.0\.11$/m);
    const found = await lab.must("exec", "one", "nslookup", "-type=a", "db");
    expect(found).toContain(`Address: ${db.address}`);
  });

  test("follow containers that come, go, and are called otherwise", async () => {
    await lab.must("network", "create", "blue");
    await lab.must("network", "create", "red");
    const one = await lab.container("one", "--network", "blue", "--dns", "192.0.2.2");
    const unknown = "192.0.2.53";
    expect(await one.peer.resolve("two")).toBe(unknown);
    const two = await lab.container("two", "--network", "blue", "--network-alias", "both");
    expect(await one.peer.resolve("two")).toBe(two.address);
    await lab.must("rename", "two", "deux");
    expect(await one.peer.resolve("two")).toBe(unknown);
    expect(await one.peer.resolve("deux")).toBe(two.address);
    const third = await lab.container("third", "--network", "blue", "--network-alias", "both");
    expect(await one.peer.resolve("both")).toBe([two.address, third.address].toSorted().join(" "));
    await lab.must("kill", "deux");
    await until("it has ended", async () => (await lab.inspect("deux", "{{.State.Status}}")) === "exited");
    expect(await one.peer.resolve("deux")).toBe(unknown);
    expect(await one.peer.resolve("both")).toBe(third.address);
    await lab.must("start", "deux");
    expect(await one.peer.resolve("deux")).toBe((await lab.running("deux")).address);

    // And their networks.
    const far = await lab.container("far", "--network", "red");
    expect(await one.peer.resolve("far")).toBe(unknown);
    await lab.must("network", "connect", "--alias", "near", "blue", "far");
    const facts = await lab.networksOf("far");
    const address = facts.Networks["blue"]?.IPAddress ?? "";
    expect(await one.peer.resolve("far")).toBe(address);
    expect(await one.peer.resolve("near")).toBe(address);
    await far.peer.listen("tcp", 80, "far");
    expect(await one.peer.ask("tcp", address, 80)).toBe(`far ${one.address}`);
    await lab.must("network", "disconnect", "blue", "far");
    expect(await one.peer.resolve("near")).toBe(unknown);
    expect(await one.peer.askInVain("tcp", address, 80)).not.toContain("far");
    expect(Object.keys((await lab.networksOf("far")).Networks)).toEqual(["red"]);
  });

  test("are none in the default network, and leave port 53 to a name server of the container's own", async () => {
    await lab.must("network", "create", "blue");
    const usual = await lab.container("usual");
    await lab.container("other");
    expect(await lab.must("exec", "usual", "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11");
    expect(await usual.peer.askInVain("tcp", "127.0.0.11", 53)).toBe("ECONNREFUSED");

    const server = await lab.container("server", "--network", "blue");
    const client = await lab.container("client", "--network", "blue");
    await server.peer.serveNames("192.0.2.99");
    await server.peer.listen("tcp", 53, "own", "0.0.0.0");
    expect(await client.peer.resolve("anything", "A", { server: server.address })).toBe("192.0.2.99");
    expect(await client.peer.ask("tcp", server.address, 53)).toBe(`own ${client.address}`);
    expect(await server.peer.resolve("client")).toBe(client.address);
    expect(await server.peer.resolve("client", "A", { protocol: "tcp" })).toBe(client.address);
  });

  test("and ports come back with a container that is started again, by its policy or by the user", async () => {
    await lab.must("network", "create", "blue");
    const one = await lab.container("one", "--network", "blue");
    const flags = ["--network", "blue", "-p", "8080:80", "--restart", "always"];
    const before = await lab.container("web", ...flags);
    process.kill(before.pid, "SIGKILL");
    await until("it runs again", async () => {
      const [status, pid] = (await lab.inspect("web", "{{.State.Status}} {{.State.Pid}}")).split(" ");
      return status === "running" && pid !== String(before.pid);
    });
    for (const verb of ["", "stop", "restart"]) {
      if (verb !== "") await lab.must(verb, "-t", "0", "web");
      if (verb === "stop") {
        expect(await lab.atOutside.askInVain("tcp", "192.0.2.1", 8080)).toBe("ECONNREFUSED");
        expect(await lab.must("ps", "--format", "{{.Names}}")).toBe("one\n");
        await lab.must("start", "web");
      }
      const web = await lab.running("web");
      await web.peer.listen("tcp", 80, "web");
      expect(await one.peer.resolve("web")).toBe(web.address);
      expect(await web.peer.resolve("one")).toBe(one.address);
      expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8080)).toBe("web 192.0.2.2");
    }
  });
});
