import { addressOrder, deviceAddress, findLink, type Link, linkUpOrder } from "../linux/netlink/links.ts";
import { defaultRouteOrder } from "../linux/netlink/routes.ts";
import type { Order, RouteSocket } from "../linux/netlink/socket.ts";
import { linkPairOrders } from "../linux/netlink/virtual-links.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { writeSysctl } from "../linux/sysctl.ts";
import { errnos } from "../linux/errno.ts";
import { NotFoundError, SystemCallError } from "../util/errors.ts";
import { type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import { type Attachment, byPriority } from "./endpoints.ts";
import type { MacvlanPlace } from "./macvlan.ts";
import { mustPortsReflect } from "./own-ports.ts";
import type { NetworkRecord } from "./record.ts";

/** A place in a network, and the host's device through which that is reached. */
export interface Connection {
  readonly attachment: Attachment;
  readonly link: Link;
  readonly network: NetworkRecord;
}

/** A container's network namespace, and a socket to its devices. */
export interface Inside {
  readonly namespace: number;
  readonly socket: RouteSocket;
}

/**
 * Make, for the host, a device in the container's namespace that is connected to a bridge; nothing for a network without
 * one, where it is for {@link plugRest}.
 * @param namespace the file descriptor of the container's
 * @throws SystemCallError
 */
export function plugOrders({ attachment, link }: Connection, namespace: number): Order[] {
  const { device, port, hardwareAddress } = attachment;
  if (port === undefined) return [];
  const peer = { name: device, namespace, hardwareAddress, mtu: link.mtu };
  return linkPairOrders({ name: port, mtu: link.mtu, reflects: mustPortsReflect() }, link.index, peer);
}

/**
 * Makes what {@link plugOrders} has not, and brings up what may have to wait for that.
 * @returns what is left to do: see `NetlinkSocket.carryOut`
 * @throws NotFoundError, ConflictError, SystemCallError
 */
export async function plugRest(connection: Connection, inside: Inside, place: MacvlanPlace): Promise<PluggedDevice> {
  const { attachment } = connection;
  if (attachment.port !== undefined) return pluggedDevice(attachment, inside);
  const { bringUpMacvlan, makeMacvlan } = await import("./macvlan.ts");
  await makeMacvlan(connection, inside.namespace, place);
  const plugged = pluggedDevice(attachment, inside);
  await bringUpMacvlan(connection, { socket: inside.socket, index: plugged.index }, place);
  return plugged;
}

/** A device in the container, and what has to be done there before it is of use. */
export interface PluggedDevice {
  readonly index: number;
  /** See `NetlinkSocket.carryOut`. */
  readonly orders: readonly Order[];
}

/** @throws SystemCallError */
function pluggedDevice({ device, port, addresses }: Attachment, inside: Inside): PluggedDevice {
  // The host is to have nothing of IPv6 there: it is on the bridge. Should somebody take that away, a container could tell
  // the host by its port where its packets go (CVE-2020-13401).
  if (port !== undefined) writeSysctl(`net/ipv6/conf/${port}/disable_ipv6`, "1");
  const made = findLink(inside.socket, device);
  if (made === undefined) throw new NotFoundError(`the device ${device} did not come to the container`);
  if (addresses.some((address) => address.includes(":"))) {
    inNetworkNamespace(inside.namespace, () => {
      writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, "0");
      // Other containers of the network are not to tell it where its packets go (CVE-2020-13401).
      writeSysctl(`net/ipv6/conf/${device}/accept_ra`, "0");
    });
  }
  const { index } = made;
  const addressOrders = addresses.flatMap((text) => {
    const [address, length] = text.split("/");
    const parsed = parseIpAddress(address ?? "");
    return parsed === undefined ? [] : [addressOrder(index, device, deviceAddress(parsed, Number(length)))];
  });
  return { index, orders: [...addressOrders, linkUpOrder(index, device)] };
}

/** Where a container's packets go that are for none of its networks. */
interface WayOut {
  readonly device: string;
  /** The number of that device in the container. */
  readonly index: number;
  readonly gateway: IpAddress;
}

/**
 * For each family the way out by that of several networks which has one and comes first: see `byPriority`.
 * @param indexOf the numbers of the container's devices
 */
function chooseWaysOut(
  attachments: readonly Attachment[],
  networks: readonly (NetworkRecord | undefined)[],
  indexOf: (device: string) => number | undefined,
): WayOut[] {
  const open = byPriority(attachments.filter((_, position) => networks[position]?.internal !== true));
  return ([4, 6] as const).flatMap((family) => {
    const ways = open.flatMap(({ device, gateways }): WayOut[] => {
      const gateway = gateways.map(parseIpAddress).find((address) => address?.family === family);
      const index = gateway === undefined ? undefined : indexOf(device);
      return gateway === undefined || index === undefined ? [] : [{ device, index, gateway }];
    });
    return ways.slice(0, 1);
  });
}

/** {@link chooseWaysOut} for a container that is made. */
export function waysOut(
  attachments: readonly Attachment[],
  networks: readonly NetworkRecord[],
  indexOf: (device: string) => number | undefined,
): Order[] {
  return chooseWaysOut(attachments, networks, indexOf).map(({ index, gateway }) => defaultRouteOrder(index, gateway));
}

/**
 * {@link waysOut} for a container that runs and has left a network: there may be one already, which stays.
 * @param networks those of the attachments; one that is not on record any more counts as one that has a way out
 * @throws SystemCallError
 */
export function addWaysOut(
  inside: RouteSocket,
  attachments: readonly Attachment[],
  networks: readonly (NetworkRecord | undefined)[],
): void {
  for (const { index, gateway } of chooseWaysOut(attachments, networks, (name) => findLink(inside, name)?.index)) {
    try {
      inside.carryOut([defaultRouteOrder(index, gateway)]);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.errno !== errnos.EEXIST) throw error;
    }
  }
}

/**
 * {@link waysOut} for a container that runs and has got one more network: where that one comes first now, it takes the
 * place of the one before.
 * @param device the container's in that network
 * @param networks those of the attachments; one that is not on record any more counts as one that has a way out
 * @throws SystemCallError
 */
export function moveWaysOut(
  inside: RouteSocket,
  device: string,
  attachments: readonly Attachment[],
  networks: readonly (NetworkRecord | undefined)[],
): void {
  const chosen = chooseWaysOut(attachments, networks, (name) => findLink(inside, name)?.index);
  const moved = chosen.filter((way) => way.device === device);
  inside.carryOut(moved.map(({ index, gateway }) => defaultRouteOrder(index, gateway, "replaces")));
}
