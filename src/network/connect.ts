import type { OwnedFd } from "../linux/fd.ts";
import { listAddresses } from "../linux/netlink/addresses.ts";
import { bringDown, linkUpOrder } from "../linux/netlink/links.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { makeNetworkNamespace } from "../linux/network-namespace.ts";
import { writeSysctl } from "../linux/sysctl.ts";
import { type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import { bridgeAtRest } from "./bridge-at-rest.ts";
import { type Attachment, byPriority, type Endpoint } from "./endpoints.ts";
import type { HostWarning } from "./host-network.ts";
import type { MacvlanPlace } from "./macvlan.ts";
import type { NetworkStore } from "./networks.ts";
import {
  attach,
  emptyAttachment,
  type HostDevice,
  networkOf,
  type NetworkRequest,
  parentDevice,
  type Place,
} from "./place.ts";
import { type Connection, type Inside, plugOrders, plugRest, waysOut } from "./plug.ts";
import type { HeldPorts, PortRequest } from "./ports.ts";
import { defaultNetworkName, isReachedByHost, type NetworkRecord } from "./record.ts";

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
export interface ConnectedContainer extends AsyncDisposable {
  readonly namespace: OwnedFd;
  readonly endpoint: Endpoint;
  /** The host's sides of its published ports: see `HeldPorts`. */
  readonly held: readonly OwnedFd[];
  /**
   * Waits for the devices, which the kernel makes meanwhile: for when there is nothing else to do before the container's
   * start. Before that the namespace's loopback is down, too.
   * @throws SystemCallError
   */
  complete(): Promise<void>;
}

/**
 * Makes a network namespace that is connected to networks. What is made lasts until {@link releaseContainer}, also where
 * this fails; the devices go with the namespace.
 * @throws NotFoundError no such network; UsageError, ConflictError an address cannot be had; SystemCallError
 */
export async function connectContainer(input: ConnectInput): Promise<ConnectedContainer> {
  const { store, requests, ports, warn } = input;
  const { id: container, name } = input.container;
  await using cleanup = new AsyncDisposableStack();
  const socket = cleanup.use(RouteSocket.open());
  const places: Place[] = [];
  for (const request of requests) {
    const network = await networkOf(request, store, socket);
    places.push({ request, network, device: `eth${places.length}` });
  }
  // What it will have is on record before it has it.
  const nothing = { version: 1, container, name, attachments: places.map(emptyAttachment), publications: [] } as const;
  await putOnRecord(nothing, places, store);
  const connections: Connection[] = [];
  const ofHost = listAddresses(socket);
  for (const place of places) {
    const { link, network } = await hostDevice(place.network, { store, socket, warn, cleanup });
    connections.push({ attachment: attach({ ...place, network }, store, container, ofHost), link, network });
  }
  const attachments = connections.map(({ attachment }) => attachment);
  const endpoint: Endpoint = { ...nothing, attachments };
  const held = cleanup.use(
    await publish(endpoint, ports, { store, addresses: publishedAddresses(attachments, places) }),
  );
  const hasIpv6 = attachments.some(({ addresses }) => addresses.some((address) => address.includes(":")));
  const { file, opened } = makeNetworkNamespace(() => {
    // Devices without an address of IPv6 are not to give themselves one, as Docker has it.
    if (!hasIpv6) writeSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return RouteSocket.open();
  });
  cleanup.use(file);
  const inside = { namespace: file.number, socket: cleanup.use(opened) };
  const plugging = cleanup.use(socket.begin(connections.flatMap((one) => plugOrders(one, file.number))));
  const owned = cleanup.move();
  return {
    namespace: file,
    endpoint: { ...endpoint, publications: held.publications },
    held: held.sockets,
    complete: async () => {
      await plugging.end();
      await setUp(connections, inside, { socket, container, store, patience });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Brings up what there is in a container's new network namespace, and leads its packets out. @throws as {@link plugRest} */
async function setUp(connections: readonly Connection[], inside: Inside, place: MacvlanPlace): Promise<void> {
  const orders = [linkUpOrder(loopbackIndex, "lo")];
  const indexes = new Map<string, number>();
  for (const connection of connections) {
    const plugged = await plugRest(connection, inside, place);
    orders.push(...plugged.orders);
    indexes.set(connection.attachment.device, plugged.index);
  }
  const attachments = connections.map(({ attachment }) => attachment);
  const networks = connections.map(({ network }) => network);
  inside.socket.carryOut([...orders, ...waysOut(attachments, networks, (device) => indexes.get(device))]);
}

async function putOnRecord(endpoint: Endpoint, places: readonly Place[], store: NetworkStore): Promise<void> {
  // The default network is never removed.
  const removable = places.map(({ network }) => network).filter(({ name }) => name !== defaultNetworkName);
  using _records = removable.length > 0 ? await store.lockRecords("shared") : undefined;
  store.confirm(removable);
  store.endpoints.write(endpoint);
}

/** The host's device through which a network is reached; made, where it is a bridge that is not there. */
async function hostDevice(
  network: NetworkRecord,
  {
    store,
    socket,
    warn,
    cleanup,
  }: Pick<ConnectInput, "store" | "warn"> & { readonly socket: RouteSocket; readonly cleanup: AsyncDisposableStack },
): Promise<HostDevice> {
  if (network.driver !== "bridge") return parentDevice(network, socket);
  const link = bridgeAtRest(network, store, socket);
  if (link !== undefined) return { link, network };
  const { HostNetwork } = await import("./host-network.ts");
  // Not closed before the container runs: after a change of the firewall that takes the kernel ten milliseconds and more.
  const host = cleanup.use(new HostNetwork(store, warn));
  using _lock = await store.lockHost();
  return await host.prepare(network);
}

/** Ports lead to the first network that has a way to the host, by which answers go: see `waysOut`. */
function publishedAddresses(attachments: readonly Attachment[], places: readonly Place[]): IpAddress[] {
  const [first] = byPriority(
    attachments.filter((_, index) => {
      const network = places[index]?.network;
      return network !== undefined && isReachedByHost(network);
    }),
  );
  return (first?.addresses ?? []).flatMap((text) => parseIpAddress(text.split("/", 1)[0] ?? "") ?? []);
}

/** Puts the endpoint on record, with its ports: most containers have none, and need nothing of what publishes them. */
async function publish(
  endpoint: Endpoint,
  ports: readonly PortRequest[],
  { store, addresses }: { readonly store: NetworkStore; readonly addresses: readonly IpAddress[] },
): Promise<HeldPorts> {
  if (ports.length > 0) {
    const { publishPorts } = await import("./publish.ts");
    return await publishPorts(store, endpoint, ports, addresses);
  }
  store.endpoints.write(endpoint);
  return { publications: [], sockets: [], [Symbol.dispose]() {} };
}

/** See `MacvlanPlace`. */
const patience = 3_000;

/** The first device of every network namespace. */
const loopbackIndex = 1;

/**
 * Gives back what a container has of the host's networks. It does not run any more, or never has: its namespace is gone or
 * about to be, and its devices with it. To do it again is no error.
 * @returns what it had; undefined for nothing
 * @throws SystemCallError
 */
export async function releaseContainer(store: NetworkStore, container: string): Promise<Endpoint | undefined> {
  const endpoint = store.endpoints.read(container);
  if (endpoint === undefined) return undefined;
  using socket = RouteSocket.open();
  for (const { port } of endpoint.attachments) {
    // What goes by a port of a bridge ends: another container may be in the namespace too (`--network container:ID`), and
    // live on with an address that is the next one's. To remove the device would take the kernel a hundred times as long.
    if (port !== undefined) bringDown(socket, port);
  }
  if (endpoint.publications.length > 0) {
    const { unpublishPorts } = await import("./publish.ts");
    await unpublishPorts(store, endpoint);
  }
  for (const { networkId } of endpoint.attachments) store.leases(networkId).release(container);
  store.endpoints.remove(container);
  return endpoint;
}
