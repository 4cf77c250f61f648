import { findLink, listLinks } from "../linux/netlink/links.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { removeLink } from "../linux/netlink/virtual-links.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { ConflictError, NotFoundError } from "../util/errors.ts";
import type { Endpoint } from "./endpoints.ts";
import { HostNetwork, type HostWarning } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import { attach, emptyAttachment, networkOf, parentDevice, type NetworkRequest } from "./place.ts";
import { addWaysOut, plug } from "./plug.ts";
import type { NetworkRecord } from "./record.ts";
import { republish } from "./republish.ts";

/** A container that runs. */
export interface RunningContainer {
  readonly id: string;
  /** Its network namespace's file descriptor. */
  readonly namespace: number;
}

/**
 * Connects a container that runs to one more network.
 * @throws ConflictError it is in it, or has no network of gocker's; as `connectContainer`
 */
export async function plugIn(
  store: NetworkStore,
  { id, namespace }: RunningContainer,
  request: NetworkRequest,
  warn: HostWarning,
): Promise<void> {
  using host = new HostNetwork(store, warn);
  const wanted = await networkOf(request, store, host.socket);
  using _records = await store.lockRecords("shared");
  store.confirm([wanted]);
  using _lock = await store.lockHost();
  const { link, network } = wanted.driver === "bridge" ? await host.prepare(wanted) : parentDevice(wanted, host.socket);
  const endpoint = endpointOf(store, id);
  if (endpoint.attachments.some(({ networkId }) => networkId === network.id)) {
    throw new ConflictError(`the container is in network ${network.name} already`);
  }
  using inside = inNetworkNamespace(namespace, () => RouteSocket.open());
  const device = freeDevice(endpoint, inside);
  const before = emptyAttachment({ request, network, device });
  // What it will have is on record before it has it.
  store.endpoints.write({ ...endpoint, attachments: [...endpoint.attachments, before] });
  try {
    const attachment = attach({ request, network, device }, store, id);
    republish(store, host, endpoint, [...endpoint.attachments, attachment]);
    inside.carryOut(plug({ host: host.socket, inside, namespace }, attachment, link, network).orders);
    const networks = endpoint.attachments.map(({ network: name }) => store.read(name));
    const hasWayOut = networks.some((other) => other !== undefined && !other.internal);
    if (!hasWayOut) addWaysOut(inside, [attachment], [network]);
  } catch (error) {
    // Device and ports go before the address, which may be the next one's at once.
    const made = findLink(inside, device);
    if (made !== undefined) removeLink(inside, made, device);
    republish(store, host, store.endpoints.read(id) ?? endpoint, endpoint.attachments);
    store.leases(network.id).release(id);
    throw error;
  }
}

/**
 * Takes a container that runs out of a network.
 * @throws NotFoundError it is not in it; SystemCallError
 */
export async function unplug(
  store: NetworkStore,
  { id, namespace }: RunningContainer,
  network: NetworkRecord,
): Promise<void> {
  using host = new HostNetwork(store, () => {});
  using _lock = await store.lockHost();
  const endpoint = endpointOf(store, id);
  const attachment = endpoint.attachments.find(({ networkId }) => networkId === network.id);
  if (attachment === undefined) throw new NotFoundError(`the container is not in network ${network.name}`);
  using inside = inNetworkNamespace(namespace, () => RouteSocket.open());
  const link = findLink(inside, attachment.device);
  if (link !== undefined) removeLink(inside, link, attachment.device);
  const attachments = endpoint.attachments.filter((one) => one !== attachment);
  // Its way out may have been through that one.
  const networks = attachments.flatMap(({ network: name }) => store.read(name) ?? []);
  if (networks.length === attachments.length) addWaysOut(inside, attachments, networks);
  republish(store, host, endpoint, attachments);
  store.leases(network.id).release(id);
}

function endpointOf(store: NetworkStore, id: string): Endpoint {
  const endpoint = store.endpoints.read(id);
  if (endpoint !== undefined) return endpoint;
  throw new ConflictError("the container has no network of gocker's to which another could be added", {
    hint: "what has the host's network, none, or another container's cannot be connected",
  });
}

/** A name that no device has, neither on record nor in the container, which may have made some of its own. */
function freeDevice({ attachments }: Endpoint, inside: RouteSocket): string {
  const used = new Set([...attachments.map(({ device }) => device), ...listLinks(inside).map(({ name }) => name)]);
  for (let number = 0; ; number++) if (!used.has(`eth${number}`)) return `eth${number}`;
}
