import { readFileSync } from "node:fs";
import { listLinks } from "../linux/netlink/links.ts";
import { listRoutes } from "../linux/netlink/routes.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { ConflictError } from "../util/errors.ts";
import {
  formatIpAddress,
  formatSubnet,
  type IpAddress,
  isInSubnet,
  overlap,
  parseIpAddress,
  parseSubnet,
  type Subnet,
  subnetOf,
} from "../util/ip-address.ts";
import { isAssignable } from "./leases.ts";
import type { NetworkRecord } from "./record.ts";

/** A block from which networks get blocks of a size. */
export interface AddressPool {
  /** `10.77.0.0/16` */
  readonly base: string;
  /** The prefix length of each network's block. */
  readonly size: number;
}

const further: readonly AddressPool[] = [
  { base: "172.24.0.0/13", size: 16 },
  { base: "192.168.128.0/17", size: 24 },
];

/**
 * Where the default network has its addresses from: private ones (RFC 1918) that other container engines and usual
 * networks at home and at work leave alone.
 */
export const defaultPools: readonly AddressPool[] = [{ base: "10.77.0.0/16", size: 16 }, ...further];

/** Where networks of users have theirs from unless told. */
export const userPools: readonly AddressPool[] = [{ base: "10.78.0.0/15", size: 24 }, ...further];

/**
 * The first block of the pools that overlaps none of those that are taken.
 * @throws ConflictError there is none
 */
export function chooseSubnet(pools: readonly AddressPool[], taken: readonly Subnet[]): Subnet {
  for (const { base, size } of pools) {
    const pool = parseSubnet(base);
    if (pool === undefined) continue;
    const step = 1n << BigInt((pool.family === 4 ? 32 : 128) - size);
    for (let value = pool.base; isInSubnet({ family: pool.family, value }, pool); value += step) {
      const candidate = subnetOf({ family: pool.family, value }, size);
      if (!taken.some((other) => overlap(candidate, other))) return candidate;
    }
  }
  throw new ConflictError("there is no block of addresses left for another network", {
    hint: "remove networks with `gocker network prune`, or choose a block with --subnet",
  });
}

/**
 * A block for a network of IPv6: a unique local one with 40 random bits, which nobody else has. RFC 4193 3.2.2
 * @param random five bytes
 */
export function uniqueLocalSubnet(random: Uint8Array): Subnet {
  const global = random.slice(0, 5).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { family: 6, base: (0xfdn << 120n) | (global << 80n), prefixLength: 64 };
}

/**
 * What the host can reach otherwise: the destinations of its routes, and its name servers, which may lie behind a VPN that
 * has no route of their own.
 * @param except devices whose routes do not count, by their numbers: those of the networks themselves
 * @throws SystemCallError
 */
export function subnetsOfHost(socket: RouteSocket, except: ReadonlySet<number>): Subnet[] {
  const routes = ([4, 6] as const)
    .flatMap((family) => listRoutes(socket, family))
    .filter(({ destination, device }) => destination.prefixLength > 0 && !except.has(device))
    .map(({ destination }) => destination);
  return [...routes, ...nameServers()];
}

/** The numbers of the bridges of networks that are there: see {@link subnetsOfHost}. @throws SystemCallError */
export function bridgeNumbers(networks: readonly NetworkRecord[], socket: RouteSocket): Set<number> {
  const names = new Set(networks.filter(({ driver }) => driver === "bridge").map(({ device }) => device));
  return new Set(
    listLinks(socket)
      .filter(({ name }) => names.has(name))
      .map(({ index }) => index),
  );
}

function nameServers(): Subnet[] {
  let text: string;
  try {
    text = readFileSync("/etc/resolv.conf", "utf8");
  } catch {
    // A host without name servers has none to lose.
    return [];
  }
  return Array.from(text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm), ([, address = ""]) => parseIpAddress(address))
    .filter((address) => address !== undefined)
    .map((address) => subnetOf(address, address.family === 4 ? 32 : 128));
}

/** Of a network's addresses, those of the host's side, with the prefix length of their block. */
export function gatewayOf(
  subnet: string,
  gateway: string | undefined,
): { readonly address: IpAddress; readonly prefixLength: number } | undefined {
  const address = gateway === undefined ? undefined : parseIpAddress(gateway);
  const block = parseSubnet(subnet);
  return address === undefined || block === undefined ? undefined : { address, prefixLength: block.prefixLength };
}

/** The blocks of a network. */
export function subnetsOf({ subnets }: Pick<NetworkRecord, "subnets">): Subnet[] {
  return subnets.flatMap(({ subnet }) => parseSubnet(subnet) ?? []);
}

/** The host has the first address of a block that a device can have, unless told otherwise. */
export function subnetWithGateway(subnet: Subnet): { readonly subnet: string; readonly gateway: string } {
  const { family, base } = subnet;
  const first = isAssignable(base, subnet) ? base : base + 1n;
  return { subnet: formatSubnet(subnet), gateway: formatIpAddress({ family, value: first }) };
}
