import { type Link, listLinks } from "../linux/netlink/links.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import type { NetworkRecord } from "./record.ts";

/** A name for a bridge that neither the host nor another network has. @throws SystemCallError */
export function freeBridgeName(socket: RouteSocket, others: readonly NetworkRecord[]): string {
  const used = new Set([...others.map(({ device }) => device), ...listLinks(socket).map(({ name }) => name)]);
  for (let number = 1; ; number++) {
    const name = `gocker${number}`;
    if (!used.has(name)) return name;
  }
}

/** What a bridge says of itself: a gocker with another root directory has networks of the same names, and others' bridges. */
export function bridgeAlias({ id }: Pick<NetworkRecord, "id">): string {
  return `gocker network ${id}`;
}

/** Whether a device of a network's name is that network's: its bridge says so since it was made. */
export function isBridgeOf({ alias }: Link, network: Pick<NetworkRecord, "id">): boolean {
  return alias === bridgeAlias(network);
}
