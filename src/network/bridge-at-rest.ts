import { findLink, type Link } from "../linux/netlink/links.ts";
import { NftablesSocket } from "../linux/netlink/nftables/socket.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { readSysctl } from "../linux/sysctl.ts";
import { isBridgeOf } from "./bridge-name.ts";
import { isTableThere } from "./firewall/presence.ts";
import { forwardingOf } from "./forwarding.ts";
import type { NetworkStore } from "./networks.ts";
import type { NetworkRecord } from "./record.ts";

/**
 * The bridge of a network when there is nothing to do for it. For a container whose endpoint is on record as one of that
 * network: nobody takes the bridge away then.
 * @returns undefined when it, or the firewall, is not there, or somebody is changing the host's side: see
 *   `HostNetwork.prepare`
 * @throws SystemCallError
 */
export function bridgeAtRest(network: NetworkRecord, store: NetworkStore, socket: RouteSocket): Link | undefined {
  const link = findLink(socket, network.device);
  if (!network.internal && !forwards(network)) return undefined;
  // Who holds the lock may have found it unused, before that endpoint was on record.
  if (link?.isUp !== true || !isBridgeOf(link, network) || !store.isHostAtRest()) return undefined;
  using firewall = NftablesSocket.open();
  return isTableThere(firewall) ? link : undefined;
}

/** Whether the host forwards packets of the network's families: somebody may have switched that off. */
function forwards({ subnets }: NetworkRecord): boolean {
  return subnets.every(({ subnet }) => readSysctl(forwardingOf(subnet.includes(":") ? 6 : 4)) !== "0");
}
