import { addAddress, deviceAddress, findLink, type Link, setLinkUp } from "../linux/netlink/links.ts";
import { addDefaultRoute } from "../linux/netlink/routes.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { makeLinkPair, makeMacvlan, type macvlanModes } from "../linux/netlink/virtual-links.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { writeSysctl } from "../linux/sysctl.ts";
import { errnos } from "../linux/errno.ts";
import { NotFoundError, SystemCallError } from "../util/errors.ts";
import { type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import type { Attachment } from "./endpoints.ts";
import type { NetworkRecord } from "./record.ts";

/** The two sides of a connection. */
export interface Sides {
  readonly host: RouteSocket;
  readonly inside: RouteSocket;
  readonly namespace: number;
}

/** Makes a device in the container's namespace that is connected to a network, and gives it its addresses. */
export function plug(sides: Sides, attachment: Attachment, link: Link, network: NetworkRecord): void {
  const { device, port, hardwareAddress, addresses } = attachment;
  const peer = { name: device, namespace: sides.namespace, hardwareAddress, mtu: link.mtu };
  if (port === undefined) {
    const mode = network.options["macvlan_mode"] ?? "bridge";
    makeMacvlan(sides.host, peer, { parent: link.index, mode: mode as keyof typeof macvlanModes });
  } else {
    makeLinkPair(sides.host, { name: port, mtu: link.mtu }, link.index, peer);
    // The host is to have no address there: it is on the bridge.
    writeSysctl(`net/ipv6/conf/${port}/disable_ipv6`, "1");
  }
  const made = findLink(sides.inside, device);
  if (made === undefined) throw new NotFoundError(`the device ${device} did not come to the container`);
  if (addresses.some((address) => address.includes(":"))) {
    inNetworkNamespace(sides.namespace, () => {
      writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, "0");
      // Other containers of the network are not to tell it where its packets go (CVE-2020-13401).
      writeSysctl(`net/ipv6/conf/${device}/accept_ra`, "0");
    });
  }
  for (const text of addresses) {
    const [address, length] = text.split("/");
    const parsed = parseIpAddress(address ?? "");
    if (parsed !== undefined) addAddress(sides.inside, made.index, device, deviceAddress(parsed, Number(length)));
  }
  if (!made.isUp) setLinkUp(sides.inside, made.index, device, true);
}

/** Of several networks the first that has a way out is the container's, for each family. */
export function addWayOut(
  inside: RouteSocket,
  attachments: readonly Attachment[],
  networks: readonly NetworkRecord[],
): void {
  for (const family of [4, 6] as const) {
    for (const [index, { device, gateways }] of attachments.entries()) {
      if (networks[index]?.internal === true) continue;
      const gateway = gateways.map(parseIpAddress).find((address) => address?.family === family);
      const link = gateway === undefined ? undefined : findLink(inside, device);
      if (gateway === undefined || link === undefined) continue;
      addRoute(inside, link.index, gateway);
      break;
    }
  }
}

/** There may be one already, which stays. */
function addRoute(inside: RouteSocket, device: number, gateway: IpAddress): void {
  try {
    addDefaultRoute(inside, device, gateway);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== errnos.EEXIST) throw error;
  }
}
