import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../linux/constants.ts";
import { systemCallError } from "../linux/errno.ts";
import { OwnedFd } from "../linux/fd.ts";
import { libc } from "../linux/libc.ts";
import {
  addAddress,
  findLink,
  lastingAddresses,
  type Link,
  moveLink,
  renameLink,
  setLinkUp,
} from "../linux/netlink/links.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { ConflictError, NotFoundError } from "../util/errors.ts";
import { type DeviceMove, isTemplate } from "./plan/network-devices.ts";

/**
 * {@link moveNetDevices} for a container by its process.
 * @param pid of a process that nobody has waited for: the number is its own
 */
export function moveNetDevicesTo(pid: number, moves: readonly DeviceMove[]): void {
  const path = `/proc/${pid}/ns/net`;
  const number = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (number < 0) throw systemCallError("open", { step: "find the container's network namespace", path });
  using namespace = new OwnedFd(number);
  moveNetDevices(moves, namespace.number);
}

/**
 * Moves devices of the host into the container's network namespace, gives them their names there and the lasting
 * addresses that they had, and brings them up. Routes are not kept. Nothing is changed before all of them are known to be
 * there and their names to be free. Those that were moved when it fails share the fate of the namespace, as the
 * specification has it: the kernel gives physical ones back when that ends, and destroys the others.
 * OCI runtime specification 1.3, config-linux.md, "Network Devices"; network_namespaces(7)
 * @param namespace the container's network namespace, as a file descriptor
 * @param host the network where the devices are: gocker's own unless told; stays open
 * @throws NotFoundError the host has no such device; ConflictError its name is taken; SystemCallError
 */
export function moveNetDevices(moves: readonly DeviceMove[], namespace: number, host?: RouteSocket): void {
  if (moves.length === 0) return;
  using inside = inNetworkNamespace(namespace, () => RouteSocket.open());
  if (host !== undefined) return moveAll(moves, namespace, host, inside);
  using outside = RouteSocket.open();
  moveAll(moves, namespace, outside, inside);
}

function moveAll(moves: readonly DeviceMove[], namespace: number, outside: RouteSocket, inside: RouteSocket): void {
  const found = moves.map((move) => ({ move, link: findMovable(move, outside, inside) }));
  for (const { move, link } of found) moveOne(move, link, { namespace, outside, inside });
}

function findMovable({ property, name, target }: DeviceMove, outside: RouteSocket, inside: RouteSocket): Link {
  const link = findLink(outside, name);
  if (link === undefined) throw new NotFoundError(`${property}: the host has no such network device`);
  if (!isTemplate(target) && findLink(inside, target) !== undefined) {
    throw new ConflictError(`${property}: the container's network namespace has a device ${target} already`);
  }
  return link;
}

interface Networks {
  readonly namespace: number;
  readonly outside: RouteSocket;
  readonly inside: RouteSocket;
}

/** In runc's order, but that addresses are looked at before the device is down, which takes those of IPv6 away. */
function moveOne({ property, name, target }: DeviceMove, link: Link, { namespace, outside, inside }: Networks): void {
  const addresses = lastingAddresses(outside, link.index, name);
  // Before Linux 6.2 only a device that is down takes another name.
  setLinkUp(outside, link.index, name, false);
  // What the kernel makes of a template is not told: so it gets that name where its number is known.
  const first = isTemplate(target) ? `gocker-${crypto.randomUUID().slice(0, 8)}` : target;
  try {
    moveLink(outside, { index: link.index, name }, { namespace, name: first });
  } catch (error) {
    if (link.isUp) setLinkUp(outside, link.index, name, true);
    throw error;
  }
  // Its number may be another there.
  const moved = findLink(inside, first);
  if (moved === undefined) throw new NotFoundError(`${property}: ${first} did not come to the container`);
  if (first !== target) renameLink(inside, moved.index, target);
  for (const address of addresses) addAddress(inside, moved.index, target, address);
  setLinkUp(inside, moved.index, target, true);
}
