import { protocolFamilies } from "../../linux/netlink/nftables/expressions.ts";
import { bigEndian16 } from "../../linux/netlink/nftables/numbers.ts";
import { decodeFields, encodeFields, type SetDefinition, type SetElement } from "../../linux/netlink/nftables/sets.ts";
import {
  addressBits,
  addressBytes,
  addressOfBytes,
  formatIpAddress,
  formatSubnet,
  type IpAddress,
  lastAddress,
  overlap,
  parseIpAddress,
  parseSubnet,
  type Subnet,
} from "../../util/ip-address.ts";
import type { PortProtocol, Publication } from "../publication.ts";
import { sets } from "./sets.ts";
import type { FirewallNetwork, FirewallState } from "./state.ts";

/** An element and the set that it is in. */
export interface Entry {
  readonly set: SetDefinition;
  readonly element: SetElement;
}

/** What there is of a network in sets, and what there is not and another one of its name may have left. */
export function networkEntries(network: FirewallNetwork): { present: Entry[]; absent: Entry[] } {
  const { bridge, isInternal, masquerades } = network;
  const name = Buffer.from(bridge);
  const present: Entry[] = [
    { set: sets.bridges, element: { key: encodeFields(sets.bridges.key, [name]) } },
    { set: sets.within, element: { key: encodeFields(sets.within.key, [name, name]) } },
  ];
  const absent: Entry[] = [];
  const internal = { set: sets.internal, element: { key: encodeFields(sets.internal.key, [name]) } };
  (isInternal ? present : absent).push(internal);
  for (const text of network.subnets) {
    const { family, element } = intervalOf(text);
    present.push({ set: sets[`subnets${family}`], element: { ...element, comment: bridge } });
    (masquerades ? present : absent).push({ set: sets[`sources${family}`], element });
  }
  return { present, absent };
}

/** A network's bridge and what addresses it has. */
export type Block = Pick<FirewallNetwork, "bridge" | "subnets">;

/** The first of some networks that has an address which this one has too. */
export function overlapping(network: Block, others: readonly Block[]): Block | undefined {
  const own = network.subnets.map(subnetOf);
  return others.find(({ subnets }) => subnets.map(subnetOf).some((one) => own.some((other) => overlap(one, other))));
}

function subnetOf(text: string): Subnet {
  const subnet = parseSubnet(text);
  if (subnet === undefined) throw new TypeError(`no subnet: ${text}`);
  return subnet;
}

/** The subnets that there are, and of whom. */
export function blocksOf(elementsOf: (set: SetDefinition) => readonly SetElement[]): Block[] {
  const subnets = [...subnetsIn(sets.subnets4, elementsOf), ...subnetsIn(sets.subnets6, elementsOf)];
  return subnets.map(({ text, comment = "" }) => ({ bridge: comment, subnets: [text] }));
}

function intervalOf(text: string): { family: 4 | 6; element: SetElement } {
  const subnet = subnetOf(text);
  const { family, base } = subnet;
  const behind = lastAddress(subnet) + 1n;
  const isLast = behind >> BigInt(addressBits(family)) !== 0n;
  return {
    family,
    element: {
      key: addressBytes({ family, value: base }),
      end: isLast ? undefined : addressBytes({ family, value: behind }),
    },
  };
}

export function confinedEntry(family: 4 | 6): Entry {
  return { set: sets.confined, element: { key: Uint8Array.of(protocolFamilies[family]) } };
}

const protocolNumbers: Readonly<Record<PortProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** @param publication see `firewallPublications` */
export function publicationEntry(publication: Publication): Entry {
  const { protocol, hostAddress, hostPort, containerAddress, containerPort } = publication;
  const host = addressOf(hostAddress);
  if (containerAddress === "") {
    const fields = [protocolFamilies[host.family], protocolNumbers[protocol]].map((number) => Uint8Array.of(number));
    return { set: sets.passed, element: { key: encodeFields(sets.passed.key, [...fields, bigEndian16(hostPort)]) } };
  }
  const container = addressOf(containerAddress);
  const { family } = host;
  if (family !== container.family) throw new TypeError(`${hostAddress} cannot lead to ${containerAddress}`);
  const portFields = [Uint8Array.of(protocolNumbers[protocol]), bigEndian16(hostPort)];
  const isOnAll = host.value === 0n;
  const set = sets[`${isOnAll ? "ports" : "addressports"}${family}`];
  const key = encodeFields(set.key, isOnAll ? portFields : [addressBytes(host), ...portFields]);
  const value = encodeFields(set.value, [addressBytes(container), bigEndian16(containerPort)]);
  return { set, element: { key, value } };
}

function addressOf(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new TypeError(`no IP address: ${text}`);
  return address;
}

/** All elements of a state. */
export function stateEntries({ networks, publications, confinesForwarding }: FirewallState): Entry[] {
  return [
    ...networks.flatMap((network) => networkEntries(network).present),
    ...confinesForwarding.map(confinedEntry),
    ...publications.map(publicationEntry),
  ];
}

