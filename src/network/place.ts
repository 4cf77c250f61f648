import { hardwareAddressFor, randomHardwareAddress } from "../linux/netlink/hardware-address.ts";
import type { Link } from "../linux/netlink/links.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { UsageError } from "../util/errors.ts";
import { formatIpAddress, type IpAddress, isInSubnet, parseIpAddress, type Subnet } from "../util/ip-address.ts";
import type { Attachment } from "./endpoints.ts";
import { addressRange } from "./given-addresses.ts";
import { isAssignable } from "./leases.ts";
import type { NetworkStore } from "./networks.ts";
import { findParent } from "./parent-device.ts";
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
  };
}

/** Takes addresses in a network. @throws UsageError, ConflictError one cannot be had */
export function attach(place: Place, store: NetworkStore, container: string): Attachment {
  const { request, network } = place;
  const leases = store.leases(network.id);
  const wanted = new Map([["4", request.ipv4] as const, ["6", request.ipv6] as const]);
  const taken: { readonly address: IpAddress; readonly prefixLength: number }[] = [];
  for (const given of network.subnets) {
    const range = addressRange(given);
    if (range === undefined) continue;
    const { subnet } = range;
    const text = wanted.get(subnet.family === 4 ? "4" : "6");
    const address =
      text === undefined
        ? leases.take(range, container)
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
