import type { RouteSocket } from "../linux/netlink/socket.ts";
import { reflectAtPort } from "../linux/netlink/virtual-links.ts";
import { readSysctl } from "../linux/sysctl.ts";

/**
 * Lets a container reach its own published ports where bridges call the firewall (br_netfilter): what it sends there is
 * translated in the bridge, and has to go out where it has come in. Elsewhere that is the host's doing, and what a container
 * sends to all in its network is not to come back to it.
 * @param port the host's end of the container's device, which is the port of a bridge
 * @throws SystemCallError
 */
export function letReachItself(socket: RouteSocket, port: string): void {
  const isNeeded = ["iptables", "ip6tables"].some((name) => readSysctl(`net/bridge/bridge-nf-call-${name}`) === "1");
  if (isNeeded) reflectAtPort(socket, port);
}
