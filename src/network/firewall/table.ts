import {
  addressKind,
  addressKinds,
  anyBitOf,
  compare,
  connection,
  connectionReply,
  connectionStates,
  destinationTranslated,
  type Expression,
  jump,
  lookUp,
  lookUpIn,
  masquerade,
  meta,
  payload,
  protocolFamilies,
  translateDestination,
  verdict,
} from "../../linux/netlink/nftables/expressions.ts";
import { addChain, addRule, addSet, addTable, type Hook } from "../../linux/netlink/nftables/messages.ts";
import type { Request } from "../../linux/netlink/message.ts";
import { native32 } from "../../linux/netlink/nftables/numbers.ts";
import { encodeFields } from "../../linux/netlink/nftables/sets.ts";
import { addressBytes } from "../../util/ip-address.ts";
import { sets } from "./sets.ts";
import { tableComment, tableName } from "./table-name.ts";

type Rule = readonly Expression[];

interface Chain {
  readonly name: string;
  readonly hook?: Hook;
  readonly rules: readonly Rule[];
}

/** What makes the whole table, without elements. */
export function tableRequests(): Request[] {
  const all = chains();
  return [
    addTable(tableName, tableComment),
    ...Object.values(sets).map((set) => addSet(tableName, set)),
    ...all.map(({ name, hook }) => addChain(tableName, name, hook)),
    ...all.flatMap(({ name, rules }) => rules.map((rule) => addRule(tableName, name, rule))),
  ];
}

/** How many rules each chain has. */
export function ruleCounts(): Map<string, number> {
  return new Map(chains().map(({ name, rules }) => [name, rules.length]));
}

/** In the order of nft's list: a chain must be there before a rule leads to it. */
function chains(): Chain[] {
  return [published(), prerouting(), output(), postrouting(), guard(), forward(), input()];
}

const families = [4, 6] as const;
type Family = (typeof families)[number];

/** `iifname @set` */
const from = (set: "bridges" | "internal"): Rule => [meta("iifname"), lookUp(set)];
/** `oifname @set` */
const to = (set: "bridges" | "internal"): Rule => [meta("oifname"), lookUp(set)];
const ofFamily = (family: Family): Rule => [meta("nfproto"), compare("equal", Uint8Array.of(protocolFamilies[family]))];

/** `ip saddr`, `ip6 daddr`, …: at these places of the headers, RFC 791 3.1 and RFC 8200 3. */
function address(family: Family, which: "saddr" | "daddr"): Rule {
  const [sourceOffset, length] = family === 4 ? [12, 4] : [8, 16];
  return [...ofFamily(family), payload("network", which === "saddr" ? sourceOffset : sourceOffset + length, length)];
}

const loopbackDevice = encodeFields(["ifname"], [Buffer.from("lo")]);

/** `ip saddr 127.0.0.0/8`: the first byte decides. */
function loopbackAddress(which: "saddr" | "daddr"): Rule {
  const sourceOffset = 12;
  const addressSize = 4;
  const offset = which === "saddr" ? sourceOffset : sourceOffset + addressSize;
  return [...ofFamily(4), payload("network", offset, 1), compare("equal", Uint8Array.of(127))];
}

/** ::1 */
const loopback6 = addressBytes({ family: 6, value: 1n });

/** `fib daddr type local`: an address of this host. */
const isOfKind = (which: "saddr" | "daddr", kind: keyof typeof addressKinds): Rule => [
  addressKind(which),
  compare("equal", native32(addressKinds[kind])),
];

/** `ct status dnat`: the connection has come to a published port. */
const isPublished: Rule = [connection("status"), ...anyBitOf(destinationTranslated)];

/** `meta l4proto . th dport`, in registers from a word on. */
function protocolAndPort(word: number): Rule {
  const destinationPort = { offset: 2, length: 2 };
  // At the same place for TCP, UDP and SCTP; what has no ports is of no protocol in the maps.
  return [meta("l4proto", word), payload("transport", destinationPort.offset, destinationPort.length, word + 1)];
}

/**
 * Sends connections to published ports on to containers. What is published on one address goes before what is published on
 * all, as it would between two programs that listen.
 */
function published(): Chain {
  const onOneAddress = families.map((family) => [
    ...address(family, "daddr"),
    ...protocolAndPort(family === 4 ? 1 : 4),
    lookUpIn(`addressports${family}`),
    translateDestination(family),
  ]);
  const onAllAddresses = families.map((family) => [
    ...ofFamily(family),
    ...protocolAndPort(0),
    lookUpIn(`ports${family}`),
    translateDestination(family),
  ]);
  return { name: "published", rules: [...onOneAddress, ...onAllAddresses] };
}

const destinationPriority = -100;
const sourcePriority = 100;

/** What comes from other hosts and from containers to addresses of this host. */
function prerouting(): Chain {
  return {
    name: "prerouting",
    hook: { type: "nat", at: "prerouting", priority: destinationPriority },
    rules: [
      // Internal networks are led to published ports too, and stopped by `forward`. What listens at these ports on the host
      // in case that they are not translated would let them through.
      // A neighbour may send a packet to 127.0.0.1. The kernel throws it away when it routes, but here it is not routed yet,
      // and a translated destination would let it in: what is published on the loopback is for `output` alone. Packets to
      // ::1 do not get this far.
      [...loopbackAddress("daddr"), verdict("return")],
      [...isOfKind("daddr", "local"), jump("published")],
    ],
  };
}

