import type { RouteSocket } from "../linux/netlink/socket.ts";
import { ConflictError } from "../util/errors.ts";
import { formatSubnet, overlap, type Subnet } from "../util/ip-address.ts";
import { type DefaultNetworkConfig, readDefaultNetworkConfig } from "./config.ts";
import type { NetworkStore } from "./networks.ts";
import { defaultNetworkName, type NetworkRecord, type NetworkSubnet } from "./record.ts";
import {
  chooseSubnet,
  defaultPools,
  subnetsOf,
  subnetsOfHost,
  subnetWithGateway,
  uniqueLocalSubnet,
} from "./subnets.ts";

/** The bridge of the default network. */
export const defaultBridge = "gocker0";

/**
 * The network of containers that ask for none: made when the first one does, with addresses that the host does not use.
 * @throws ConflictError there are no such addresses; UsageError the configuration is none; SystemCallError
 */
export async function defaultNetwork(store: NetworkStore, socket: RouteSocket): Promise<NetworkRecord> {
  const present = store.read(defaultNetworkName);
  if (present !== undefined) return present;
  using _lock = await store.lockRecords();
  const made = store.read(defaultNetworkName);
  if (made !== undefined) return made;
  const taken = { ofHost: subnetsOfHost(socket, new Set()), ofNetworks: store.list().flatMap(subnetsOf) };
  return store.add({
    name: defaultNetworkName,
    driver: "bridge",
    device: defaultBridge,
    subnets: defaultSubnets([], readDefaultNetworkConfig(), taken),
    internal: false,
    labels: {},
    options: {},
  });
}

/** Blocks that are in use. */
export interface TakenSubnets {
  readonly ofHost: readonly Subnet[];
  /** Of other networks. */
  readonly ofNetworks: readonly Subnet[];
}

/**
 * The addresses of the default network: those that are configured; else those that it has, if they are still free; else
 * others. Of IPv6 only where it is asked for.
 * @throws ConflictError what is configured is in use, or nothing is free
 */
export function defaultSubnets(
  current: readonly NetworkSubnet[],
  { subnets, ipv6 }: DefaultNetworkConfig,
  { ofHost, ofNetworks }: TakenSubnets,
): NetworkSubnet[] {
  const taken = [...ofHost, ...ofNetworks];
  const collision = subnets.find((subnet) => taken.some((other) => overlap(subnet, other)));
  if (collision !== undefined) {
    throw new ConflictError(`the default network cannot have ${formatSubnet(collision)}, which is in use`, {
      hint: "configure other addresses for it (network.subnets), or none; `ip route` shows what the host uses",
    });
  }
  const own = subnetsOf({ subnets: current }).filter((subnet) => !taken.some((other) => overlap(subnet, other)));
  const choose = (family: 4 | 6, usual: () => Subnet) =>
    [...subnets, ...own].find((subnet) => subnet.family === family) ?? usual();
  const chosen = [choose(4, () => chooseSubnet(defaultPools, taken))];
  if (ipv6) chosen.push(choose(6, () => uniqueLocalSubnet(crypto.getRandomValues(new Uint8Array(5)))));
  return chosen.map(subnetWithGateway);
}
