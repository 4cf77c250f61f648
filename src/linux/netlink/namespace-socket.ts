import { CLONE_NEWNET, O_CLOEXEC } from "../constants.ts";
import { slot } from "../launch/plan.ts";
import { descriptorFrom } from "../launch/sent-descriptor.ts";
import { AF_NETLINK, NETLINK_ROUTE, RouteSocket, SOCK_RAW } from "./socket.ts";

/**
 * A socket to the network of another namespace, made there: see {@link descriptorFrom}.
 * @param namespace the network namespace's file descriptor
 * @throws SystemCallError
 */
export async function openRouteSocketIn(namespace: number): Promise<RouteSocket> {
  const group = "namespaces";
  const result = slot("network socket");
  const socket = await descriptorFrom({
    steps: [
      { label: "Join the network namespace", group, syscall: "setns", args: [namespace, CLONE_NEWNET] },
      {
        label: "Open a socket to the network settings",
        group,
        syscall: "socket",
        args: [AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE],
        result,
      },
    ],
    result,
    descriptors: [namespace],
    what: "the socket to the container's network",
  });
  return new RouteSocket(socket);
}
