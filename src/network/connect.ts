import type { OwnedFd } from "../linux/fd.ts";
import { addAddress, deviceAddress, findLink, type Link, setLinkUp } from "../linux/netlink/links.ts";
import { addDefaultRoute } from "../linux/netlink/routes.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { hardwareAddressFor, randomHardwareAddress } from "../linux/netlink/hardware-address.ts";
import { makeLinkPair, makeMacvlan, type macvlanModes } from "../linux/netlink/virtual-links.ts";
import { inNetworkNamespace, makeNetworkNamespace } from "../linux/network-namespace.ts";
import { writeSysctl } from "../linux/sysctl.ts";
import { NotFoundError, UsageError } from "../util/errors.ts";
import {
  formatIpAddress,
  type IpAddress,
  isInSubnet,
  parseIpAddress,
  parseSubnet,
  type Subnet,
} from "../util/ip-address.ts";
import { defaultNetwork } from "./default-network.ts";
import type { Attachment, Endpoint } from "./endpoints.ts";
import { HostNetwork, type HostWarning } from "./host-network.ts";
import { isAssignable } from "./leases.ts";
import type { NetworkStore } from "./networks.ts";
import { defaultNetworkName, type NetworkRecord, type NetworkSubnet } from "./record.ts";

/** A network that a container asks for. */
export interface NetworkRequest {
  /** Its name or ID. */
  readonly network: string;
  /** Other names that the container wants there. */
  readonly aliases?: readonly string[];
  /** Addresses that it wants, instead of any. */
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly hardwareAddress?: string;
}

/** What {@link connectContainer} works on. */
export interface ConnectInput {
  readonly store: NetworkStore;
  /** The container's ID; whoever connects it has its lock. */
  readonly container: string;
  readonly requests: readonly NetworkRequest[];
  readonly warn: HostWarning;
}

/** A network namespace for a container that is about to be started, with its devices. */
export interface ConnectedContainer extends Disposable {
  readonly namespace: OwnedFd;
  readonly endpoint: Endpoint;
}

/**
 * Makes a network namespace that is connected to networks. What is made lasts until {@link releaseContainer}, also where
 * this fails; the devices go with the namespace.
 * @throws NotFoundError no such network; UsageError, ConflictError an address cannot be had; SystemCallError
 */
export async function connectContainer(input: ConnectInput): Promise<ConnectedContainer> {
  const { store, container, requests, warn } = input;
  using host = new HostNetwork(store, warn);
  const places: Place[] = [];
  for (const request of requests) {
    const network = await networkOf(request, store, host);
    places.push({ request, network, device: `eth${places.length}` });
  }
  // What it will have is on record before it has it.
  store.endpoints.write({ version: 1, container, attachments: places.map(emptyAttachment), publications: [] });
  const attachments: Attachment[] = [];
  const links: Link[] = [];
  for (const place of places) {
    const { link, network } = await hostDevice(place.network, host);
    attachments.push(attach({ ...place, network }, store, container));
    links.push(link);
  }
  const endpoint: Endpoint = { version: 1, container, attachments, publications: [] };
  store.endpoints.write(endpoint);

  using cleanup = new DisposableStack();
  const hasIpv6 = attachments.some(({ addresses }) => addresses.some((address) => address.includes(":")));
  const { file, opened } = makeNetworkNamespace(() => {
    // Devices without an address of IPv6 are not to give themselves one, as Docker has it.
    if (!hasIpv6) writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return RouteSocket.open();
  });
  cleanup.use(file);
  using inside = opened;
  setLinkUp(inside, loopbackIndex, "lo", true);
  for (const [index, attachment] of attachments.entries()) {
    const place = places[index] as Place;
    plug({ host: host.socket, inside, namespace: file.number }, attachment, links[index] as Link, place.network);
  }
  addWayOut(inside, attachments, places);
  cleanup.move();
  return { namespace: file, endpoint, [Symbol.dispose]: () => file.close() };
}

/** The first device of every network namespace. */
const loopbackIndex = 1;

/** A network that a container is to be in, and what its device there is called. */
interface Place {
  readonly request: NetworkRequest;
  readonly network: NetworkRecord;
  readonly device: string;
}

async function networkOf({ network }: NetworkRequest, store: NetworkStore, host: HostNetwork): Promise<NetworkRecord> {
  if (network === defaultNetworkName || network === "default") return await defaultNetwork(store, host.socket);
  return store.resolve(network);
}

async function hostDevice(network: NetworkRecord, host: HostNetwork) {
  if (network.driver === "bridge") return await host.bridgeOf(network);
  const link = findLink(host.socket, network.device);
  if (link !== undefined) return { link, network };
  throw new NotFoundError(`network ${network.name}: the host has no device ${network.device}`);
}

function emptyAttachment({ network, device, request }: Place): Attachment {
  return {
    network: network.name,
    networkId: network.id,
    device,
    hardwareAddress: "",
    addresses: [],
    gateways: [],
    aliases: request.aliases ?? [],
  };
}

