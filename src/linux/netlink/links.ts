import { errnos } from "../errno.ts";
import { addressBits, addressBytes, type IpAddress, lastAddress, subnetOf } from "../../util/ip-address.ts";
import {
  type Attribute,
  decodeAttributes,
  type Message,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  textOf,
} from "./message.ts";
import type { Order, RouteSocket } from "./socket.ts";

/** rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h */
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_INFO_KIND = 1;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_RT_PRIORITY = 9;
const IFF_UP = 1;
const AF_INET6 = 10;
/** linux/if_arp.h */
const ARPHRD_ETHER = 1;
/** IFA_F_NODAD, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NOPREFIXROUTE, IFA_F_MCAUTOJOIN: what people set. */
const settableFlags = 0x02 | 0x10 | 0x100 | 0x200 | 0x400;
const IFA_F_NODAD = 0x02;
const IFA_F_PERMANENT = 0x80;
const scopeUniverse = 0;

/** An address of a device, as it can be given to another. */
export interface DeviceAddress {
  readonly family: number;
  readonly prefixLength: number;
  readonly attributes: readonly Attribute[];
}

/** What has gone through a device is not to be told of: RTEXT_FILTER_SKIP_STATS, Linux 4.4. linux/rtnetlink.h */
const withoutCounts: Attribute = [IFLA_EXT_MASK, 8];

const linkBodySize = 16;

/** `struct ifinfomsg` */
export function linkBody(index: number, flags = 0, change = 0): Uint8Array {
  const body = Buffer.alloc(linkBodySize);
  body.writeInt32LE(index, 4);
  body.writeUInt32LE(flags, 8);
  body.writeUInt32LE(change, 12);
  return body;
}

/** A network device. */
export interface Link {
  /** Its number in its network namespace. */
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  /** What goes by it are frames of Ethernet; of a loopback they are not. */
  readonly isEthernet: boolean;
  /** The largest packet that goes through, in bytes. */
  readonly mtu: number;
  /** The number of the bridge whose port it is; undefined for none. */
  readonly bridge?: number;
  /** What a virtual device is: `bridge`, `veth`; undefined for one of hardware. */
  readonly kind?: string;
  /** What somebody has noted about it. */
  readonly alias?: string;
}

/** A device, by its name; undefined when there is none. @throws SystemCallError */
export function findLink(socket: RouteSocket, name: string): Link | undefined {
  const found = socket.requestUnless(
    errnos.ENODEV,
    { type: RTM_GETLINK, body: linkBody(0), attributes: [[IFLA_IFNAME, name], withoutCounts] },
    { step: "find the network device", path: name },
  );
  const link = found?.[0];
  return link === undefined ? undefined : linkOf(link);
}

/** All devices. @throws SystemCallError */
export function listLinks(socket: RouteSocket): Link[] {
  return socket
    .request(
      { type: RTM_GETLINK, flags: NLM_F_DUMP, body: linkBody(0) },
      { step: "list the network devices of", path: "the host" },
    )
    .map(linkOf);
}

const wantedAttributes = [IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_IFALIAS];

function linkOf({ body }: Message): Link {
  // The kernel tells of some fifty.
  const attributes = decodeAttributes(body, linkBodySize, wantedAttributes);
  const name = attributes.get(IFLA_IFNAME);
  const bridge = attributes.get(IFLA_MASTER)?.readUInt32LE();
  const alias = attributes.get(IFLA_IFALIAS);
  const kind = decodeAttributes(attributes.get(IFLA_LINKINFO) ?? Buffer.alloc(0), 0).get(IFLA_INFO_KIND);
  return {
    index: body.readInt32LE(4),
    name: name === undefined ? "" : textOf(name),
    isUp: (body.readUInt32LE(8) & IFF_UP) !== 0,
    isEthernet: body.readUInt16LE(2) === ARPHRD_ETHER,
    mtu: attributes.get(IFLA_MTU)?.readUInt32LE() ?? 0,
    ...(bridge !== undefined && { bridge }),
    ...(kind !== undefined && { kind: textOf(kind) }),
    ...(alias !== undefined && { alias: textOf(alias) }),
  };
}

/** @throws SystemCallError */
export function setLinkUp(socket: RouteSocket, index: number, name: string, isUp: boolean): void {
  socket.carryOut([linkUpOrder(index, name, isUp)]);
}

export function linkUpOrder(index: number, name: string, isUp = true): Order {
  return {
    request: { type: RTM_NEWLINK, body: linkBody(index, isUp ? IFF_UP : 0, IFF_UP) },
    deed: { step: `bring ${isUp ? "up" : "down"} the network device`, path: name },
  };
}

