import { findLink, type Link } from "../linux/netlink/links.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { NotFoundError, UsageError } from "../util/errors.ts";
import { askedMtu } from "./mtu.ts";
import type { NetworkRecord } from "./record.ts";

/**
 * The host's device in whose network the containers of a macvlan network are, on record already or not.
 * @throws NotFoundError it is not there; UsageError it cannot be one; SystemCallError
 */
export function findParent(network: Pick<NetworkRecord, "name" | "device" | "options">, socket: RouteSocket): Link {
  const { name, device } = network;
  const link = findLink(socket, device);
  if (link === undefined) throw absent(name, device);
  // The kernel has them on no other, and on no loopback: macvlan_port_create().
  if (!link.isEthernet) {
    throw new UsageError(`network ${name}: ${device} is no Ethernet device, as the parent of a macvlan network is`);
  }
  const mtu = askedMtu(network);
  if (mtu !== undefined && mtu > link.mtu) {
    throw new UsageError(
      `network ${name}: its mtu of ${mtu} is larger than that of its parent ${device}, which is ${link.mtu}`,
    );
  }
  return link;
}

/** Docker makes the devices of VLANs, which have names such as `eth0.100`. */
function absent(network: string, device: string): NotFoundError {
  const [, parent, vlan] = /^(.+)\.(\d{1,4})$/.exec(device) ?? [];
  if (parent === undefined) return new NotFoundError(`network ${network}: the host has no network device ${device}`);
  return new NotFoundError(
    `network ${network}: the host has no network device ${device}, and gocker makes none of VLANs`,
    { hint: `make it with \`ip link add link ${parent} name ${device} type vlan id ${vlan}\`` },
  );
}
