import { findLink, listLinks } from "../linux/netlink/links.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { removeLink } from "../linux/netlink/virtual-links.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { ConflictError } from "../util/errors.ts";
import type { Attachment, Endpoint } from "./endpoints.ts";
import { HostNetwork, type HostWarning } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import { attach, emptyAttachment, networkOf, parentDevice, type NetworkRequest } from "./place.ts";
import { addWaysOut, moveWaysOut, plugOrders, plugRest } from "./plug.ts";
import type { NetworkRecord } from "./record.ts";
import { republish } from "./republish.ts";

/** See `MacvlanPlace`: others wait for the host's lock meanwhile. */
const patience = 300;

/** A container that runs. */
export interface RunningContainer {
  readonly id: string;
  readonly name: string;
  /** Its network namespace's file descriptor. */
  readonly namespace: number;
}

/**
 * Connects a container that runs to one more network, or to its first: its network namespace has to be its own. What
 * somebody who was killed has left of it is made anew.
 * @throws ConflictError it is in it; as `connectContainer`
 */
export async function plugIn(
  store: NetworkStore,
  { id, name, namespace }: RunningContainer,
  request: NetworkRequest,
  warn: HostWarning,
): Promise<void> {
  using host = new HostNetwork(store, warn);
  const wanted = await networkOf(request, store, host.socket);
  using _records = await store.lockRecords("shared");
  store.confirm([wanted]);
  using _lock = await store.lockHost();
  const { link, network } = wanted.driver === "bridge" ? await host.prepare(wanted) : parentDevice(wanted, host.socket);
  using inside = inNetworkNamespace(namespace, () => RouteSocket.open());
  const found = store.endpoints.read(id) ?? { version: 1, container: id, name, attachments: [], publications: [] };
  const old = attachmentIn(found, network);
  if (old !== undefined && isUp(inside, old)) {
    throw new ConflictError(`container ${name} is in network ${network.name} already`);
  }
  const endpoint = old === undefined ? found : takeOut(store, host, inside, { endpoint: found, attachment: old });
  const device = freeDevice(endpoint, inside);
  const before = emptyAttachment({ request, network, device });
  // What it will have is on record before it has it.
  store.endpoints.write({ ...endpoint, attachments: [...endpoint.attachments, before] });
  try {
    const attachment = attach({ request, network, device }, store, id);
    republish(store, host, endpoint, [...endpoint.attachments, attachment]);
    const connection = { attachment, link, network };
    host.socket.carryOut(plugOrders(connection, namespace));
    const place = { socket: host.socket, container: id, store, patience };
    inside.carryOut((await plugRest(connection, { namespace, socket: inside }, place)).orders);
    const attachments = [...endpoint.attachments, attachment];
    moveWaysOut(
      inside,
      device,
      attachments,
      attachments.map(({ network: other }) => store.read(other)),
    );
  } catch (error) {
    // Device and ports go before the address, which may be the next one's at once.
    const made = findLink(inside, device);
    if (made !== undefined) removeLink(inside, made, device);
    republish(store, host, store.endpoints.read(id) ?? endpoint, endpoint.attachments);
    store.leases(network.id).release(id);
    throw error;
  }
}

/** Takes a container that runs out of a network, as far as it is in it. @throws SystemCallError */
export async function unplug(
  store: NetworkStore,
  { id, namespace }: RunningContainer,
  network: NetworkRecord,
): Promise<void> {
  using host = new HostNetwork(store, () => {});
  using _lock = await store.lockHost();
  const endpoint = store.endpoints.read(id);
  const attachment = endpoint === undefined ? undefined : attachmentIn(endpoint, network);
  if (endpoint === undefined || attachment === undefined) return;
  using inside = inNetworkNamespace(namespace, () => RouteSocket.open());
  const { attachments } = takeOut(store, host, inside, { endpoint, attachment });
  // Its way out may have been through that one.
  addWaysOut(
    inside,
    attachments,
    attachments.map(({ network: other }) => store.read(other)),
  );
}

/** Whether a container has its device in a network: who connected it may have been killed before. @throws SystemCallError */
export function isPluggedIn(
  store: NetworkStore,
  { id, namespace }: RunningContainer,
  network: Pick<NetworkRecord, "id">,
): boolean {
  const endpoint = store.endpoints.read(id);
  const attachment = endpoint === undefined ? undefined : attachmentIn(endpoint, network);
  if (attachment === undefined) return false;
  using inside = inNetworkNamespace(namespace, () => RouteSocket.open());
  return isUp(inside, attachment);
}

function attachmentIn({ attachments }: Endpoint, { id }: Pick<NetworkRecord, "id">): Attachment | undefined {
  return attachments.find(({ networkId }) => networkId === id);
}

function isUp(inside: RouteSocket, { device }: Attachment): boolean {
  return findLink(inside, device)?.isUp === true;
}

/** Undoes what there is of an attachment. @returns what is on record then */
function takeOut(
  store: NetworkStore,
  host: HostNetwork,
  inside: RouteSocket,
  { endpoint, attachment }: { readonly endpoint: Endpoint; readonly attachment: Attachment },
): Endpoint {
  const link = findLink(inside, attachment.device);
  if (link !== undefined) removeLink(inside, link, attachment.device);
  const attachments = endpoint.attachments.filter((one) => one !== attachment);
  republish(store, host, endpoint, attachments);
  store.leases(attachment.networkId).release(endpoint.container);
  return store.endpoints.read(endpoint.container) ?? { ...endpoint, attachments };
}

/** A name that no device has, neither on record nor in the container, which may have made some of its own. */
function freeDevice({ attachments }: Endpoint, inside: RouteSocket): string {
  const used = new Set([...attachments.map(({ device }) => device), ...listLinks(inside).map(({ name }) => name)]);
  for (let number = 0; ; number++) if (!used.has(`eth${number}`)) return `eth${number}`;
}