/** Brings down a device, by its name; one that is not there is down. @throws SystemCallError */
export function bringDown(socket: RouteSocket, name: string): void {
  socket.requestUnless(
    errnos.ENODEV,
    { type: RTM_NEWLINK, body: linkBody(0, 0, IFF_UP), attributes: [[IFLA_IFNAME, name]] },
    { step: "bring down the network device", path: name },
  );
}

/**
 * Moves a device, which must be down, to another network namespace. It loses its addresses.
 * @param target the namespace's file descriptor, and the device's name there
 * @throws SystemCallError
 */
export function moveLink(
  socket: RouteSocket,
  link: { readonly index: number; readonly name: string },
  target: { readonly namespace: number; readonly name: string },
): void {
  const attributes: Attribute[] = [
    [IFLA_NET_NS_FD, target.namespace],
    [IFLA_IFNAME, target.name],
  ];
  socket.request(
    { type: RTM_NEWLINK, body: linkBody(link.index), attributes },
    { step: `move the network device ${link.name} into the container`, path: target.name },
  );
}

/**
 * Gives a device, which must be down, another name.
 * @param newName with `%d` at its end, the kernel chooses a number
 * @throws SystemCallError
 */
export function renameLink(socket: RouteSocket, index: number, newName: string): void {
  socket.request(
    { type: RTM_NEWLINK, body: linkBody(index), attributes: [[IFLA_IFNAME, newName]] },
    { step: "name the network device", path: newName },
  );
}

/** `struct ifaddrmsg` */
const addressBodySize = 8;

/**
 * The addresses of a device that somebody has given it for good and that hold everywhere: not those of one link only, and
 * not those that a server or a router has lent.
 * @throws SystemCallError
 */
export function lastingAddresses(socket: RouteSocket, index: number, name: string): DeviceAddress[] {
  const body = Buffer.alloc(addressBodySize);
  body.writeUInt32LE(index, 4);
  return socket
    .request(
      { type: RTM_GETADDR, flags: NLM_F_DUMP, body },
      { step: "list the addresses of the network device", path: name },
    )
    .flatMap((message) => lastingAddress(message, index) ?? []);
}

function lastingAddress({ type, body }: Message, index: number): DeviceAddress | undefined {
  // Kernels before 4.20 list those of all devices.
  if (type !== RTM_NEWADDR || body.readUInt32LE(4) !== index) return undefined;
  const found = decodeAttributes(body, addressBodySize);
  const flags = found.get(IFA_FLAGS)?.readUInt32LE() ?? body.readUInt8(2);
  if ((flags & IFA_F_PERMANENT) === 0 || body.readUInt8(3) !== scopeUniverse) return undefined;
  const attributes: Attribute[] = [];
  for (const kind of [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY]) {
    const value = found.get(kind);
    if (value !== undefined) attributes.push([kind, value]);
  }
  if ((flags & settableFlags) !== 0) attributes.push([IFA_FLAGS, flags & settableFlags]);
  return { family: body.readUInt8(0), prefixLength: body.readUInt8(1), attributes };
}

/**
 * An address for a device, with the network that can be reached through it. Nobody is asked whether another has it: for
 * networks whose addresses are given out by one.
 */
export function deviceAddress(address: IpAddress, prefixLength: number): DeviceAddress {
  const bytes = addressBytes(address);
  const attributes: Attribute[] = [
    [IFA_LOCAL, bytes],
    [IFA_ADDRESS, bytes],
  ];
  if (address.family === 6)
    return { family: AF_INET6, prefixLength, attributes: [...attributes, [IFA_FLAGS, IFA_F_NODAD]] };
  const hasBroadcast = addressBits(4) - prefixLength > 1;
  const broadcast = { family: 4, value: lastAddress(subnetOf(address, prefixLength)) } as const;
  if (hasBroadcast) attributes.push([IFA_BROADCAST, addressBytes(broadcast)]);
  return { family: 2, prefixLength, attributes };
}

/** @throws SystemCallError */
export function addAddress(socket: RouteSocket, index: number, name: string, address: DeviceAddress): void {
  socket.carryOut([addressOrder(index, name, address)]);
}

export function addressOrder(index: number, name: string, address: DeviceAddress): Order {
  const body = Buffer.alloc(addressBodySize);
  body.writeUInt8(address.family, 0);
  body.writeUInt8(address.prefixLength, 1);
  body.writeUInt8(scopeUniverse, 3);
  body.writeUInt32LE(index, 4);
  return {
    request: { type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, body, attributes: address.attributes },
    deed: { step: "give the network device its address", path: name },
    hints:
      address.family === AF_INET6
        ? { [errnos.EACCES]: "switch IPv6 on (net.ipv6.conf.all.disable_ipv6), or make the network without it" }
        : {},
  };
}
