import type { RouteSocket } from "../linux/netlink/socket.ts";
import { ConflictError, UsageError } from "../util/errors.ts";
import {
  formatIpAddress,
  formatSubnet,
  type IpAddress,
  isInSubnet,
  overlap,
  parseIpAddress,
  parseSubnet,
  type Subnet,
} from "../util/ip-address.ts";
import { whyFull } from "./given-addresses.ts";
import { isAssignable } from "./leases.ts";
import type { NetworkDriver, NetworkRecord, NetworkSubnet } from "./record.ts";
import {
  bridgeNumbers,
  chooseSubnet,
  subnetsOf,
  subnetsOfHost,
  subnetWithGateway,
  uniqueLocalSubnet,
  userPools,
} from "./subnets.ts";
import { whyUnfit } from "./unfit-subnets.ts";

/** What a user wants of a network's addresses. */
export interface SubnetWish {
  readonly driver: NetworkDriver;
  /** `10.5.0.0/16`; of each family at most one. Those that are missing are chosen. */
  readonly subnets: readonly string[];
  /** Each belongs to the subnet that it is in. */
  readonly gateways: readonly string[];
  readonly ipRanges: readonly string[];
  /** Addresses that no container is to get: `NAME=10.5.0.9`. */
  readonly auxiliary: readonly string[];
  /** Addresses of IPv6 too. */
  readonly ipv6: boolean;
  readonly internal: boolean;
}

/**
 * The blocks of a network that is about to be made, for the holder of the records' lock.
 * @throws UsageError a wish is none, or does not go with the others; ConflictError the addresses are taken; SystemCallError
 */
export function wantedSubnets(
  wish: SubnetWish,
  socket: RouteSocket,
  others: readonly NetworkRecord[],
): NetworkSubnet[] {
  const { driver, ipv6 } = wish;
  const wanted = wish.subnets.map(exactSubnet);
  for (const family of [4, 6] as const) {
    if (wanted.filter((subnet) => subnet.family === family).length > 1) {
      throw new UsageError(`a network has one --subnet of IPv${family}`);
    }
  }
  const ofNetworks = others.flatMap(subnetsOf);
  // A macvlan's addresses are those of the network that the host is in.
  const ofHost = driver === "macvlan" ? [] : subnetsOfHost(socket, bridgeNumbers(others, socket));
  for (const subnet of wanted) refuseTaken(subnet, ofNetworks, ofHost);
  const chosen = [...wanted];
  if (driver === "bridge" && !wanted.some(({ family }) => family === 4)) {
    chosen.unshift(chooseSubnet(userPools, [...ofNetworks, ...ofHost]));
  }
  if (ipv6 && !wanted.some(({ family }) => family === 6)) {
    chosen.push(uniqueLocalSubnet(crypto.getRandomValues(new Uint8Array(5))));
  }
  if (chosen.length === 0) throw new UsageError("a macvlan network needs the --subnet of its host's network");
  const details = chosen.map((subnet) => withDetails(subnet, wish));
  const auxiliary = wish.auxiliary.map((text) => text.replace(/^.*?=/s, ""));
  for (const text of [...wish.gateways, ...wish.ipRanges, ...auxiliary]) {
    const base = parseIpAddress(text.split("/", 1)[0] ?? "");
    if (base !== undefined && !chosen.some((subnet) => isInSubnet(base, subnet))) {
      throw new UsageError(`${text} is in none of the network's subnets: ${chosen.map(formatSubnet).join(", ")}`);
    }
  }
  return details;
}

function exactSubnet(text: string): Subnet {
  const subnet = parseSubnet(text);
  if (subnet === undefined) throw new UsageError(`invalid --subnet ${JSON.stringify(text)}: it looks like 10.5.0.0/16`);
  const base = parseIpAddress(text.split("/", 1)[0] ?? "");
  if (base?.value !== subnet.base) {
    throw new UsageError(`invalid --subnet ${text}: it begins with ${formatSubnet(subnet)}`, {
      hint: `write ${formatSubnet(subnet)}`,
    });
  }
  const why = whyUnfit(subnet);
  if (why !== undefined) throw new UsageError(`${text} ${why}`);
  return subnet;
}

function refuseTaken(subnet: Subnet, ofNetworks: readonly Subnet[], ofHost: readonly Subnet[]): void {
  const network = ofNetworks.find((other) => overlap(subnet, other));
  if (network !== undefined) {
    throw new ConflictError(`${formatSubnet(subnet)} overlaps ${formatSubnet(network)}, which another network has`);
  }
  const route = ofHost.find((other) => overlap(subnet, other));
  if (route !== undefined) {
    throw new ConflictError(`${formatSubnet(subnet)} overlaps ${formatSubnet(route)}, which the host uses otherwise`, {
      hint: "choose another --subnet; `ip route` shows what the host uses",
    });
  }
}

function withDetails(subnet: Subnet, { gateways, ipRanges, auxiliary, internal, driver }: SubnetWish): NetworkSubnet {
  const gateway = gateways.map(checkGateway).find((address) => isInSubnet(address, subnet));
  const range = ipRanges.map(checkRange).find((one) => isInSubnet({ family: one.family, value: one.base }, subnet));
  if (gateway !== undefined && !isAssignable(gateway.value, subnet)) {
    throw new UsageError(`${formatIpAddress(gateway)} cannot be the gateway of ${formatSubnet(subnet)}`);
  }
  if (range !== undefined && range.prefixLength < subnet.prefixLength) {
    throw new UsageError(`--ip-range ${formatSubnet(range)} is larger than its --subnet ${formatSubnet(subnet)}`);
  }
  const usual = internal && driver === "macvlan" ? { subnet: formatSubnet(subnet) } : subnetWithGateway(subnet);
  const kept = auxiliary.map(checkAuxiliary).filter(({ address }) => isInSubnet(address, subnet));
  refuseRepeated(kept.map(({ name }) => name));
  const details = {
    ...usual,
    ...(gateway !== undefined && { gateway: formatIpAddress(gateway) }),
    ...(range !== undefined && { ipRange: formatSubnet(range) }),
    ...(kept.length > 0 && {
      auxiliary: Object.fromEntries(kept.map(({ name, address }) => [name, formatIpAddress(address)])),
    }),
  };
  const why = whyFull(details);
  if (why === undefined) return details;
  throw new UsageError(`${formatSubnet(range ?? subnet)} ${why}`, {
    hint: `choose a larger --${range === undefined ? "subnet" : "ip-range"}`,
  });
}

function checkGateway(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new UsageError(`invalid --gateway ${JSON.stringify(text)}: it is no IP address`);
  return address;
}

function checkAuxiliary(text: string): { readonly name: string; readonly address: IpAddress } {
  const [, name = "", value = ""] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  const address = parseIpAddress(value);
  if (address !== undefined) return { name, address };
  throw new UsageError(`invalid --aux-address ${JSON.stringify(text)}: it looks like router=10.5.0.254`);
}

/** Names of one block: each of the other family's may be that of the same host. */
function refuseRepeated(names: readonly string[]): void {
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  if (repeated !== undefined) throw new UsageError(`--aux-address ${repeated} is given twice`);
}

function checkRange(text: string): Subnet {
  const range = parseSubnet(text);
  if (range === undefined)
    throw new UsageError(`invalid --ip-range ${JSON.stringify(text)}: it looks like 10.5.1.0/24`);
  return range;
}