/** What programs of the host send to addresses of the host. */
function output(): Chain {
  return {
    name: "output",
    hook: { type: "nat", at: "output", priority: destinationPriority },
    rules: [
      // The kernel takes answers to ::1 on the loopback device alone: programs would wait for ever. As it is they reach what
      // listens there, or are refused and try 127.0.0.1.
      [...address(6, "daddr"), compare("equal", loopback6), verdict("return")],
      [...isOfKind("daddr", "local"), jump("published")],
    ],
  };
}

/** From whom connections seem to come. Where none of this holds containers see the client's own address. */
function postrouting(): Chain {
  const leaving = families.map((family) => [
    ...address(family, "saddr"),
    lookUp(`sources${family}`),
    meta("oifname"),
    lookUp("bridges", "not in"),
    masquerade,
  ]);
  // From a container to a published port, of itself even: the answer would go to the client directly, who has asked the host
  // and not that container.
  const fromContainers = families.map((family) => [
    ...to("bridges"),
    ...isPublished,
    ...address(family, "saddr"),
    lookUp(`subnets${family}`),
    masquerade,
  ]);
  return {
    name: "postrouting",
    hook: { type: "nat", at: "postrouting", priority: sourcePriority },
    rules: [
      // The host speaks to an address of its own on a bridge.
      [meta("oifname"), compare("equal", loopbackDevice), verdict("return")],
      ...leaving,
      // From the host itself: to 127.0.0.1 no container could answer, and to the host's other addresses not one in an internal
      // network, or in several.
      [...to("bridges"), ...isPublished, ...isOfKind("saddr", "local"), masquerade],
      ...fromContainers,
    ],
  };
}

/**
 * `route_localnet` is on for bridges of containers with ports, so that programs of the host reach these at 127.0.0.1. The
 * kernel does not look for loopback addresses on such bridges any more, and containers would reach what listens on the host's
 * loopback (CVE-2020-8558). Before connection tracking, so that no answer that is translated back is among these packets.
 */
function guard(): Chain {
  const beforeTracking = -300;
  return {
    name: "guard",
    hook: { type: "filter", at: "prerouting", priority: beforeTracking },
    rules: [
      // From nowhere but the host itself, whatever others have set for all devices: what is published on the loopback is
      // listened at there, too.
      [meta("iifname"), compare("different", loopbackDevice), ...loopbackAddress("daddr"), verdict("drop")],
      [...from("bridges"), ...loopbackAddress("saddr"), verdict("drop")],
    ],
  };
}

/** What goes through the host. The order matters. */
function forward(): Chain {
  return {
    name: "forward",
    hook: { type: "filter", at: "forward", priority: 0 },
    rules: [
      // A network's own traffic comes here when bridges are told to call the firewall (net.bridge.bridge-nf-call-iptables),
      // and when a container asks for a port that is published by its neighbour. Internal networks have that too.
      [meta("iifname"), meta("oifname", 4), lookUp("within"), verdict("accept")],
      // Before what is established: a connection that came about while the table was away ends.
      [...from("internal"), verdict("drop")],
      [...to("internal"), verdict("drop")],
      [connection("state"), ...anyBitOf(connectionStates.established | connectionStates.related), verdict("accept")],
      // Before the ways out: what belongs to no connection is not translated, and would leave with a container's address.
      [...from("bridges"), connection("state"), ...anyBitOf(connectionStates.invalid), verdict("drop")],
      // Before the separation of networks: who may ask the host for a published port may do so from a container.
      [...to("bridges"), ...isPublished, verdict("accept")],
      // Networks are separate, and nobody outside reaches a container by its own address. That covers both.
      [...to("bridges"), verdict("drop")],
      [...from("bridges"), verdict("accept")],
      [meta("nfproto"), lookUp("confined"), verdict("drop")],
    ],
  };
}

/**
 * What comes to the host itself. From an internal network that is the bridge's own addresses and what is sent to all on the
 * link, such as the neighbour discovery of IPv6; not the host's addresses elsewhere.
 */
function input(): Chain {
  return {
    name: "input",
    hook: { type: "filter", at: "input", priority: 0 },
    rules: [
      [meta("iifname"), lookUp("internal", "not in"), verdict("accept")],
      // Answers to the host, at whichever of its addresses it has asked from: 127.0.0.1 for a published port.
      [connection("direction"), compare("equal", Uint8Array.of(connectionReply)), verdict("accept")],
      // Ports of other networks' containers are led elsewhere and stopped by `forward`, but for those that gocker passes on.
      [meta("nfproto"), ...protocolAndPort(1), lookUp("passed"), verdict("drop")],
      [addressKind("daddr", true), compare("equal", native32(addressKinds.local)), verdict("accept")],
      [...isOfKind("daddr", "broadcast"), verdict("accept")],
      [...isOfKind("daddr", "multicast"), verdict("accept")],
      [verdict("drop")],
    ],
  };
}
