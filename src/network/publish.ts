import type { IpAddress } from "../util/ip-address.ts";
import type { Endpoint } from "./endpoints.ts";
import { HostNetwork } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import { hasSocket, type HeldPorts, holdPorts, type PortRequest } from "./ports.ts";
import { firewallPublications } from "./publication.ts";
import type { NetworkRecord } from "./record.ts";
import { TakenPorts } from "./taken-ports.ts";

/**
 * Publishes ports of a container, and puts its endpoint on record.
 * @param endpoint without publications
 * @param addresses those of the container to which they lead
 * @throws as `holdPorts` and `Firewall.publish`
 */
export async function publishPorts(
  store: NetworkStore,
  endpoint: Endpoint,
  requests: readonly PortRequest[],
  addresses: readonly IpAddress[],
): Promise<HeldPorts> {
  using cleanup = new DisposableStack();
  // Who has a port of SCTP the records alone know: nobody else puts one there meanwhile.
  using early = requests.every(hasSocket) ? undefined : await store.lockHost();
  const taken = early === undefined ? undefined : portsOfOthers(store, endpoint.container);
  const held = cleanup.use(holdPorts(requests, addresses, taken));
  const whole = { ...endpoint, publications: held.publications };
  const publications = firewallPublications(whole);
  if (publications.length === 0) {
    store.endpoints.write(whole);
  } else {
    using host = new HostNetwork(store, () => {});
    // Whoever makes the firewall anew meanwhile knows of both, the endpoint and its ports, or of none.
    using _lock = early ?? (await store.lockHost());
    store.endpoints.write(whole);
    host.firewall.publish(publications);
    for (const network of bridgesOf(endpoint, store)) host.leadLoopback(network);
    host.firewall.redirectConversations(publications, "published");
  }
  cleanup.move();
  return held;
}

/** Ports without a socket that other containers have. */
function portsOfOthers({ endpoints }: NetworkStore, container: string): TakenPorts {
  const others = endpoints.list().filter((one) => one.container !== container);
  return new TakenPorts(others.flatMap(({ publications }) => publications.filter((one) => !hasSocket(one))));
}

/** Ends that. To do it again is no error. @throws SystemCallError */
export async function unpublishPorts(store: NetworkStore, endpoint: Endpoint): Promise<void> {
  const publications = firewallPublications(endpoint);
  if (publications.length === 0) return;
  using host = new HostNetwork(store, () => {});
  using _lock = await store.lockHost();
  for (const network of bridgesOf(endpoint, store)) host.leadLoopback(network, endpoint.container);
  host.firewall.unpublish(publications);
  host.firewall.redirectConversations(publications, "unpublished");
}

function bridgesOf({ attachments }: Endpoint, store: NetworkStore): NetworkRecord[] {
  const networks = attachments.flatMap(({ network }) => store.read(network) ?? []);
  return networks.filter(({ driver }) => driver === "bridge");
}
