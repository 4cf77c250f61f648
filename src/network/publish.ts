import type { IpAddress } from "../util/ip-address.ts";
import type { Endpoint } from "./endpoints.ts";
import { HostNetwork } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import { type HeldPorts, holdPorts, type PortRequest } from "./ports.ts";
import { firewallPublications } from "./publication.ts";
import type { NetworkRecord } from "./record.ts";

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
  const held = cleanup.use(holdPorts(requests, addresses));
  const whole = { ...endpoint, publications: held.publications };
  const publications = firewallPublications(whole);
  if (publications.length === 0) {
    store.endpoints.write(whole);
  } else {
    using host = new HostNetwork(store, () => {});
    // Whoever makes the firewall anew meanwhile knows of both, the endpoint and its ports, or of none.
    using _lock = await store.lockHost();
    store.endpoints.write(whole);
    host.firewall.publish(publications);
    for (const network of bridgesOf(endpoint, store)) host.leadLoopback(network);
    host.firewall.redirectConversations(publications, "published");
  }
  cleanup.move();
  return held;
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
