import { parseIpAddress } from "../util/ip-address.ts";
import { type Attachment, byPriority, type Endpoint } from "./endpoints.ts";
import type { HostNetwork } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import { firewallPublications, type Publication } from "./publication.ts";
import { isReachedByHost } from "./record.ts";

/**
 * Puts on record in which networks a container is now, and leads its ports to where it can be reached: an address that it
 * has no more is the next one's. For the holder of the host's lock.
 * @param before what is on record
 * @throws SystemCallError
 */
export function republish(
  store: NetworkStore,
  host: HostNetwork,
  before: Endpoint,
  attachments: readonly Attachment[],
): void {
  const publications = before.publications.map((publication) => ledTo(publication, attachments, store));
  const isSame = publications.every((one, index) => one === before.publications[index]);
  if (isSame) return store.endpoints.write({ ...before, attachments });
  const [old, current] = [before.publications, publications].map((list) =>
    firewallPublications({ publications: list }),
  );
  host.firewall.unpublish(old ?? []);
  host.firewall.redirectConversations(old ?? [], "unpublished");
  store.endpoints.write({ ...before, attachments, publications });
  host.firewall.publish(current ?? []);
  for (const network of attachments.flatMap(({ network: name }) => store.read(name) ?? [])) {
    if (network.driver === "bridge") host.leadLoopback(network);
  }
  host.firewall.redirectConversations(current ?? [], "published");
}

function ledTo(publication: Publication, attachments: readonly Attachment[], store: NetworkStore): Publication {
  const has = ({ addresses }: Attachment) => addressesOf(addresses).includes(publication.containerAddress);
  if (attachments.some(has)) return publication;
  const first = byPriority(attachments).find(({ network: name }) => {
    const network = store.read(name);
    return network !== undefined && isReachedByHost(network);
  });
  const addresses = addressesOf(first?.addresses ?? []);
  const family = parseIpAddress(publication.hostAddress)?.family;
  const sameFamily = addresses.find((address) => parseIpAddress(address)?.family === family);
  return { ...publication, containerAddress: sameFamily ?? addresses[0] ?? "" };
}

function addressesOf(addresses: readonly string[]): string[] {
  return addresses.map((address) => address.split("/", 1)[0] ?? "");
}
