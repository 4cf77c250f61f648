import { errnos } from "../errno.ts";
import type { HardwareAddress } from "./hardware-address.ts";
import { linkBody, type Link } from "./links.ts";
import { type Attribute, encodeAttributes, NLM_F_CREATE, NLM_F_EXCL } from "./message.ts";
import type { Order, RouteSocket } from "./socket.ts";

/** linux/rtnetlink.h, linux/if_link.h, linux/veth.h */
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const IFF_UP = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_NET_NS_FD = 28;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const IFLA_BRPORT_MODE = 4;
const VETH_INFO_PEER = 1;
const IFLA_MACVLAN_MODE = 1;

/** A device to be made. */
export interface NewLink {
  readonly name: string;
  readonly mtu?: number | undefined;
  readonly hardwareAddress?: HardwareAddress | undefined;
}

/** A device that is to be the port of a bridge. */
export interface NewPort extends NewLink {
  /** See {@link reflectionOrder}. */
  readonly reflects: boolean;
}

/** A device that is to be in another network namespace. */
export interface NewLinkElsewhere extends NewLink {
  /** The namespace's file descriptor. */
  readonly namespace: number;
}

/** Makes a bridge, which is down. @throws SystemCallError: EEXIST the name is taken */
export function makeBridge(socket: RouteSocket, { mtu, ...bridge }: NewLink & { readonly alias: string }): void {
  const { name, alias } = bridge;
  const deed = { step: "make the bridge", path: name };
  socket.carryOut([
    { request: newLink([...attributesOf(bridge), [IFLA_LINKINFO, [[IFLA_INFO_KIND, "bridge"]]]]), deed },
    {
      request: {
        type: RTM_NEWLINK,
        body: linkBody(0),
        attributes: [
          [IFLA_IFNAME, name],
          // The kernel does not look for it in the request that makes a device.
          [IFLA_IFALIAS, Buffer.from(alias)],
          // One that it was made with lasts only as long as it has ports: without any it is Ethernet's again.
          // br_mtu_auto_adjust()
          ...(mtu === undefined ? [] : [[IFLA_MTU, mtu] as const]),
        ],
      },
      deed,
    },
  ]);
}

/**
 * Make two devices, what goes into one of which comes out of the other: one here, as a port of a bridge, and one in another
 * network namespace, which is down: it cannot come up before the kernel has brought the two together. veth(4)
 * @param bridge the number of the bridge
 */
export function linkPairOrders(port: NewPort, bridge: number, peer: NewLinkElsewhere): Order[] {
  const inside = Buffer.concat([
    linkBody(0),
    encodeAttributes([...attributesOf(peer), [IFLA_NET_NS_FD, peer.namespace], ...oneQueue]),
  ]);
  const request = newLink(
    [
      ...attributesOf(port),
      ...oneQueue,
      [IFLA_MASTER, bridge],
      [
        IFLA_LINKINFO,
        [
          [IFLA_INFO_KIND, "veth"],
          [IFLA_INFO_DATA, [[VETH_INFO_PEER, inside]]],
        ],
      ],
    ],
    linkBody(0, IFF_UP, IFF_UP),
  );
  const made: Order = { request, deed: { step: "connect the container to the bridge", path: port.name } };
  return port.reflects ? [made, reflectionOrder(port.name)] : [made];
}

/**
 * Nothing waits in the queues of such devices, and nobody has to wait for another there. The kernel would make as many as the
 * machine may have processors, since Linux 5.15, each with files in /sys.
 */
const oneQueue: readonly Attribute[] = [
  [IFLA_NUM_TX_QUEUES, 1],
  [IFLA_NUM_RX_QUEUES, 1],
];

/** How the devices above one lower device reach each other. linux/if_link.h, `enum macvlan_mode` */
export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;

/**
 * Makes a device in another network namespace that has a hardware address of its own on the network of a device here.
 * Refused by EOPNOTSUPP where the kernel has no such devices.
 * @param parent the number of the device here
 */
export function macvlanOrder(
  device: NewLinkElsewhere,
  { parent, mode }: { readonly parent: number; readonly mode: keyof typeof macvlanModes },
): Order {
  return {
    request: newLink([
      ...attributesOf(device),
      [IFLA_LINK, parent],
      [IFLA_NET_NS_FD, device.namespace],
      [
        IFLA_LINKINFO,
        [
          [IFLA_INFO_KIND, "macvlan"],
          [IFLA_INFO_DATA, [[IFLA_MACVLAN_MODE, macvlanModes[mode]]]],
        ],
      ],
    ]),
    deed: { step: "connect the container to the network of the host's device", path: device.name },
    hints: mode === "passthru" ? { [errnos.EINVAL]: "in mode passthru a device takes one container at a time" } : {},
  };
}

/** Lets the port of a bridge send out what has come in by it ("hairpin mode"). */
export function reflectionOrder(name: string): Order {
  return {
    request: {
      type: RTM_NEWLINK,
      body: linkBody(0),
      attributes: [
        [IFLA_IFNAME, name],
        [
          IFLA_LINKINFO,
          [
            [IFLA_INFO_SLAVE_KIND, "bridge"],
            [IFLA_INFO_SLAVE_DATA, [[IFLA_BRPORT_MODE, Uint8Array.of(1)]]],
          ],
        ],
      ],
    },
    deed: { step: "let the container reach its own published ports", path: name },
  };
}

/** Removes a device, and with it its peer. @throws SystemCallError */
export function removeLink(socket: RouteSocket, { index }: Pick<Link, "index">, name: string): void {
  socket.request({ type: RTM_DELLINK, body: linkBody(index) }, { step: "remove the network device", path: name });
}

/** Makes a device a port of a bridge, or of none (0). @throws SystemCallError */
export function setBridge(socket: RouteSocket, index: number, name: string, bridge: number): void {
  socket.request(
    { type: RTM_NEWLINK, body: linkBody(index), attributes: [[IFLA_MASTER, bridge]] },
    { step: "connect the network device to its bridge", path: name },
  );
}

function newLink(attributes: readonly Attribute[], body = linkBody(0)) {
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body, attributes };
}

function attributesOf({ name, mtu, hardwareAddress }: NewLink): Attribute[] {
  return [
    [IFLA_IFNAME, name],
    ...(mtu === undefined ? [] : [[IFLA_MTU, mtu] as const]),
    ...(hardwareAddress === undefined
      ? []
      : [[IFLA_ADDRESS, Buffer.from(hardwareAddress.replaceAll(":", ""), "hex")] as const]),
  ];
}