/** Takes addresses in a network. */
function attach(place: Place, store: NetworkStore, container: string): Attachment {
  const { request, network } = place;
  const leases = store.leases(network.id);
  const wanted = new Map([["4", request.ipv4] as const, ["6", request.ipv6] as const]);
  const taken: { readonly address: IpAddress; readonly prefixLength: number }[] = [];
  for (const given of network.subnets) {
    const subnet = parseSubnet(given.subnet);
    if (subnet === undefined) continue;
    const text = wanted.get(subnet.family === 4 ? "4" : "6");
    const address =
      text === undefined
        ? leases.take(rangeOf(subnet, given), container)
        : takeWanted(text, { subnet, given, network, leases, container });
    taken.push({ address, prefixLength: subnet.prefixLength });
  }
  for (const [family, text] of wanted) {
    if (text === undefined || taken.some(({ address }) => String(address.family) === family)) continue;
    throw new UsageError(`network ${network.name} has no addresses of IPv${family}: ${text} cannot be one`);
  }
  const [first] = taken;
  return {
    ...emptyAttachment(place),
    hardwareAddress:
      request.hardwareAddress ?? (first === undefined ? randomHardwareAddress() : hardwareAddressFor(first.address)),
    addresses: taken.map(({ address, prefixLength }) => `${formatIpAddress(address)}/${prefixLength}`),
    gateways: network.subnets.flatMap(({ gateway }) => gateway ?? []),
  };
}

function takeWanted(
  text: string,
  {
    subnet,
    given,
    network,
    leases,
    container,
  }: {
    readonly subnet: Subnet;
    readonly given: NetworkSubnet;
    readonly network: NetworkRecord;
    readonly leases: ReturnType<NetworkStore["leases"]>;
    readonly container: string;
  },
): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined || !isInSubnet(address, subnet)) {
    throw new UsageError(`${text} is no address of network ${network.name}, which has ${given.subnet}`);
  }
  if (!isAssignable(address.value, subnet) || text === given.gateway) {
    throw new UsageError(`${text} cannot be a container's address in network ${network.name}: it is the network's own`);
  }
  leases.takeThis(address, container);
  return address;
}

function rangeOf(subnet: Subnet, { gateway, ipRange }: NetworkSubnet) {
  const reserved = gateway === undefined ? undefined : parseIpAddress(gateway);
  return {
    subnet,
    range: ipRange === undefined ? undefined : parseSubnet(ipRange),
    reserved: reserved === undefined ? [] : [reserved.value],
  };
}

/** The two sides of a connection. */
interface Sides {
  readonly host: RouteSocket;
  readonly inside: RouteSocket;
  readonly namespace: number;
}

/** Makes a device in the container's namespace that is connected to a network, and gives it its addresses. */
function plug(sides: Sides, attachment: Attachment, link: Link, network: NetworkRecord): void {
  const { device, hardwareAddress, addresses } = attachment;
  const peer = { name: device, namespace: sides.namespace, hardwareAddress, mtu: link.mtu };
  if (network.driver === "macvlan") {
    const mode = network.options["macvlan_mode"] ?? "bridge";
    makeMacvlan(sides.host, peer, { parent: link.index, mode: mode as keyof typeof macvlanModes });
  } else {
    // A name that no container before had: the kernel takes its time to remove the devices of one that has ended.
    const port = `veth${Buffer.from(crypto.getRandomValues(new Uint8Array(4))).toString("hex")}`;
    makeLinkPair(sides.host, { name: port, mtu: link.mtu }, link.index, peer);
    // The host is to have no address there: it is on the bridge.
    writeSysctl(`net/ipv6/conf/${port}/disable_ipv6`, "1");
  }
  const made = findLink(sides.inside, device);
  if (made === undefined) throw new NotFoundError(`the device ${device} did not come to the container`);
  if (addresses.some((address) => address.includes(":"))) {
    inNetworkNamespace(sides.namespace, () => {
      writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, "0");
      // Other containers of the network are not to tell it where its packets go (CVE-2020-13401).
      writeSysctl(`net/ipv6/conf/${device}/accept_ra`, "0");
    });
  }
  for (const text of addresses) {
    const [address, length] = text.split("/");
    const parsed = parseIpAddress(address ?? "");
    if (parsed !== undefined) addAddress(sides.inside, made.index, device, deviceAddress(parsed, Number(length)));
  }
  if (!made.isUp) setLinkUp(sides.inside, made.index, device, true);
}

/** Of several networks the first that has a way out is the container's, for each family. */
function addWayOut(inside: RouteSocket, attachments: readonly Attachment[], places: readonly Place[]): void {
  for (const family of [4, 6] as const) {
    for (const [index, { device, gateways }] of attachments.entries()) {
      if (places[index]?.network.internal === true) continue;
      const gateway = gateways.map(parseIpAddress).find((address) => address?.family === family);
      const link = gateway === undefined ? undefined : findLink(inside, device);
      if (gateway === undefined || link === undefined) continue;
      addDefaultRoute(inside, link.index, gateway);
      break;
    }
  }
}

/**
 * Gives back what a container has of the host's networks. It does not run any more, or never has: its namespace is gone or
 * about to be, and its devices with it. To do it again is no error.
 * @throws SystemCallError
 */
export async function releaseContainer(store: NetworkStore, container: string): Promise<void> {
  const endpoint = store.endpoints.read(container);
  if (endpoint === undefined) return;
  if (endpoint.publications.length > 0) {
    using host = new HostNetwork(store, () => {});
    using _lock = await store.lockHost();
    host.firewall.unpublish(endpoint.publications);
  }
  for (const { networkId } of endpoint.attachments) store.leases(networkId).release(container);
  store.endpoints.remove(container);
}
