import { hardwareAddressFor, randomHardwareAddress } from "../linux/netlink/hardware-address.ts";
import type { Link } from "../linux/netlink/links.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { formatIpAddress, type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import type { Attachment } from "./endpoints.ts";
import { addressesOfHost, addressRange, checkWanted } from "./given-addresses.ts";
import type { NetworkStore } from "./networks.ts";
import { findParent } from "./parent-device.ts";
import { defaultNetworkName, type NetworkRecord } from "./record.ts";

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
  /** See `Attachment`. */
  readonly gatewayPriority?: number;
}

/** A network that a container is to be in, and what its device there is called. */
export interface Place {
  readonly request: NetworkRequest;
  readonly network: NetworkRecord;
  readonly device: string;
}

/** @throws NotFoundError, UsageError as `NetworkStore.resolve` */
export async function networkOf(
  { network }: NetworkRequest,
  store: NetworkStore,
  socket: RouteSocket,
): Promise<NetworkRecord> {
  if (network !== defaultNetworkName && network !== "default") return store.resolve(network);
  const present = store.read(defaultNetworkName);
  if (present !== undefined) return present;
  const { defaultNetwork } = await import("./default-network.ts");
  return await defaultNetwork(store, socket);
}

/** The host's device through which a network is reached, and the network as it is by now. */
export interface HostDevice {
  readonly link: Link;
  readonly network: NetworkRecord;
}

/** The host's device in whose network the containers of a network are. @throws as {@link findParent} */
export function parentDevice(network: NetworkRecord, socket: RouteSocket): HostDevice {
  return { link: findParent(network, socket), network };
}

/** What a container has in a network before it has anything. */
export function emptyAttachment({ network, device, request }: Place): Attachment {
  return {
    network: network.name,
    networkId: network.id,
    device,
    hardwareAddress: "",
    addresses: [],
    gateways: [],
    aliases: request.aliases ?? [],
    ...(request.gatewayPriority !== undefined && { gatewayPriority: request.gatewayPriority }),
  };
}

/**
 * Takes addresses in a network.
 * @param ofHost the host's own, which no container gets
 * @throws UsageError, ConflictError one cannot be had; SystemCallError
 */
export function attach(
  place: Place,
  store: NetworkStore,
  container: string,
  ofHost: readonly IpAddress[] = addressesOfHost(),
): Attachment {
  const { request, network } = place;
  checkWanted(request, network, ofHost);
  const leases = store.leases(network.id);
  const taken: { readonly address: IpAddress; readonly prefixLength: number }[] = [];
  for (const given of network.subnets) {
    const range = addressRange(given, ofHost);
    if (range === undefined) continue;
    const { family, prefixLength } = range.subnet;
    const wanted = parseIpAddress((family === 4 ? request.ipv4 : request.ipv6) ?? "");
    if (wanted !== undefined) leases.takeThis(wanted, container);
    taken.push({ address: wanted ?? leases.take(range, container), prefixLength });
  }
  const [first] = taken;
  return {
    ...emptyAttachment(place),
    ...(network.driver === "bridge" && { port: newPortName() }),
    hardwareAddress:
      request.hardwareAddress ?? (first === undefined ? randomHardwareAddress() : hardwareAddressFor(first.address)),
    addresses: taken.map(({ address, prefixLength }) => `${formatIpAddress(address)}/${prefixLength}`),
    gateways: network.subnets.flatMap(({ gateway }) => gateway ?? []),
  };
}

/** A name that no container before had: the kernel takes its time to remove the devices of one that has ended. */
function newPortName(): string {
  return `veth${Buffer.from(crypto.getRandomValues(new Uint8Array(4))).toString("hex")}`;
}
