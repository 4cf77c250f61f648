import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { FirewallState } from "../../src/network/firewall.ts";
import type { Publication } from "../../src/network/publication.ts";
import {
  bridgeCalls,
  canBridgesCall,
  canFilter,
  FirewallNetworks,
  networks,
  nft,
  setUp,
} from "../helpers/firewall-networks.ts";
import { until } from "../helpers/until.ts";

/** A table that counts what comes in by a device. */
const watch = (device: string, match: string, hook = "prerouting") =>
  `table inet watch { chain in { type filter hook ${hook} priority 10; iifname "${device}" ${match} counter; }; }`;

const protocols = ["tcp", "udp"] as const;

/** Both protocols, to the first container of `a` and port 80. */
const both = (hostAddress: string, hostPort: number, containerAddress?: string): Publication[] =>
  protocols.map((protocol) => ({
    protocol,
    hostAddress,
    hostPort,
    containerAddress: containerAddress ?? (hostAddress.includes(":") ? "fd00:77::2" : "10.77.0.2"),
    containerPort: 80,
  }));

const state: FirewallState = {
  networks: Object.values(networks),
  publications: [
    ...both("0.0.0.0", 8080),
    ...both("::", 8080),
    ...both("127.0.0.1", 8081),
    ...both("0.0.0.0", 8082),
    ...both("192.0.2.1", 8082, "10.77.0.3"),
    ...both("::", 8082),
    ...both("2001:db8:1::1", 8082, "fd00:77::3"),
    ...both("0.0.0.0", 8083, "10.78.0.2"),
    ...both("::", 8083, "fd00:78::2"),
  ],
  confinesForwarding: [],
};

/** A connection that somebody tries, and what comes of it. */
type Attempt = readonly [from: string, to: string, port: number, result: string];

