import {
  addressBits,
  addressBytes,
  addressOfBytes,
  formatIpAddress,
  type IpAddress,
  type Subnet,
  subnetOf,
} from "../../util/ip-address.ts";
import {
  type Attribute,
  decodeAttributes,
  type Message,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from "./message.ts";
import type { Order, RouteSocket } from "./socket.ts";

/** linux/rtnetlink.h */
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_TABLE = 15;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const bodySize = 12;

const families = { 4: 2, 6: 10 } as const;

/** A way of packets out of this network namespace. */
export interface Route {
  readonly destination: Subnet;
  /** The number of its device; 0 where it has none, or several. */
  readonly device: number;
  /** Of several for one destination that with the least is taken. */
  readonly priority: number;
}

/** The routes of the main table, and of those that programs for virtual networks keep beside it. @throws SystemCallError */
export function listRoutes(socket: RouteSocket, family: 4 | 6): Route[] {
  const body = Buffer.alloc(bodySize);
  body.writeUInt8(families[family], 0);
  return socket
    .request({ type: RTM_GETROUTE, flags: NLM_F_DUMP, body }, { step: "list the routes of", path: "the host" })
    .flatMap((message) => routeOf(message, family) ?? []);
}

function routeOf({ type, body }: Message, family: 4 | 6): Route | undefined {
  const isUnicast = body.readUInt8(7) === RTN_UNICAST;
  if (type !== RTM_NEWROUTE || body.readUInt8(0) !== families[family] || !isUnicast) return undefined;
  const attributes = decodeAttributes(body, bodySize);
  const bytes = attributes.get(RTA_DST) ?? Buffer.alloc(addressBits(family) / 8);
  return {
    destination: subnetOf(addressOfBytes(bytes), body.readUInt8(1)),
    device: attributes.get(RTA_OIF)?.readUInt32LE() ?? 0,
    priority: attributes.get(RTA_PRIORITY)?.readUInt32LE() ?? 0,
  };
}

/** The number of the device through which what has no other route leaves the host; undefined without one. @throws SystemCallError */
export function uplinkOf(socket: RouteSocket, family: 4 | 6): number | undefined {
  const [first] = listRoutes(socket, family)
    .filter(({ destination, device }) => destination.prefixLength === 0 && device !== 0)
    .toSorted((one, other) => one.priority - other.priority);
  return first?.device;
}

/**
 * Sends what has no other route to a gateway.
 * @param place whether it takes the place of such a route; else EEXIST tells that there is one
 */
export function defaultRouteOrder(device: number, gateway: IpAddress, place: "new" | "replaces" = "new"): Order {
  const body = Buffer.alloc(bodySize);
  body.writeUInt8(families[gateway.family], 0);
  body.writeUInt8(RT_TABLE_MAIN, 4);
  body.writeUInt8(RTPROT_BOOT, 5);
  body.writeUInt8(RTN_UNICAST, 7);
  const attributes: Attribute[] = [
    [RTA_GATEWAY, addressBytes(gateway)],
    [RTA_OIF, device],
    [RTA_TABLE, RT_TABLE_MAIN],
  ];
  return {
    request: {
      type: RTM_NEWROUTE,
      flags: NLM_F_CREATE | (place === "replaces" ? NLM_F_REPLACE : NLM_F_EXCL),
      body,
      attributes,
    },
    deed: { step: "send everything else to the gateway", path: formatIpAddress(gateway) },
  };
}
