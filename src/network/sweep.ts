import { listLinks } from "../linux/netlink/links.ts";
import { HostNetwork } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";

/** What other programs connect their own guests and networks by: they may rely on the host's forwarding by now. */
const othersKinds: ReadonlySet<string> = new Set(["bridge", "tun", "wireguard", "vxlan", "ipvlan", "vrf"]);

/**
 * Takes away the bridges of networks that no container is in; and with the last one the firewall and, where gocker has
 * switched it on and nobody else may need it, the forwarding of packets. The networks stay on record; files that killed
 * processes have left do not.
 * @returns whether there are containers in networks, whose end has to be looked after
 * @throws SystemCallError
 */
export async function sweepHost(store: NetworkStore): Promise<boolean> {
  using host = new HostNetwork(store, () => {});
  using _lock = await store.lockHost();
  store.sweepPrepared();
  const used = new Set(
    store.endpoints.list().flatMap(({ attachments }) => attachments.map(({ networkId }) => networkId)),
  );
  const links = listLinks(host.socket);
  const bridges = host.bridged();
  for (const network of bridges) if (!used.has(network.id)) host.removeBridge(network);
  if (used.size > 0) return true;
  const own = new Set(bridges.map(({ device }) => device));
  if (host.others().networks.length > 0) return false;
  const isShared = links.some(({ name, kind }) => kind !== undefined && othersKinds.has(kind) && !own.has(name));
  const switched = host.switchedForwarding();
  if (isShared && switched.length > 0) return false;
  host.endForwarding(switched);
  host.firewall.remove();
  return false;
}