/**
 * The state that the elements of sets are, in a definite order.
 * @param elementsOf what is in a set
 * @returns undefined when they contradict each other, which gocker does not let come about
 */
export function stateOf(elementsOf: (set: SetDefinition) => readonly SetElement[]): FirewallState | undefined {
  const namesIn = (set: SetDefinition) =>
    elementsOf(set).flatMap(({ key }) => {
      const names = decodeFields(set.key, Buffer.from(key)).map((field) => nameOf(field));
      return names.every((name) => name === names[0]) ? names.slice(0, 1) : [];
    });
  const bridges = namesIn(sets.bridges).toSorted();
  const [within, internal] = [new Set(namesIn(sets.within)), new Set(namesIn(sets.internal))];
  const subnets = [...subnetsIn(sets.subnets4, elementsOf), ...subnetsIn(sets.subnets6, elementsOf)];
  const sources = [...subnetsIn(sets.sources4, elementsOf), ...subnetsIn(sets.sources6, elementsOf)];
  const sourceTexts = new Set(sources.map(({ text }) => text));

  const networks = bridges.map((bridge): FirewallNetwork => {
    const own = subnets.filter(({ comment }) => comment === bridge).map(({ text }) => text);
    return {
      bridge,
      subnets: own,
      isInternal: internal.has(bridge),
      masquerades: own.length > 0 && own.every((text) => sourceTexts.has(text)),
    };
  });
  const owned = networks.flatMap(({ subnets: own }) => own);
  const masqueraded = networks.flatMap((network) => (network.masquerades ? network.subnets : []));
  const isWhole =
    within.size === bridges.length &&
    bridges.every((bridge) => within.has(bridge)) &&
    [...internal].every((bridge) => within.has(bridge)) &&
    owned.length === subnets.length &&
    masqueraded.length === sources.length;
  if (!isWhole) return undefined;

  const maps = [sets.addressports4, sets.ports4, sets.addressports6, sets.ports6];
  const publications = [
    ...maps.flatMap((map) => elementsOf(map).flatMap((element) => publicationOf(map, element) ?? [])),
    ...elementsOf(sets.passed).flatMap(({ key }) => passedPublication(key) ?? []),
  ];
  publications.sort((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1));
  const confined = new Set(elementsOf(sets.confined).map(({ key }) => key[0]));
  const confinesForwarding = ([4, 6] as const).filter((family) => confined.has(protocolFamilies[family]));
  return { networks, publications, confinesForwarding };
}

/** The name of a device without what fills it up. */
function nameOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? field.length : end);
}

function subnetsIn(
  set: SetDefinition,
  elementsOf: (set: SetDefinition) => readonly SetElement[],
): { text: string; comment: string | undefined }[] {
  const elements = elementsOf(set).toSorted((one, other) => Buffer.compare(one.key, other.key));
  return elements.map(({ key, end, comment }) => {
    const { family, value: base } = addressOfBytes(key);
    const bits = addressBits(family);
    const behind = end === undefined ? 1n << BigInt(bits) : addressOfBytes(end).value;
    const prefixLength = bits - ((behind - base).toString(2).length - 1);
    return { text: formatSubnet({ family, base, prefixLength }), comment };
  });
}

type PortMap = (typeof sets)["ports4" | "ports6" | "addressports4" | "addressports6"];

function passedPublication(key: Uint8Array): Publication | undefined {
  const [family, protocolField, port] = decodeFields(sets.passed.key, Buffer.from(key));
  const protocol = protocolOf(protocolField);
  if (protocol === undefined || port === undefined) return undefined;
  const hostAddress = family?.[0] === protocolFamilies[4] ? "0.0.0.0" : "::";
  return { protocol, hostAddress, hostPort: port.readUInt16BE(), containerAddress: "", containerPort: 0 };
}

function protocolOf(field: Buffer | undefined): PortProtocol | undefined {
  return (Object.keys(protocolNumbers) as PortProtocol[]).find((name) => protocolNumbers[name] === field?.[0]);
}

function publicationOf(map: PortMap, { key, value }: SetElement): Publication | undefined {
  const fields = decodeFields(map.key, Buffer.from(key));
  const [containerAddress, containerPort] = decodeFields(map.value, Buffer.from(value ?? []));
  const [protocolField, portField] = fields.slice(-2);
  const protocol = protocolOf(protocolField);
  const wildcard = map.value[0] === "ipv4_addr" ? "0.0.0.0" : "::";
  const hostField = fields.length > 2 ? fields[0] : undefined;
  if (protocol === undefined || portField === undefined) return undefined;
  if (containerAddress === undefined || containerPort === undefined) return undefined;
  return {
    protocol,
    hostAddress: hostField === undefined ? wildcard : formatIpAddress(addressOfBytes(hostField)),
    hostPort: portField.readUInt16BE(),
    containerAddress: formatIpAddress(addressOfBytes(containerAddress)),
    containerPort: containerPort.readUInt16BE(),
  };
}

function sortKey({ protocol, hostAddress, hostPort }: Publication): string {
  return `${String(hostPort).padStart(5, "0")} ${protocol} ${hostAddress}`;
}