describe.skipIf(!canFilter)("the firewall", () => {
  let all: FirewallNetworks;
  beforeAll(async () => {
    all = await FirewallNetworks.create();
    await all.at("host").listen("tcp", 9000, "host");
    await all.at("host").listen("tcp", 9001, "loopback", "127.0.0.1");
    // As gocker does for what is not translated.
    for (const protocol of protocols) await all.at("host").listen(protocol, 8080, "proxy");
  });
  beforeEach(() => all.firewall.rebuild(state));
  afterAll(() => all[Symbol.asyncDispose]());

  const count = async (name: string) =>
    Number(/packets (\d+)/.exec(await nft(all.in(name), ["list", "table", "inet", "watch"]))?.[1]);

  async function expectOf(attempts: readonly Attempt[], of: readonly ("tcp" | "udp")[] = protocols): Promise<void> {
    const cases = attempts.flatMap((attempt) => of.map((protocol) => ({ protocol, attempt })));
    const results = await Promise.all(
      cases.map(async ({ protocol, attempt: [from, to, port, expected] }) => {
        const ask = expected === "nothing" ? "askInVain" : "ask";
        return `${protocol} ${from} to ${to} ${port}: ${await all.at(from)[ask](protocol, to, port)}`;
      }),
    );
    expect(results).toEqual(
      cases.map(
        ({ protocol, attempt: [from, to, port, expected] }) => `${protocol} ${from} to ${to} ${port}: ${expected}`,
      ),
    );
  }

  test("leads other hosts to published ports, whose containers see them", () =>
    expectOf([
      ["outside", "192.0.2.1", 8080, "a2 192.0.2.2"],
      ["outside", "2001:db8:1::1", 8080, "a2 2001:db8:1::2"],
      ["far", "192.0.2.1", 8080, "a2 198.51.100.2"],
      ["outside", "192.0.2.1", 8083, "b2 192.0.2.2"],
      ["outside", "2001:db8:1::1", 8083, "b2 2001:db8:1::2"],
    ]));

  test("prefers what is published on one address to what is published on all", () =>
    expectOf([
      ["outside", "192.0.2.1", 8082, "a3 192.0.2.2"],
      ["outside", "198.51.100.1", 8082, "a2 192.0.2.2"],
      ["outside", "2001:db8:1::1", 8082, "a3 2001:db8:1::2"],
      ["outside", "2001:db8:2::1", 8082, "a2 2001:db8:1::2"],
    ]));

  test("leads the host's own programs there, by any of its addresses", () =>
    expectOf([
      ["host", "127.0.0.1", 8080, "a2 10.77.0.1"],
      ["host", "127.0.0.1", 8081, "a2 10.77.0.1"],
      ["host", "192.0.2.1", 8080, "a2 10.77.0.1"],
      ["host", "10.77.0.1", 8080, "a2 10.77.0.1"],
      ["host", "127.0.0.1", 8083, "b2 10.78.0.1"],
      ["host", "2001:db8:1::1", 8080, "a2 fd00:77::1"],
    ]));

  test("leaves the host's loopback of IPv6 alone, from which the kernel forwards nothing", async () => {
    all.firewall.publish(both("::1", 8081));
    await expectOf([
      ["host", "::1", 8080, "proxy ::1"],
      ["host", "::1", 8081, "ECONNREFUSED"],
    ]);
  });

  test("leads containers there by the host's addresses: of the same network, of another one, and to themselves", () =>
    expectOf([
      ["a3", "192.0.2.1", 8080, "a2 10.77.0.1"],
      ["a2", "192.0.2.1", 8080, "a2 10.77.0.1"],
      ["a2", "10.77.0.1", 8080, "a2 10.77.0.1"],
      ["b2", "192.0.2.1", 8080, "a2 10.77.0.1"],
      ["b2", "10.78.0.1", 8080, "a2 10.77.0.1"],
      // Of a network that does not masquerade.
      ["b2", "192.0.2.1", 8083, "b2 10.78.0.1"],
      ["b3", "192.0.2.1", 8083, "b2 10.78.0.1"],
      ["a2", "192.0.2.1", 8083, "b2 10.78.0.1"],
      ["a2", "2001:db8:1::1", 8080, "a2 fd00:77::1"],
      ["b2", "2001:db8:1::1", 8080, "a2 fd00:77::1"],
      ["b2", "fd00:78::1", 8083, "b2 fd00:78::1"],
    ]));

  test("lets containers out with the host's address, where their network masquerades", () =>
    expectOf([
      ["a2", "192.0.2.2", 80, "outside 192.0.2.1"],
      ["a2", "198.51.100.2", 80, "far 198.51.100.1"],
      ["b2", "192.0.2.2", 80, "outside 10.78.0.2"],
      ["a2", "2001:db8:1::2", 80, "outside 2001:db8:1::1"],
      ["b2", "2001:db8:1::2", 80, "outside fd00:78::2"],
    ]));

  test("lets those of a network speak to each other, and the host to them", () =>
    expectOf([
      ["a2", "10.77.0.3", 80, "a3 10.77.0.2"],
      ["c2", "10.79.0.3", 80, "c3 10.79.0.2"],
      ["c2", "fd00:79::3", 80, "c3 fd00:79::2"],
      ["host", "10.77.0.2", 80, "a2 10.77.0.1"],
      ["host", "10.79.0.2", 80, "c2 10.79.0.1"],
      ["host", "fd00:79::2", 80, "c2 fd00:79::1"],
    ]));

  test("does not masquerade what the host sends to itself", async () => {
    // Not by its first address, which is what it would be masqueraded with.
    await expectOf([["host", "10.79.0.1", 9000, "host 10.79.0.1"]], ["tcp"]);
  });

  const separate: readonly (readonly [from: string, to: string, port: number, other: string])[] = [
    ["a2", "10.78.0.2", 80, "b2 10.77.0.2"],
    ["b2", "fd00:77::2", 80, "a2 fd00:78::2"],
    ["outside", "10.77.0.2", 80, "a2 192.0.2.2"],
    ["outside", "10.78.0.2", 80, "b2 192.0.2.2"],
    ["outside", "fd00:77::2", 80, "a2 2001:db8:1::2"],
    ["outside", "10.79.0.2", 80, "c2 192.0.2.2"],
    ["c2", "192.0.2.2", 80, "outside 10.79.0.2"],
    ["c2", "2001:db8:1::2", 80, "outside fd00:79::2"],
    ["c2", "10.77.0.2", 80, "a2 10.79.0.2"],
    ["a2", "fd00:79::2", 80, "c2 fd00:77::2"],
  ];

  test("separates networks from each other, from what is outside, and internal ones from all", async () => {
    await expectOf(separate.map(([from, to, port]) => [from, to, port, "nothing"]));
    all.firewall.remove();
    await expectOf(separate);
  });

  test("publishes ports of an internal network for the host and for itself alone", async () => {
    all.firewall.publish([...both("0.0.0.0", 8084, "10.79.0.2"), ...both("::", 8084, "fd00:79::2")]);
    await expectOf([
      ["host", "127.0.0.1", 8084, "c2 10.79.0.1"],
      ["host", "2001:db8:1::1", 8084, "c2 fd00:79::1"],
      ["c3", "10.79.0.1", 8084, "c2 10.79.0.1"],
      ["outside", "192.0.2.1", 8084, "nothing"],
      ["outside", "2001:db8:1::1", 8084, "nothing"],
      ["a2", "192.0.2.1", 8084, "nothing"],
    ]);
  });

  test("lets no single packet out of an internal network, into one, or out with a container's own address", async () => {
    await nft(
      all.in("outside"),
      ["-f", "-"],
      watch("eth0", `meta l4proto { tcp, udp } th dport 80 ip saddr != 192.0.2.1`),
    );
    await nft(all.in("far"), ["-f", "-"], watch("eth0", "udp dport 80"));
    await nft(all.in("c2"), ["-f", "-"], watch("eth0", "udp dport 80"));
    const counts = async () => [await count("outside"), await count("far"), await count("c2")];
    const attempts = [
      ["c2", "198.51.100.2", 80, "nothing"],
      ["outside", "10.79.0.2", 80, "nothing"],
      ["outside", "192.0.2.1", 8084, "nothing"],
    ] as const;
    all.firewall.publish(both("0.0.0.0", 8084, "10.79.0.2"));
    await expectOf(attempts, ["udp"]);
    await all.at("a2").sendStray("10.77.0.2", "192.0.2.2");
    expect(await counts()).toEqual([0, 0, 0]);
    await nft(all.in("host"), ["flush", "chain", "inet", "gocker", "forward"]);
    await expectOf([["a2", "192.0.2.2", 80, "outside 192.0.2.1"]]);
    await all.at("a2").sendStray("10.77.0.2", "192.0.2.2");
    await expectOf(
      [
        ["outside", "10.79.0.2", 80, "c2 192.0.2.2"],
        ["c2", "198.51.100.2", 80, "far 198.51.100.1"],
      ],
      ["udp"],
    );
    await until("the packets have come", async () => (await counts()).join() === "1,1,1");
    await Promise.all(["outside", "far", "c2"].map((name) => nft(all.in(name), ["delete", "table", "inet", "watch"])));
  });

  test("lets an internal network have the host's addresses on its bridge alone", async () => {
    // They find each other anew, by multicast.
    await all.in("c2").ip("neigh flush all");
    await all.in("host").ip("neigh flush all");
    await expectOf(
      [
        ["c2", "10.79.0.1", 9000, "host 10.79.0.2"],
        ["c2", "fd00:79::1", 9000, "host fd00:79::2"],
        ["c2", "192.0.2.1", 9000, "nothing"],
        ["c2", "10.77.0.1", 9000, "nothing"],
        ["c2", "2001:db8:1::1", 9000, "nothing"],
        // Published ports are no way out, though a program of the host listens there.
        ["c2", "10.79.0.1", 8080, "nothing"],
        ["c2", "fd00:79::1", 8080, "nothing"],
        ["c2", "192.0.2.1", 8080, "nothing"],
        ["a2", "192.0.2.1", 9000, "host 10.77.0.2"],
      ],
      ["tcp"],
    );
    await nft(all.in("host"), ["-f", "-"], watch("gocker2", "ip daddr 255.255.255.255", "input"));
    await all.at("c2").sendStray("10.79.0.2", "255.255.255.255");
    await until("a broadcast has come", async () => (await count("host")) === 1);
    await nft(all.in("host"), ["delete", "table", "inet", "watch"]);
    all.firewall.addNetwork({ ...networks.c, isInternal: false });
    await expectOf([["c2", "192.0.2.1", 9000, "host 10.79.0.2"]], ["tcp"]);
  });

  test("keeps what is published on the loopback to the host", async () => {
    await expectOf(
      [
        ["outside", "192.0.2.1", 8081, "ECONNREFUSED"],
        ["outside", "127.0.0.1", 8081, "nothing"],
        ["outside", "127.0.0.1", 8080, "nothing"],
        ["a3", "127.0.0.1", 8081, "nothing"],
        ["a3", "10.77.0.1", 8081, "ECONNREFUSED"],
      ],
      ["tcp"],
    );
  });

  test("keeps containers from what listens on the host's loopback, though bridges route it", async () => {
    const attempt = ["a2", "127.0.0.1", 9001] as const;
    await nft(all.in("host"), ["-f", "-"], watch("gocker0", "ip saddr 127.0.0.0/8"));
    await expectOf([[...attempt, "nothing"]], ["tcp"]);
    await all.at("a2").sendStray("127.0.0.2", "10.77.0.1");
    expect(await count("host")).toBe(0);
    await nft(all.in("host"), ["flush", "chain", "inet", "gocker", "guard"]);
    await expectOf([[...attempt, "loopback 10.77.0.2"]], ["tcp"]);
    await all.at("a2").sendStray("127.0.0.2", "10.77.0.1");
    await until("a packet has come", async () => (await count("host")) === 1);
    await nft(all.in("host"), ["delete", "table", "inet", "watch"]);
  });

  test("makes no router of the host for others where gocker has switched forwarding on", async () => {
    all.firewall.confineForwarding(4, true);
    await expectOf([
      ["outside", "198.51.100.2", 80, "nothing"],
      ["outside", "2001:db8:2::2", 80, "far 2001:db8:1::2"],
      ["a2", "198.51.100.2", 80, "far 198.51.100.1"],
      ["outside", "192.0.2.1", 8080, "a2 192.0.2.2"],
    ]);
    all.firewall.confineForwarding(4, false);
    await expectOf([["outside", "198.51.100.2", 80, "far 192.0.2.2"]]);
  });

  test("leads conversations over UDP that go on to where the port leads now", async () => {
    const { firewall } = all;
    const ask = (address: string) => all.at("outside").goOnAsking(address, 8090);
    const publish = (...publications: Publication[]) => {
      firewall.publish(publications);
      firewall.redirectConversations(publications, "published");
    };
    const unpublish = (...publications: Publication[]) => {
      firewall.unpublish(publications);
      firewall.redirectConversations(publications, "unpublished");
    };
    for (const [host, published, first, second] of [
      ["192.0.2.1", "0.0.0.0", "10.77.0.2", "10.77.0.3"],
      ["2001:db8:1::1", "2001:db8:1::1", "fd00:77::2", "fd00:77::3"],
    ] as const) {
      const [one, two] = [both(published, 8090, first), both(published, 8090, second)];
      expect(await ask(host)).toBe("ECONNREFUSED");
      publish(...one);
      expect(await ask(host)).toStartWith("a2 ");
      unpublish(...one);
      expect(await ask(host)).toBe("ECONNREFUSED");
      publish(...two, ...both(published, 8091, first));
      expect(await ask(host)).toStartWith("a3 ");
      unpublish(...one);
      expect(await ask(host)).toStartWith("a3 ");
      // The table is made anew, and the port leads elsewhere.
      firewall.rebuild(state);
      firewall.publish(one);
      expect(await ask(host)).toStartWith("a3 ");
      publish(...one);
      expect(await ask(host)).toStartWith("a2 ");
      unpublish(...one);
    }
  });

  test("ends and begins with single ports and networks", async () => {
    all.firewall.unpublish(both("0.0.0.0", 8080));
    await expectOf([["outside", "192.0.2.1", 8080, "proxy 192.0.2.2"]]);
    await expectOf([["outside", "2001:db8:1::1", 8080, "a2 2001:db8:1::2"]]);
    all.firewall.publish(both("0.0.0.0", 8080, "10.77.0.3"));
    await expectOf([["outside", "192.0.2.1", 8080, "a3 192.0.2.2"]]);
    all.firewall.removeNetwork(networks.a);
    await expectOf([["outside", "10.77.0.2", 80, "a2 192.0.2.2"]]);
  });

  test.skipIf(!canBridgesCall)("holds where bridges call the firewall for their own traffic too", async () => {
    const callsAre = (value: number) => bridgeCalls.map((name) => `${name}=${value}`);
    // What is translated back to the port of the bridge that it came from does not leave there otherwise.
    await setUp(all.in("host"), ["link set a2 type bridge_slave hairpin on"], callsAre(1));
    await expectOf([
      ["a2", "10.77.0.3", 80, "a3 10.77.0.2"],
      ["c2", "10.79.0.3", 80, "c3 10.79.0.2"],
      ["c2", "fd00:79::3", 80, "c3 fd00:79::2"],
      ["a3", "192.0.2.1", 8080, "a2 10.77.0.1"],
      ["a3", "2001:db8:1::1", 8080, "a2 fd00:77::1"],
      ["a2", "192.0.2.1", 8080, "a2 10.77.0.1"],
      ["a2", "2001:db8:1::1", 8080, "a2 fd00:77::1"],
      ["outside", "192.0.2.1", 8080, "a2 192.0.2.2"],
      ["a2", "10.78.0.2", 80, "nothing"],
    ]);
    await setUp(all.in("host"), ["link set a2 type bridge_slave hairpin off"], callsAre(0));
  });
});
