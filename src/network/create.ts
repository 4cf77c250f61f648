import { RouteSocket } from "../linux/netlink/socket.ts";
import { findLink } from "../linux/netlink/links.ts";
import { macvlanModes } from "../linux/netlink/virtual-links.ts";
import { ConflictError, UsageError } from "../util/errors.ts";
import {
  formatIpAddress,
  formatSubnet,
  isInSubnet,
  overlap,
  parseIpAddress,
  parseSubnet,
  type Subnet,
} from "../util/ip-address.ts";
import { freeBridgeName } from "./bridge-name.ts";
import { isAssignable } from "./leases.ts";
import { type NetworkStore, parseNetworkName } from "./networks.ts";
import { findParent } from "./parent-device.ts";
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

/** What a user wants of a network. */
export interface NetworkWish {
  readonly name: string;
  readonly driver: NetworkDriver;
  /** `10.5.0.0/16`; of each family at most one. Those that are missing are chosen. */
  readonly subnets: readonly string[];
  /** Each belongs to the subnet that it is in. */
  readonly gateways: readonly string[];
  readonly ipRanges: readonly string[];
  /** Addresses of IPv6 too. */
  readonly ipv6: boolean;
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

/** Docker's options of its drivers that gocker has, and what their values must be. */
const knownOptions: Readonly<Record<string, RegExp>> = {
  "com.docker.network.bridge.name": /^[^\s/:.][^\s/:]{0,14}$/,
  "com.docker.network.bridge.enable_ip_masquerade": /^(?:true|false)$/,
  "com.docker.network.driver.mtu": /^\d{2,5}$/,
  mtu: /^\d{2,5}$/,
  parent: /^[^\s/:]{1,15}$/,
  macvlan_mode: new RegExp(`^(?:${Object.keys(macvlanModes).join("|")})$`),
};

/**
 * Puts a network on record. Its devices are made when the first container is in it.
 * @throws UsageError a wish is none, or does not go with the others; ConflictError the name, the addresses or the bridge
 *   are taken; SystemCallError
 */
export async function createNetwork(store: NetworkStore, wish: NetworkWish): Promise<NetworkRecord> {
  const name = parseNetworkName(wish.name);
  checkOptions(wish);
  using socket = RouteSocket.open();
  using _lock = await store.lockRecords();
  const others = store.list();
  if (others.some((other) => other.name === name)) throw taken(name);
  const device = deviceFor(wish, socket, others);
  const subnets = subnetsFor(wish, socket, others);
  const { driver, internal, labels, options } = wish;
  return store.add({ name, driver, device, subnets, internal, labels, options });
}

function taken(name: string): ConflictError {
  return new ConflictError(`there is a network ${name} already`, {
    hint: `choose another name, or remove it with \`gocker network rm ${name}\``,
  });
}

function checkOptions({ driver, options }: NetworkWish): void {
  for (const [key, value] of Object.entries(options)) {
    const form = Object.hasOwn(knownOptions, key) ? knownOptions[key] : undefined;
    const isMacvlans = key === "parent" || key === "macvlan_mode";
    if (form === undefined || (isMacvlans && driver !== "macvlan")) {
      throw new UsageError(`the driver ${driver} has no option ${JSON.stringify(key)}`, {
        hint: `there are ${Object.keys(knownOptions).join(", ")}`,
      });
    }
    if (!form.test(value)) throw new UsageError(`invalid --opt ${key}=${value}`);
  }
}

function deviceFor(
  { driver, options, name }: NetworkWish,
  socket: RouteSocket,
  others: readonly NetworkRecord[],
): string {
  if (driver === "macvlan") {
    const { parent } = options;
    if (parent === undefined) {
      throw new UsageError("a macvlan network needs the device of the host whose network it is", {
        hint: "name it with --opt parent=eth0",
      });
    }
    return findParent({ name, device: parent, options }, socket).name;
  }
  const asked = options["com.docker.network.bridge.name"];
  if (asked === undefined) return freeBridgeName(socket, others);
  if (others.some(({ device }) => device === asked)) {
    throw new ConflictError(`the bridge ${asked} is that of another network than ${name} would be`);
  }
  if (findLink(socket, asked) !== undefined) throw new ConflictError(`the host has a network device ${asked} already`);
  return asked;
}

function subnetsFor(wish: NetworkWish, socket: RouteSocket, others: readonly NetworkRecord[]): NetworkSubnet[] {
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
  for (const text of [...wish.gateways, ...wish.ipRanges]) {
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

function withDetails(subnet: Subnet, { gateways, ipRanges, internal, driver }: NetworkWish): NetworkSubnet {
  const gateway = gateways.map(checkGateway).find((address) => isInSubnet(address, subnet));
  const range = ipRanges.map(checkRange).find((one) => isInSubnet({ family: one.family, value: one.base }, subnet));
  if (gateway !== undefined && !isAssignable(gateway.value, subnet)) {
    throw new UsageError(`${formatIpAddress(gateway)} cannot be the gateway of ${formatSubnet(subnet)}`);
  }
  if (range !== undefined && range.prefixLength < subnet.prefixLength) {
    throw new UsageError(`--ip-range ${formatSubnet(range)} is larger than its --subnet ${formatSubnet(subnet)}`);
  }
  const usual = internal && driver === "macvlan" ? { subnet: formatSubnet(subnet) } : subnetWithGateway(subnet);
  return {
    ...usual,
    ...(gateway !== undefined && { gateway: formatIpAddress(gateway) }),
    ...(range !== undefined && { ipRange: formatSubnet(range) }),
  };
}

function checkGateway(text: string) {
  const address = parseIpAddress(text);
  if (address === undefined) throw new UsageError(`invalid --gateway ${JSON.stringify(text)}: it is no IP address`);
  return address;
}

function checkRange(text: string): Subnet {
  const range = parseSubnet(text);
  if (range === undefined)
    throw new UsageError(`invalid --ip-range ${JSON.stringify(text)}: it looks like 10.5.1.0/24`);
  return range;
}
