import type { OwnedFd } from "../linux/fd.ts";
import { type Link, setLinkUp } from "../linux/netlink/links.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { makeNetworkNamespace } from "../linux/network-namespace.ts";
import { writeSysctl } from "../linux/sysctl.ts";
import { type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import type { Attachment, Endpoint } from "./endpoints.ts";
import { HostNetwork, type HostWarning, translatedPublications } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import { attach, emptyAttachment, hostDevice, networkOf, type NetworkRequest, type Place } from "./place.ts";
import { addWayOut, plug } from "./plug.ts";
import { holdPorts, type PortRequest } from "./ports.ts";

/** What {@link connectContainer} works on. */
export interface ConnectInput {
  readonly store: NetworkStore;
  /** Whoever connects it has its lock. */
  readonly container: { readonly id: string; readonly name: string };
  readonly requests: readonly NetworkRequest[];
  readonly ports: readonly PortRequest[];
  readonly warn: HostWarning;
}

/** A network namespace for a container that is about to be started, with its devices. */
export interface ConnectedContainer extends Disposable {
  readonly namespace: OwnedFd;
  readonly endpoint: Endpoint;
  /** The host's sides of its published ports: see `HeldPorts`. */
  readonly held: readonly OwnedFd[];
}

/**
 * Makes a network namespace that is connected to networks. What is made lasts until {@link releaseContainer}, also where
 * this fails; the devices go with the namespace.
 * @throws NotFoundError no such network; UsageError, ConflictError an address cannot be had; SystemCallError
 */
export async function connectContainer(input: ConnectInput): Promise<ConnectedContainer> {
  const { store, requests, ports, warn } = input;
  const { id: container, name } = input.container;
  using host = new HostNetwork(store, warn);
  const places: Place[] = [];
  for (const request of requests) {
    const network = await networkOf(request, store, host);
    places.push({ request, network, device: `eth${places.length}` });
  }
  // What it will have is on record before it has it.
  const nothing = { version: 1, container, name, attachments: places.map(emptyAttachment), publications: [] } as const;
  store.endpoints.write(nothing);
  const attachments: Attachment[] = [];
  const links: Link[] = [];
  for (const place of places) {
    const { link, network } = await hostDevice(place.network, host);
    attachments.push(attach({ ...place, network }, store, container));
    links.push(link);
  }
  using cleanup = new DisposableStack();
  const held = cleanup.use(holdPorts(ports, publishedAddresses(attachments, places)));
  const endpoint: Endpoint = { ...nothing, attachments, publications: held.publications };
  await publish(endpoint, store, host);
  const hasIpv6 = attachments.some(({ addresses }) => addresses.some((address) => address.includes(":")));
  const { file, opened } = makeNetworkNamespace(() => {
    // Devices without an address of IPv6 are not to give themselves one, as Docker has it.
    if (!hasIpv6) writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return RouteSocket.open();
  });
  cleanup.use(file);
  using inside = opened;
  setLinkUp(inside, loopbackIndex, "lo", true);
  for (const [index, attachment] of attachments.entries()) {
    const place = places[index] as Place;
    plug({ host: host.socket, inside, namespace: file.number }, attachment, links[index] as Link, place.network);
  }
  addWayOut(
    inside,
    attachments,
    places.map(({ network }) => network),
  );
  const owned = cleanup.move();
  return { namespace: file, endpoint, held: held.sockets, [Symbol.dispose]: () => owned.dispose() };
}

/** Ports lead to the first network that has a way to the host. */
function publishedAddresses(attachments: readonly Attachment[], places: readonly Place[]): IpAddress[] {
  const first = attachments.find((_, index) => {
    const network = places[index]?.network;
    return network?.driver === "bridge" && !network.internal;
  });
  return (first?.addresses ?? []).flatMap((text) => parseIpAddress(text.split("/", 1)[0] ?? "") ?? []);
}

/** Puts the endpoint on record, and its ports into the firewall: whoever makes that anew meanwhile knows of both or none. */
async function publish(endpoint: Endpoint, store: NetworkStore, host: HostNetwork): Promise<void> {
  const publications = translatedPublications(endpoint);
  if (publications.length === 0) return store.endpoints.write(endpoint);
  using _lock = await store.lockHost();
  store.endpoints.write(endpoint);
  host.firewall.publish(publications);
  host.firewall.redirectConversations(publications, "published");
}

/** The first device of every network namespace. */
const loopbackIndex = 1;

/**
 * Gives back what a container has of the host's networks. It does not run any more, or never has: its namespace is gone or
 * about to be, and its devices with it. To do it again is no error.
 * @throws SystemCallError
 */
export async function releaseContainer(store: NetworkStore, container: string): Promise<void> {
  const endpoint = store.endpoints.read(container);
  if (endpoint === undefined) return;
  const publications = translatedPublications(endpoint);
  if (publications.length > 0) {
    using host = new HostNetwork(store, () => {});
    using _lock = await store.lockHost();
    host.firewall.unpublish(publications);
    host.firewall.redirectConversations(publications, "unpublished");
  }
  for (const { networkId } of endpoint.attachments) store.leases(networkId).release(container);
  store.endpoints.remove(container);
}
