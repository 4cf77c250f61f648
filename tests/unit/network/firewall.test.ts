import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { decodeAttributes, encodeRequest } from "../../../src/linux/netlink/message.ts";
import { addChain, addRule, addTable, listRules } from "../../../src/linux/netlink/nftables/messages.ts";
import { NftablesSocket } from "../../../src/linux/netlink/nftables/socket.ts";
import { inNetworkNamespace } from "../../../src/linux/network-namespace.ts";
import type { Firewall, FirewallState } from "../../../src/network/firewall.ts";
import { networkEntries, publicationEntry } from "../../../src/network/firewall/elements.ts";
import { tableRequests } from "../../../src/network/firewall/table.ts";
import { tableComment } from "../../../src/network/firewall/table-name.ts";
import type { Publication } from "../../../src/network/publication.ts";
import { ConflictError, type GockerError, NotFoundError } from "../../../src/util/errors.ts";
import { canFilter, firewallIn, networks, nft } from "../../helpers/firewall-networks.ts";
import { NetworkNamespace } from "../../helpers/network-namespace.ts";

const web: Publication = {
  protocol: "tcp",
  hostAddress: "0.0.0.0",
  hostPort: 8080,
  containerAddress: "10.77.0.2",
  containerPort: 80,
};
const names: Publication = { ...web, protocol: "udp", hostAddress: "127.0.0.1", hostPort: 53, containerPort: 5353 };
const web6: Publication = { ...web, hostAddress: "::", containerAddress: "fd00:77::2" };
/** To a container without IPv6: gocker itself passes on what comes. */
const passed: Publication = { ...web6, containerAddress: "", containerPort: 0, hostPort: 8081 };
const calls: Publication = { ...web6, protocol: "sctp", hostAddress: "2001:db8::1", hostPort: 3868 };

const { a, b, c } = networks;
const state: FirewallState = {
  networks: [a, b, c],
  publications: [names, calls, web, web6, passed],
  confinesForwarding: [4],
};
const empty: FirewallState = { networks: [], publications: [], confinesForwarding: [] };

describe("what the firewall keeps", () => {
  test("has a number that grows with each change of the rules", () => {
    const bytes = tableRequests().map((request) => encodeRequest(request, 0));
    const digest = new Bun.CryptoHasher("sha256").update(Buffer.concat(bytes)).digest("hex").slice(0, 16);
    // When they differ: write the next number into `tableComment`, and both here.
    expect([tableComment, digest]).toEqual(["gocker 2", "ac4d8adbdcb17a16"]);
  });

  test("of a network that is none is a mistake of the caller's", () => {
    expect(() => networkEntries({ ...a, subnets: ["10.77.0.0"] })).toThrow(TypeError);
    expect(() => networkEntries({ ...a, bridge: "a-name-that-is-too-long" })).toThrow(RangeError);
    expect(() => publicationEntry({ ...web, containerAddress: "fd00:77::2" })).toThrow(TypeError);
    expect(() => publicationEntry({ ...web, hostAddress: "localhost" })).toThrow(TypeError);
  });
});

