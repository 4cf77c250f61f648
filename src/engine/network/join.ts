import { hasNameServer, refreshEtcFiles } from "../../container/etc-files.ts";
import { type ConnectedContainer, connectContainer, releaseContainer } from "../../network/connect.ts";
import { NetworkStore } from "../../network/networks.ts";
import type { EngineContext } from "../context.ts";
import type { SurroundingsInput } from "../surroundings.ts";

/** Connects a container that is about to be started to its networks, and writes its addresses into its files in /etc. */
export async function joinNetworks({
  context,
  record,
  spec,
  warn,
  containers,
}: SurroundingsInput): Promise<ConnectedContainer> {
  const store = new NetworkStore(context.root, context.state);
  const { id, networks = [], options = {} } = record;
  using cleanup = new DisposableStack();
  const connected = cleanup.use(await connectContainer({ store, container: id, requests: networks, warn }));
  refreshEtcFiles(containers.directory(id), {
    hostname: spec.hostname ?? "",
    domainname: spec.domainname,
    network: "connected",
    addHosts: options.addHosts ?? [],
    dns: options.dns ?? [],
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOptions,
    addresses: connected.endpoint.attachments.flatMap(({ addresses }) => addresses.map(withoutLength)),
    hasNameServer: hasNameServer(networks),
  });
  cleanup.move();
  return connected;
}

/** See `leaveNetworks`. */
export async function leave({ root, state }: Pick<EngineContext, "root" | "state">, container: string): Promise<void> {
  await releaseContainer(new NetworkStore(root, state), container);
}

function withoutLength(address: string): string {
  return address.split("/", 1)[0] ?? address;
}
