import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readlinkSync, rmSync, utimesSync } from "node:fs";

import { gockerBinary } from "../helpers/binary.ts";
import { ConnectedPlace, type PlaceWish } from "../helpers/connected-place.ts";
import { bridgeCalls, canBridgesCall, canFilter, nft, setUp } from "../helpers/firewall-networks.ts";
import { NetworkNamespace } from "../helpers/network-namespace.ts";
import { NetworkPeer, NetworkPeers } from "../helpers/network-peer.ts";
import { TemporaryDirectory } from "../helpers/temporary.ts";
import { until } from "../helpers/until.ts";

// What is connected here are namespaces instead of containers, by the same code: nothing of this needs a program in them.
describe.skipIf(!canFilter)("networks that are changed from several sides at once", () => {
  let all: AsyncDisposableStack;
  let host: NetworkNamespace;
  let peers: NetworkPeers;
  let directory: string;
  beforeEach(async () => {
    all = new AsyncDisposableStack();
    directory = all.use(new TemporaryDirectory("network-races")).path;
    host = all.use(await NetworkNamespace.create("link set lo up"));
    peers = all.use(new NetworkPeers());
    await setUp(host, [], ["ipv4/ip_forward=1"]);
  });
  afterEach(() => all.disposeAsync());

  const connect = async (wish: Partial<PlaceWish> & { readonly name: string }) => {
    const directories = { root: `${directory}/root`, state: `${directory}/state` };
    return all.use(await ConnectedPlace.create(host.by, { ...directories, network: "bridge", ...wish }));
  };
  const at = (place: ConnectedPlace) => new NetworkPeer(peers, place.namespace);
  const startSweeper = (directories: Pick<PlaceWish, "root" | "state">) => {
    const duty = JSON.stringify({ ...directories, lock: 3 });
    const script = 'exec 3>"$1/networks/sweeping"; flock -n 3 || exit 9; exec -a gocker-sweeper "$0" "$2"';
    const words = [...host.by, "bash", "-c", script, gockerBinary(), directories.state, duty];
    return Bun.spawn(words, { stderr: "pipe" });
  };
  const sweep = async (directories: Pick<PlaceWish, "root" | "state">) => {
    const sweeper = startSweeper(directories);
    return [await sweeper.exited, await sweeper.stderr.text()];
  };
  const bridges = async () =>
    (await host.devices()).map(({ ifname }) => ifname).filter((name) => name.startsWith("go"));

  test("a network that is removed while a container is connected to it comes back in no part", async () => {
    const removed = {
      name: "web",
      driver: "bridge",
      device: "gocker-web",
      subnets: [{ subnet: "10.99.0.0/16", gateway: "10.99.0.1" }],
      internal: false,
      labels: {},
      options: {},
    } as const;
    await expect(connect({ name: "late", network: "web", removed })).rejects.toThrow("network web has been removed");
    expect(await bridges()).toEqual([]);
    expect(existsSync(`${directory}/state`)).toBe(false);
  });

  test("containers whose bridge somebody has removed are connected again with the next one", async () => {
    const first = await connect({ name: "first" });
    await at(first).listen("tcp", 80, "first");
    await host.ip("link del gocker0");
    const second = await connect({ name: "second" });
    expect(await at(second).ask("tcp", first.address, 80)).toBe(`first ${second.address}`);
  });

  test("a state directory that is removed does not come back when the bridge is looked after", async () => {
    await (await connect({ name: "gone" }))[Symbol.asyncDispose]();
    const state = `${directory}/state`;
    utimesSync(`${state}/networks/endpoints`, Date.now() / 1000 + 3600, Date.now() / 1000 + 3600);
    const sweeper = startSweeper({ root: `${directory}/root`, state });
    await until("it sleeps", () => readlinkSync(`/proc/${sweeper.pid}/exe`).startsWith("/memfd:"));
    rmSync(state, { recursive: true });
    expect([await sweeper.exited, await sweeper.stderr.text()]).toEqual([0, ""]);
    expect(existsSync(state)).toBe(false);
  });

  test("the host's loopback can be led to a bridge only while a container in it has ports", async () => {
    const isLed = async (device: string) => {
      const read = Bun.spawn([...host.by, "cat", `/proc/sys/net/ipv4/conf/${device}/route_localnet`], {
        stdout: "pipe",
      });
      return (await read.stdout.text()).trim() === "1";
    };
    const port = { protocol: "tcp", hostPorts: { first: 8080, last: 8080 }, containerPort: 80 } as const;
    await connect({ name: "quiet" });
    expect(await isLed("gocker0")).toBe(false);
    const served = await connect({ name: "served", ports: [port] });
    await at(served).listen("tcp", 80, "served");
    expect(await isLed("gocker0")).toBe(true);
    expect(await new NetworkPeer(peers, host.path).ask("tcp", "127.0.0.1", 8080)).toStartWith("served ");
    // Others remove bridges, and gocker makes them anew.
    await host.ip("link del gocker0");
    await connect({ name: "next" });
    expect(await isLed("gocker0")).toBe(true);
    await served[Symbol.asyncDispose]();
    expect(await isLed("gocker0")).toBe(false);
  });

  test("gockers with different root directories leave each other's bridges and firewall alone", async () => {
    const other = { root: `${directory}/other`, state: `${directory}/other-state` };
    const port = { protocol: "tcp", hostPorts: { first: 8080, last: 8080 }, containerPort: 80 } as const;
    const first = await connect({ name: "first", ports: [port] });
    await at(first).listen("tcp", 80, "first");
    const second = await connect({ name: "second", ...other });
    await at(second).listen("tcp", 80, "second");
    expect(second.address).not.toBe(first.address);
    expect(await bridges()).toEqual(["gocker0", "gocker1"]);
    const inHost = new NetworkPeer(peers, host.path);
    expect(await inHost.ask("tcp", second.address, 80)).toStartWith("second ");
    await second[Symbol.asyncDispose]();
    utimesSync(`${other.state}/networks/endpoints`, 0, 0);
    expect(await sweep(other)).toEqual([0, ""]);
    expect(await bridges()).toEqual(["gocker0"]);
    expect(await inHost.ask("tcp", "10.77.0.1", 8080)).toStartWith("first ");
  });

  test("the last gocker switches off what another one has switched on that has ended before", async () => {
    const other = { root: `${directory}/other`, state: `${directory}/other-state` };
    const forwards = () =>
      host.run("test $(cat /proc/sys/net/ipv4/ip_forward) = 1").then(
        () => true,
        () => false,
      );
    await host.run("echo 0 >/proc/sys/net/ipv4/ip_forward");
    const first = await connect({ name: "first" });
    const second = await connect({ name: "second", ...other });
    await first[Symbol.asyncDispose]();
    utimesSync(`${directory}/state/networks/endpoints`, 0, 0);
    expect(await sweep({ root: `${directory}/root`, state: `${directory}/state` })).toEqual([0, ""]);
    expect([await bridges(), await forwards()]).toEqual([["gocker1"], true]);
    expect(await nft(host, ["list", "tables"])).toContain("inet gocker");
    await second[Symbol.asyncDispose]();
    utimesSync(`${other.state}/networks/endpoints`, 0, 0);
    expect(await sweep(other)).toEqual([0, ""]);
    // Without the rules that confine it, it would be for everybody.
    expect([await bridges(), await forwards()]).toEqual([[], false]);
    expect(await nft(host, ["list", "tables"])).toBe("");
    // What somebody else has switched on since then is his.
    await host.run("echo 1 >/proc/sys/net/ipv4/ip_forward");
    await (await connect({ name: "third" }))[Symbol.asyncDispose]();
    utimesSync(`${directory}/state/networks/endpoints`, 0, 0);
    expect(await sweep({ root: `${directory}/root`, state: `${directory}/state` })).toEqual([0, ""]);
    expect([await bridges(), await forwards()]).toEqual([[], true]);
  });

  test("of two gockers that end at the same time one takes the rules away", async () => {
    const own = { root: `${directory}/root`, state: `${directory}/state` };
    const other = { root: `${directory}/other`, state: `${directory}/other-state` };
    for (let round = 0; round < 5; round++) {
      await host.run("echo 0 >/proc/sys/net/ipv4/ip_forward");
      const places = [await connect({ name: "first" }), await connect({ name: "second", ...other })];
      for (const place of places) await place[Symbol.asyncDispose]();
      for (const { state } of [own, other]) utimesSync(`${state}/networks/endpoints`, 0, 0);
      expect(await Promise.all([sweep(own), sweep(other)])).toEqual([
        [0, ""],
        [0, ""],
      ]);
      expect(await bridges()).toEqual([]);
      expect(await nft(host, ["list", "tables"])).toBe("");
    }
  });

  test.skipIf(!canBridgesCall)(
    "a container reaches its own published port where bridges call the firewall",
    async () => {
      await setUp(
        host,
        [],
        bridgeCalls.map((name) => `${name}=1`),
      );
      const port = { protocol: "tcp", hostPorts: { first: 8080, last: 8080 }, containerPort: 80 } as const;
      const place = await connect({ name: "alone", ports: [port] });
      await at(place).listen("tcp", 80, "itself");
      expect(await at(place).ask("tcp", "10.77.0.1", 8080)).toStartWith("itself ");
    },
  );

  test("a bridge that was used a moment ago is not swept away, and one that is not used is", async () => {
    await (await connect({ name: "gone" }))[Symbol.asyncDispose]();
    expect(await bridges()).toEqual(["gocker0"]);
    const networks = `${directory}/state/networks`;
    const changedAt = (seconds: number) => utimesSync(`${networks}/endpoints`, seconds, seconds);
    const now = Date.now() / 1000;
    changedAt(now + 3600);
    const sweeper = startSweeper({ root: `${directory}/root`, state: `${directory}/state` });
    // The static program of a few system calls that gocker is while it sleeps.
    await until("it sleeps", () => readlinkSync(`/proc/${sweeper.pid}/exe`).startsWith("/memfd:"));
    expect(await bridges()).toEqual(["gocker0"]);
    changedAt(now - 3600);
    expect([await sweeper.exited, await sweeper.stderr.text()]).toEqual([0, ""]);
    expect(await bridges()).toEqual([]);
    expect(await nft(host, ["list", "tables"])).toBe("");
  });
});
