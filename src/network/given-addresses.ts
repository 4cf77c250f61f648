import { listAddresses } from "../linux/netlink/addresses.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { UsageError } from "../util/errors.ts";
import { formatIpAddress, type IpAddress, isInSubnet, parseIpAddress, parseSubnet } from "../util/ip-address.ts";
import { type AddressRange, hasRoom, isAssignable } from "./leases.ts";
import type { NetworkStore } from "./networks.ts";
import type { NetworkRecord, NetworkSubnet } from "./record.ts";

/** Addresses that a container wants in a network, instead of any. */
export interface WantedAddresses {
  readonly ipv4?: string;
  readonly ipv6?: string;
}

/** The host's own addresses: a macvlan network is one in which the host has some. @throws SystemCallError */
export function addressesOfHost(): IpAddress[] {
  using socket = RouteSocket.open();
  return listAddresses(socket);
}

/**
 * From where in a block of a network containers get addresses; undefined where it is none.
 * @param ofHost see {@link addressesOfHost}
 */
export function addressRange(given: NetworkSubnet, ofHost: readonly IpAddress[] = []): AddressRange | undefined {
  const subnet = parseSubnet(given.subnet);
  if (subnet === undefined) return undefined;
  const { gateway, auxiliary = {}, ipRange } = given;
  const kept = [...(gateway === undefined ? [] : [gateway]), ...Object.values(auxiliary)];
  const reserved = [...kept.flatMap((text) => parseIpAddress(text) ?? []), ...ofHost];
  return {
    subnet,
    range: ipRange === undefined ? undefined : parseSubnet(ipRange),
    reserved: reserved.filter((address) => isInSubnet(address, subnet)).map(({ value }) => value),
  };
}

/** Why no container can have an address of a block, in words that follow the block's; undefined where one can. */
export function whyFull(given: NetworkSubnet): string | undefined {
  const range = addressRange(given);
  if (range !== undefined && hasRoom(range)) return undefined;
  const kept = [
    ...(given.gateway === undefined ? [] : [`the gateway ${given.gateway}`]),
    ...(given.auxiliary === undefined ? [] : ["those that are kept free"]),
  ];
  return `has no address for a container${kept.length === 0 ? "" : ` beside ${kept.join(" and ")}`}`;
}

/**
 * That a network can give the addresses that a container wants, apart from whether another container has them.
 * @throws UsageError
 */
export function checkWanted(
  { ipv4, ipv6 }: WantedAddresses,
  network: NetworkRecord,
  ofHost: readonly IpAddress[],
): void {
  for (const [family, text] of [[4, ipv4] as const, [6, ipv6] as const]) {
    if (text === undefined) continue;
    const given = network.subnets.find(({ subnet }) => parseSubnet(subnet)?.family === family);
    if (given === undefined) {
      throw new UsageError(`network ${network.name} has no addresses of IPv${family}: ${text} cannot be one`);
    }
    checkAddress(text, given, network, ofHost);
  }
}

function checkAddress(text: string, given: NetworkSubnet, { name }: NetworkRecord, ofHost: readonly IpAddress[]): void {
  const address = parseIpAddress(text);
  const subnet = parseSubnet(given.subnet);
  if (address === undefined || subnet === undefined || !isInSubnet(address, subnet)) {
    throw new UsageError(`${text} is no address of network ${name}, which has ${given.subnet}`);
  }
  const whose = isAssignable(address.value, subnet) ? ownerOf(address, given, ofHost) : "the network's own";
  if (whose === undefined) return;
  throw new UsageError(`${text} cannot be a container's address in network ${name}: it is ${whose}`);
}

/** Whose an address is that no container can have; undefined of any other. */
function ownerOf(address: IpAddress, given: NetworkSubnet, ofHost: readonly IpAddress[]): string | undefined {
  const text = formatIpAddress(address);
  if (text === given.gateway) return "the network's own";
  const kept = Object.entries(given.auxiliary ?? {}).find(([, other]) => other === text);
  if (kept !== undefined) return `kept free for ${kept[0]}`;
  const isOfHost = ofHost.some(({ family, value }) => family === address.family && value === address.value);
  return isOfHost ? "the host's own" : undefined;
}

/**
 * {@link checkWanted} for a container that is to be in a network later.
 * @param name the network's; one that is not on record yet has no addresses to choose from
 * @throws UsageError; SystemCallError
 */
export function checkBeforehand(store: NetworkStore, name: string, wanted: WantedAddresses): void {
  if ((wanted.ipv4 ?? wanted.ipv6) === undefined) return;
  const network = store.read(name);
  if (network !== undefined) checkWanted(wanted, network, addressesOfHost());
}
