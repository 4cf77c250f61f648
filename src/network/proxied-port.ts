import type { OwnedFd } from "../linux/fd.ts";
import type { SocketAddress } from "../linux/internet-socket.ts";
import { parseIpAddress } from "../util/ip-address.ts";
import type { Publication } from "./publication.ts";

/** A port of the host, and what it leads to. */
export interface ProxiedPort {
  readonly socket: OwnedFd;
  /** Undefined while it leads nowhere: the container has left the network by which it was reached. */
  target: SocketAddress | undefined;
  publication: Publication;
}

/** Where in the container a port of the host leads. */
export function targetOf({ containerAddress, containerPort }: Publication): SocketAddress | undefined {
  const address = parseIpAddress(containerAddress);
  return address === undefined ? undefined : { address, port: containerPort };
}