describe.skipIf(!canFilter)("the firewall of a network namespace", () => {
  let namespace: NetworkNamespace;
  let firewall: Firewall;
  let socket: NftablesSocket;
  beforeAll(async () => {
    namespace = await NetworkNamespace.create();
    firewall = await firewallIn(namespace);
    socket = await rawSocket(namespace);
  });
  afterEach(() => firewall.remove());
  afterAll(async () => {
    firewall[Symbol.dispose]();
    socket[Symbol.dispose]();
    await namespace[Symbol.asyncDispose]();
  });

  async function rawSocket(of: NetworkNamespace): Promise<NftablesSocket> {
    const descriptor = openSync(of.path, "r");
    try {
      return inNetworkNamespace(descriptor, () => NftablesSocket.open());
    } finally {
      closeSync(descriptor);
    }
  }

  const list = () => nft(namespace, ["list", "ruleset"]);
  const deed = { step: "test", path: "table" };
  /** The expressions of all rules, as the kernel tells them. */
  const rules = (of: NftablesSocket) =>
    of.ask(listRules("gocker"), deed).map(({ body }) => decodeAttributes(body, 4).get(4)?.toString("hex"));

  test("is what nft shows, takes in again, and would have made itself", async () => {
    firewall.rebuild(state);
    const text = await list();
    expect(text).toBe(await Bun.file(join(import.meta.dir, "firewall.nft")).text());
    await nft(namespace, ["-c", "-f", "-"], text);
    await using other = await NetworkNamespace.create();
    await nft(other, ["-f", "-"], text);
    using ofNft = await rawSocket(other);
    expect(rules(socket)).toEqual(rules(ofNft));
    using otherFirewall = await firewallIn(other);
    expect(otherFirewall.read()).toEqual(state);
  });

  test("is there or not, and is read as it was made", () => {
    expect([firewall.isThere(), firewall.read()]).toEqual([false, undefined]);
    firewall.rebuild(state);
    expect([firewall.isThere(), firewall.read()]).toEqual([true, state]);
    firewall.rebuild(empty);
    expect([firewall.isThere(), firewall.read()]).toEqual([true, empty]);
    firewall.remove();
    expect([firewall.isThere(), firewall.read()]).toEqual([false, undefined]);
    firewall.remove();
  });

  test("leaves all other tables alone", async () => {
    const other =
      "table ip other {\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t}\n}\n";
    await nft(namespace, ["-f", "-"], other);
    firewall.rebuild(state);
    firewall.rebuild(empty);
    firewall.remove();
    expect(await list()).toBe(other);
    await nft(namespace, ["flush", "ruleset"]);
  });

  test("tells who else forwards only what he knows", async () => {
    firewall.rebuild(state);
    expect(firewall.obstacles()).toEqual([]);
    const chain = (name: string, hook: string, policy: string) =>
      `chain ${name} { type filter hook ${hook} priority 0; policy ${policy}; }`;
    await nft(
      namespace,
      ["-f", "-"],
      [
        `table ip filter { ${chain("INPUT", "input", "drop")}; ${chain("FORWARD", "forward", "drop")}; chain OTHER { }; }`,
        `table ip6 filter { ${chain("FORWARD", "forward", "accept")}; }`,
        `table inet strict { ${chain("most", "forward", "drop")}; }`,
        `table bridge filter { ${chain("FORWARD", "forward", "drop")}; }`,
      ].join("\n"),
    );
    expect(firewall.obstacles().toSorted()).toEqual(["inet strict most", "ip filter FORWARD"]);
    await nft(namespace, ["flush", "ruleset"]);
  });

  test("is not taken for whole when somebody has changed it", async () => {
    const damages = [
      ["flush", "table", "inet", "gocker"],
      ["add", "rule", "inet", "gocker", "forward", "accept"],
      ["add", "chain", "inet", "gocker", "more"],
      ["flush", "set", "inet", "gocker", "within"],
      ["flush", "set", "inet", "gocker", "subnets4"],
      ["delete", "element", "inet", "gocker", "sources6", "{ fd00:77::/64 }"],
    ];
    for (const words of damages) {
      firewall.rebuild(state);
      await nft(namespace, words);
      // An empty chain of somebody else's does nothing.
      expect([words.join(" "), firewall.read() !== undefined]).toEqual([words.join(" "), words[1] === "chain"]);
      firewall.rebuild(state);
      expect(firewall.read()).toEqual(state);
    }
    await nft(namespace, ["delete", "table", "inet", "gocker"]);
    await nft(namespace, ["add", "table", "inet", "gocker", '{ comment "gocker 0"; }']);
    expect([firewall.isThere(), firewall.read()]).toEqual([false, undefined]);
  });

  test("has a network as it was said last, however often", () => {
    firewall.rebuild(empty);
    firewall.addNetwork(a);
    firewall.addNetwork(a);
    firewall.addNetwork(b);
    expect(firewall.read()?.networks).toEqual([a, b]);
    firewall.addNetwork({ ...a, isInternal: true, masquerades: false });
    expect(firewall.read()?.networks).toEqual([{ ...a, isInternal: true, masquerades: false }, b]);
    firewall.removeNetwork(a);
    firewall.removeNetwork(a);
    expect(firewall.read()?.networks).toEqual([b]);
  });

  test("has no networks that overlap", () => {
    firewall.rebuild({ ...empty, networks: [a] });
    for (const subnet of ["10.77.3.0/24", "10.76.0.0/15", "10.0.0.0/8", "10.77.0.0/16", "fd00:77::/96"]) {
      expect(() => firewall.addNetwork({ ...b, subnets: [subnet] })).toThrow(ConflictError);
    }
    expect(() => firewall.rebuild({ ...empty, networks: [a, { ...b, subnets: ["10.76.0.0/15"] }] })).toThrow(
      "make the firewall: one of its subnets overlaps that of the network of gocker0",
    );
    expect(firewall.read()?.networks).toEqual([a]);
    // Neighbours do not, nor do the first and the last there are.
    const neighbours = ["10.76.0.0/16", "10.78.0.0/16", "0.0.0.0/8", "255.0.0.0/8", "ff00::/8"];
    firewall.addNetwork({ ...b, subnets: neighbours });
    expect(firewall.read()?.networks[1]?.subnets.toSorted()).toEqual(neighbours.toSorted());
  });

  test("leads a port to one container alone", () => {
    firewall.rebuild(empty);
    firewall.publish([web, names]);
    firewall.publish([web]);
    const other = { ...web, containerAddress: "10.77.0.3" };
    expect(() => firewall.publish([calls, other])).toThrow(
      new ConflictError("publish ports: 0.0.0.0:8080/tcp leads to another container"),
    );
    expect(() => firewall.publish([calls, { ...calls, containerPort: 81 }])).toThrow(
      "[2001:db8::1]:3868/sctp leads to another container",
    );
    expect(firewall.read()?.publications).toEqual([names, web]);
    // Somebody else has the port by now.
    firewall.unpublish([other, names, calls]);
    expect(firewall.read()?.publications).toEqual([web]);
    firewall.unpublish([web, web]);
    firewall.unpublish([]);
    firewall.publish([]);
    expect(firewall.read()?.publications).toEqual([]);
    expect(() => firewall.rebuild({ ...empty, publications: [web, other] })).toThrow(ConflictError);
  });

  test("takes thousands of ports at once, and thousands of refusals", () => {
    const many = Array.from({ length: 3000 }, (_, index) => ({ ...names, hostPort: index + 1 }));
    const others = many.map((publication) => ({ ...publication, containerAddress: "10.77.0.3" }));
    firewall.rebuild({ ...empty, publications: many });
    expect(() => firewall.publish(others)).toThrow("127.0.0.1:1/udp leads to another container");
    firewall.unpublish(others);
    expect(firewall.read()?.publications).toEqual(many);
    firewall.unpublish(many);
    expect(firewall.read()).toEqual(empty);
    firewall.publish(many);
    expect(firewall.read()?.publications).toHaveLength(many.length);
  });

  test("confines what is forwarded, of a family", () => {
    firewall.rebuild(empty);
    firewall.confineForwarding(6, true);
    firewall.confineForwarding(6, true);
    expect(firewall.read()?.confinesForwarding).toEqual([6]);
    firewall.confineForwarding(6, false);
    firewall.confineForwarding(6, false);
    expect(firewall.read()?.confinesForwarding).toEqual([]);
  });

  test("that is not there is told to who adds, and not to who removes", () => {
    for (const add of [() => firewall.publish([web]), () => firewall.addNetwork(a)]) {
      expect(add).toThrow(NotFoundError);
    }
    expect(() => firewall.confineForwarding(4, true)).toThrow("table inet gocker is not there");
    firewall.unpublish([web, names]);
    firewall.removeNetwork(a);
    expect(firewall.isThere()).toBe(false);
  });

  test("says which expression the kernel lacks, and does nothing of the batch", () => {
    const requests = [
      addTable("gocker", tableComment),
      addChain("gocker", "x"),
      addRule("gocker", "x", [{ name: "nosuch", attributes: [] }]),
    ];
    expect(() => socket.transaction(requests, deed)).toThrow(
      expect.objectContaining({
        message: 'this kernel has no nftables\' expression "nosuch", which networks of containers need',
        code: "NFTABLES",
        hint: expect.stringContaining("nft_fib_inet"),
      }) as GockerError,
    );
    expect(firewall.isThere()).toBe(false);
  });
});
