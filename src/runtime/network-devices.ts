import { addAddress, findLink, lastingAddresses, moveLink, setLinkUp } from "../linux/netlink/links.ts";
import { openRouteSocketIn } from "../linux/netlink/namespace-socket.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import type { Linux, NamespaceType } from "../oci/runtime-spec.ts";
import { InvalidDocumentError, NotFoundError } from "../util/errors.ts";

type NetDevices = NonNullable<Linux["netDevices"]>;

/** netdevice(7), IFNAMSIZ with the NUL at the end. */
const longestName = 15;

/**
 * Refuses devices that cannot be moved whatever the host has. runtime-spec 1.3, config-linux.md, "Network Devices"
 * @param own the types of namespaces in which the container is not the host's neighbour
 * @throws InvalidDocumentError
 */
export function checkNetDevices(devices: NetDevices | undefined, own: ReadonlySet<NamespaceType>): void {
  const names = new Map<string, string>();
  for (const [name, { name: newName }] of Object.entries(devices ?? {})) {
    const property = `linux.netDevices.${name}`;
    if (!own.has("network")) {
      throw new InvalidDocumentError(`${property}: a container without a network namespace cannot have devices`);
    }
    if (!isDeviceName(name)) throw new InvalidDocumentError(`${property}: no name of a network device`);
    const target = nameInContainer(name, newName);
    if (!isDeviceName(target)) {
      throw new InvalidDocumentError(`${property}.name: ${target} is no name of a network device`);
    }
    const other = names.get(target);
    if (other !== undefined) {
      throw new InvalidDocumentError(`${property}.name: ${target} is the name of linux.netDevices.${other} already`);
    }
    names.set(target, name);
  }
}

function nameInContainer(name: string, newName: string | undefined): string {
  return newName === undefined || newName === "" ? name : newName;
}

/** As the kernel's dev_valid_name; `%` would make it choose a number. */
function isDeviceName(name: string): boolean {
  if (name === "." || name === "..") return false;
  return Buffer.byteLength(name) <= longestName && /^[^\s/:%\0]+$/.test(name);
}

/**
 * Moves devices of the host into the container's network namespace, gives them their names there and the lasting addresses
 * that they had, and brings them up. Routes are not kept. When it fails, the devices that were moved share the fate of the
 * namespace: the kernel gives real ones back when it ends.
 * @param namespace the container's network namespace, as a file descriptor
 * @param host the network where the devices are: gocker's own unless told; stays open
 * @throws NotFoundError when the host has no such device
 * @throws SystemCallError
 */
export async function moveNetDevices(devices: NetDevices, namespace: number, host?: RouteSocket): Promise<void> {
  if (Object.keys(devices).length === 0) return;
  using inside = await openRouteSocketIn(namespace);
  if (host !== undefined) return moveAll(devices, namespace, host, inside);
  using outside = RouteSocket.open();
  moveAll(devices, namespace, outside, inside);
}

function moveAll(devices: NetDevices, namespace: number, outside: RouteSocket, inside: RouteSocket): void {
  for (const [name, { name: newName }] of Object.entries(devices)) {
    const index = findLink(outside, name);
    if (index === undefined) {
      throw new NotFoundError(`linux.netDevices.${name}: the host has no such network device`);
    }
    // Before it is down: that takes the addresses of IPv6 away.
    const addresses = lastingAddresses(outside, index, name);
    // Before Linux 6.2 only then it takes another name.
    setLinkUp(outside, index, name, false);
    const target = nameInContainer(name, newName);
    moveLink(outside, { index, name }, { namespace, name: target });
    // Its number may be another there.
    const moved = findLink(inside, target);
    if (moved === undefined)
      throw new NotFoundError(`linux.netDevices.${name}: ${target} did not come to the container`);
    for (const address of addresses) addAddress(inside, moved, target, address);
    setLinkUp(inside, moved, target, true);
  }
}
