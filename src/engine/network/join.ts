import { hasNameServer, refreshEtcFiles } from "../../container/etc-files.ts";
import { MonitorSockets } from "../../container/monitor/sockets.ts";
import type { PortRequest } from "../../container/options.ts";
import type { ContainerRecord } from "../../container/record.ts";
import type { OwnedFd } from "../../linux/fd.ts";
import { connectContainer, releaseContainer } from "../../network/connect.ts";
import type { Attachment } from "../../network/endpoints.ts";
import type { NameSockets } from "../../network/name-sockets.ts";
import { NetworkStore } from "../../network/networks.ts";
import type { EngineContext } from "../context.ts";
import type { SurroundingsInput } from "../surroundings.ts";
import { etcFilesInput } from "./etc-input.ts";
import { recordMembership } from "./events.ts";

/** A container's network namespace, and the sockets that its monitor serves; the container has what is in there. */
export interface JoinedNetworks extends AsyncDisposable {
  readonly namespace: OwnedFd;
  readonly sockets: MonitorSockets;
  readonly attachments: readonly Attachment[];
  /** See `ConnectedContainer`. */
  complete(): Promise<void>;
}

/** Connects a container that is about to be started to its networks, and writes its addresses into its files in /etc. */
export async function joinNetworks(input: SurroundingsInput): Promise<JoinedNetworks> {
  const { context, record, spec, warn, containers } = input;
  const store = new NetworkStore(context.root, context.state);
  const { id, name, networks = [] } = record;
  await using cleanup = new AsyncDisposableStack();
  const connected = cleanup.use(
    await connectContainer({ store, container: { id, name }, requests: networks, ports: portsOf(record), warn }),
  );
  refreshEtcFiles(containers.directory(id), etcFilesInput(record, spec, connected.endpoint));
  const { attachments } = connected.endpoint;
  recordMembership(context, "connect", id, attachments);
  const names = hasNameServer(networks) ? cleanup.use(await openNames(connected.namespace)) : undefined;
  const sockets = cleanup.use(new MonitorSockets(names?.sockets ?? [], connected.held));
  const owned = cleanup.move();
  const { namespace } = connected;
  return {
    namespace,
    sockets,
    attachments,
    complete: async () => {
      await connected.complete();
      names?.lead();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openNames(namespace: OwnedFd): Promise<NameSockets> {
  const { NameSockets } = await import("../../network/name-sockets.ts");
  return NameSockets.open(namespace.number);
}

/** The ports that are to be reachable on the host: those that were asked for, and all that are known with `-P`. */
function portsOf({ ports = [], exposedPorts = [], publishAllPorts = false }: ContainerRecord): readonly PortRequest[] {
  if (!publishAllPorts) return ports;
  const others = exposedPorts.flatMap((text) => exposedPort(text) ?? []);
  const isAsked = (one: PortRequest) =>
    ports.some(({ containerPort, protocol }) => containerPort === one.containerPort && protocol === one.protocol);
  return [...ports, ...others.filter((one) => !isAsked(one))];
}

/** `80/tcp`, `80`; an image may say anything. */
function exposedPort(text: string): PortRequest | undefined {
  const [, port = "", protocol = "tcp"] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(text) ?? [];
  const containerPort = Number(port);
  if (containerPort === 0 || containerPort > 65_535) return undefined;
  return { protocol: protocol.toLowerCase() as PortRequest["protocol"], containerPort };
}

/** See `leaveNetworks`. */
export async function leave(context: Pick<EngineContext, "root" | "state">, container: string): Promise<void> {
  const store = new NetworkStore(context.root, context.state);
  const released = await releaseContainer(store, container);
  recordMembership(context, "disconnect", container, released?.attachments ?? []);
  if (!store.endpoints.isEmpty()) return;
  using lock = store.trySweeping();
  // Somebody will look already.
  if (lock === undefined) return;
  const { launchSweeper } = await import("./sweeper.ts");
  await launchSweeper(context, lock);
}
