import type { RouteSocket } from "../linux/netlink/socket.ts";
import { subnetWithGateway, subnetsOf } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import { defaultNetworkName, type NetworkRecord } from "./record.ts";
import { chooseSubnet, defaultPools, subnetsOfHost } from "./subnets.ts";

/** The bridge of the default network. */
export const defaultBridge = "gocker0";

/**
 * The network of containers that ask for none: made when the first one does, with addresses that the host does not use.
 * @throws ConflictError there are no such addresses; SystemCallError
 */
export async function defaultNetwork(store: NetworkStore, socket: RouteSocket): Promise<NetworkRecord> {
  const present = store.read(defaultNetworkName);
  if (present !== undefined) return present;
  using _lock = await store.lockRecords();
  const made = store.read(defaultNetworkName);
  if (made !== undefined) return made;
  const taken = [...subnetsOfHost(socket, new Set()), ...store.list().flatMap(subnetsOf)];
  return store.add({
    name: defaultNetworkName,
    driver: "bridge",
    device: defaultBridge,
    subnets: [subnetWithGateway(chooseSubnet(defaultPools, taken))],
    internal: false,
    labels: {},
    options: {},
  });
}
