import type { NetworkRequest } from "../container/options.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { isHeld } from "../linux/lock.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { releaseContainer } from "../network/connect.ts";
import { defaultNetwork } from "../network/default-network.ts";
import { createNetwork, type NetworkWish } from "../network/create.ts";
import { checkBeforehand } from "../network/given-addresses.ts";
import { HostNetwork } from "../network/host-network.ts";
import { isPluggedIn, plugIn, unplug } from "../network/hot-plug.ts";
import { NetworkStore } from "../network/networks.ts";
import { repairHost } from "../network/repair.ts";
import { defaultNetworkName, isReachedByHost, type NetworkRecord } from "../network/record.ts";
import { ConflictError, errorMessage, NotFoundError, UsageError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import type { ConnectedContainer } from "./network/announce.ts";
import { canonicalName } from "./network/canonical.ts";
import { recordMembership, recordNetworkEvent } from "./network/events.ts";
import { openNetworkOf } from "./network/running.ts";
import {
  isUnused,
  networkSummary,
  type NetworkSummary,
  refuseWithoutRecord,
  withoutRecord,
} from "./network/summary.ts";
import { openContainers } from "./reconcile.ts";

type Context = Pick<EngineContext, "root" | "state" | "debug" | "warn">;

/** `gocker network create`. @returns its ID @throws as `createNetwork` */
export async function createNetworkOf(context: Context, wish: NetworkWish): Promise<string> {
  const network = await createNetwork(new NetworkStore(context.root, context.state), wish);
  recordNetworkEvent(context, "create", network);
  return network.id;
}

/** The networks by their names, after putting in order what was left of containers. */
export async function listNetworks(context: Context): Promise<NetworkSummary[]> {
  const { containers } = await openContainers(context);
  const store = new NetworkStore(context.root, context.state);
  await makeDefaultNetwork(store);
  const records = containers.list();
  const networks = store.list().map((network) => networkSummary(network, store, records));
  return [...networks, ...withoutRecord(records)].toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** It is there before the first container is in it, for those who look. */
async function makeDefaultNetwork(store: NetworkStore): Promise<void> {
  using socket = RouteSocket.open();
  await defaultNetwork(store, socket);
}

/**
 * `gocker network rm`: removes a network with its bridge.
 * @throws NotFoundError; UsageError the default network; ConflictError a container that runs is in it
 */
export async function removeNetwork(context: Context, reference: string): Promise<void> {
  const { containers } = await openContainers(context);
  const store = new NetworkStore(context.root, context.state);
  refuseWithoutRecord(reference);
  const { name } = store.resolve(reference);
  if (name === defaultNetworkName) throw new UsageError("the default network cannot be removed");
  using _records = await store.lockRecords();
  const network = store.resolve(name);
  refuseConnected(networkSummary(network, store, containers.list()));
  await takeDown(context, store, network);
}

function refuseConnected({ name, connected }: NetworkSummary): void {
  if (connected.length === 0) return;
  throw new ConflictError(`network ${name} is in use by ${connected.map((member) => member.name).join(", ")}`, {
    hint: "stop these containers, or take them out with `gocker network disconnect`",
  });
}

/** For the holder of the records' lock. */
async function takeDown(context: Context, store: NetworkStore, network: NetworkRecord): Promise<void> {
  if (network.driver === "bridge") {
    using host = new HostNetwork(store, () => {});
    using _lock = await store.lockHost();
    host.removeBridge(network);
  }
  store.remove(network);
  recordNetworkEvent(context, "destroy", network);
}

/**
 * `gocker network prune`: removes networks that no container wants to be in.
 * @returns their names
 */
export async function pruneNetworks(
  context: Context,
  isWanted: (network: NetworkSummary) => boolean,
): Promise<string[]> {
  const { containers } = await openContainers(context);
  const store = new NetworkStore(context.root, context.state);
  using _records = await store.lockRecords();
  const records = containers.list();
  const unused = store.list().filter((network) => {
    const summary = networkSummary(network, store, records);
    return isUnused(summary) && isWanted(summary);
  });
  for (const network of unused) await takeDown(context, store, network);
  return unused.map(({ name }) => name);
}

/** How a container is to be in a network: see `NetworkRequest`. */
export type ConnectOptions = Omit<NetworkRequest, "network">;

/**
 * `gocker network connect`: a container that runs gets one more device; all of its later starts go by it too.
 * @throws NotFoundError, UsageError; ConflictError it is in the network, or in none of gocker's
 */
export async function connectToNetwork(
  context: Context,
  reference: string,
  container: string,
  options: ConnectOptions,
): Promise<void> {
  const { containers } = await openContainers(context);
  const store = new NetworkStore(context.root, context.state);
  const id = containers.resolve(container);
  refuseWithoutRecord(reference);
  const name = canonicalName(reference, store);
  checkBeforehand(store, name, options);
  const request = { network: name, ...options };
  const found = stateOf(containers.read(id), store);
  // Whoever wrote that it is in there may have been killed before he had done all of it.
  const before = withoutTraces(found, name);
  const isOnRecord = before.record !== found.record;
  if (!isOnRecord || !isRunning(found)) await containers.update(id, (record) => withNetwork(record, request));
  using running = openNetworkOf(containers.read(id));
  if (running === undefined) return;
  try {
    await plugIn(store, running, request, (message) => context.warn?.(message));
  } catch (error) {
    const network = store.read(name);
    // Somebody else may have connected it at the same time.
    if (network !== undefined && isPluggedIn(store, running, network)) {
      await announce(context, containers, before, store);
    } else {
      await containers.update(id, (record) => withoutNetwork(record, name));
    }
    throw error;
  }
  await tellChange(context, containers, before, store);
}

/** A container as it was before it came into a network. */
function withoutTraces({ record, endpoint }: ConnectedContainer, name: string): ConnectedContainer {
  if (record.networks?.some(({ network }) => network === name) !== true) return { record, endpoint };
  const attachments = endpoint?.attachments.filter(({ network }) => network !== name) ?? [];
  return { record: withoutNetwork(record, name), endpoint: endpoint && { ...endpoint, attachments } };
}

function isRunning({ record }: ConnectedContainer): boolean {
  using network = openNetworkOf(record);
  return network !== undefined;
}

function stateOf(record: ContainerRecord, store: NetworkStore): ConnectedContainer {
  return { record, endpoint: store.endpoints.read(record.id) };
}

/** Whether a container is to have published ports and has none: it was in no network by which they could be reached. */
function hasUnpublished({ record, endpoint }: ConnectedContainer): boolean {
  const isAsked = (record.ports ?? []).length > 0 || record.publishAllPorts === true;
  return isAsked && endpoint?.publications.length === 0;
}

function isWayToHost(network: NetworkRecord | undefined): boolean {
  return network !== undefined && isReachedByHost(network);
}

/** {@link announce}, and events of it. */
async function tellChange(
  context: Context,
  containers: ContainerStore,
  before: ConnectedContainer,
  store: NetworkStore,
): Promise<void> {
  const after = stateOf(containers.read(before.record.id), store);
  const without = (some: ConnectedContainer, others: ConnectedContainer) =>
    (some.endpoint?.attachments ?? []).filter(
      ({ networkId }) => others.endpoint?.attachments.some((one) => one.networkId === networkId) !== true,
    );
  const entered = without(after, before);
  recordMembership(context, "connect", after.record.id, entered);
  if (hasUnpublished(after) && entered.some(({ network }) => isWayToHost(store.read(network)))) {
    context.warn?.(`the ports of container ${after.record.name} are published from its next start on`);
  }
  recordMembership(context, "disconnect", after.record.id, without(before, after));
  await announce(context, containers, before, store);
}

/** Has a container's files and its monitor know of its networks as they are now. */
async function announce(
  context: Context,
  containers: ContainerStore,
  before: ConnectedContainer,
  store: NetworkStore,
): Promise<void> {
  const { announceNetworks } = await import("./network/announce.ts");
  const { id } = before.record;
  await announceNetworks(context, containers.directory(id), before, stateOf(containers.read(id), store));
}

/**
 * `gocker network disconnect`.
 * @param force what the container's record says of it goes even where its device cannot be removed
 * @throws NotFoundError it is not in the network; UsageError
 */
export async function disconnectFromNetwork(
  context: Context,
  reference: string,
  container: string,
  { force }: { readonly force: boolean },
): Promise<void> {
  const { containers } = await openContainers(context);
  const store = new NetworkStore(context.root, context.state);
  const id = containers.resolve(container);
  refuseWithoutRecord(reference);
  const network = store.resolve(reference);
  const before = stateOf(containers.read(id), store);
  const { record } = before;
  if (record.networks?.some((one) => one.network === network.name) !== true) {
    throw new NotFoundError(`container ${record.name} is not in network ${network.name}`);
  }
  try {
    using running = openNetworkOf(record);
    if (running !== undefined) await unplug(store, running, network);
  } catch (error) {
    if (!force) throw error;
    context.warn?.(errorMessage(error));
  }
  await containers.update(id, (current) => withoutNetwork(current, network.name));
  if (before.endpoint !== undefined) await tellChange(context, containers, before, store);
}

function withNetwork(record: ContainerRecord, request: NetworkRequest): ContainerRecord {
  const { networks, name } = record;
  if (networks === undefined) {
    throw new ConflictError(`container ${name} has no network of gocker's to which another could be added`, {
      hint: "what has the host's network, none, or another container's cannot be connected",
    });
  }
  if (networks.some(({ network }) => network === request.network)) {
    throw new ConflictError(`container ${name} is in network ${request.network} already`);
  }
  return { ...record, networks: [...networks, request] };
}

function withoutNetwork(record: ContainerRecord, name: string): ContainerRecord {
  return { ...record, networks: (record.networks ?? []).filter(({ network }) => network !== name) };
}

/**
 * `gocker network repair`: makes bridges, the firewall and what containers have of networks fit what is on record.
 * @returns what was wrong, in words
 */
export async function repairNetworks(context: Context): Promise<string[]> {
  const { containers } = await openContainers(context);
  const store = new NetworkStore(context.root, context.state);
  const faults: string[] = [];
  for (const { container, name } of store.endpoints.list()) {
    // Whoever starts or looks after it holds its lock.
    if (isHeld(containers.lockPath(container))) continue;
    await releaseContainer(store, container);
    faults.push(`container ${name}, which does not run, had addresses or ports`);
  }
  for (const record of containers.list()) faults.push(...(await repairContainer(context, store, record)));
  using host = new HostNetwork(store, (message) => context.warn?.(message));
  using _lock = await store.lockHost();
  const known = new Set(store.endpoints.list().map(({ container }) => container));
  for (const { id, name } of store.list()) {
    for (const [address, holder] of store.leases(id).holders()) {
      if (known.has(holder)) continue;
      store.leases(id).release(holder);
      faults.push(`the address ${address} of network ${name} belonged to nobody who runs`);
    }
  }
  return [...faults, ...repairHost(store, host)];
}

/** Connects a container that runs to the networks that it has to be in and is not. @returns what was wrong, in words */
async function repairContainer(context: Context, store: NetworkStore, record: ContainerRecord): Promise<string[]> {
  if ((record.networks ?? []).length === 0) return [];
  using running = openNetworkOf(record);
  if (running === undefined) return [];
  const faults: string[] = [];
  for (const request of record.networks ?? []) {
    const network = store.read(request.network);
    if (network === undefined || isPluggedIn(store, running, network)) continue;
    faults.push(`container ${record.name} had no device in network ${network.name}`);
    await plugIn(store, running, request, (message) => context.warn?.(message));
  }
  return faults;
}
