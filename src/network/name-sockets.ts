import type { OwnedFd } from "../linux/fd.ts";
import { bindSocket, listenAt, openInternetSocket } from "../linux/internet-socket.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { parseIpAddress } from "../util/ip-address.ts";

/** Where gocker answers in the container's own network, as Docker does, and the port of name servers. */
const nameServer = { address: "127.0.0.11", port: 53 } as const;

/**
 * The sockets at which a container asks for names, of UDP and of TCP, in its network.
 * @param namespace the network namespace's file descriptor
 * @throws SystemCallError
 */
export function openNameSockets(namespace: number): readonly [udp: OwnedFd, tcp: OwnedFd] {
  const address = parseIpAddress(nameServer.address);
  if (address === undefined) throw new TypeError(`${nameServer.address} is no address`);
  using cleanup = new DisposableStack();
  const sockets = inNetworkNamespace(namespace, () => [
    cleanup.use(openInternetSocket(4, "datagram")),
    cleanup.use(openInternetSocket(4, "stream")),
  ]);
  const [udp, tcp] = sockets as [OwnedFd, OwnedFd];
  bindSocket(udp, { address, port: nameServer.port });
  listenAt(tcp, { address, port: nameServer.port });
  cleanup.move();
  return [udp, tcp];
}
