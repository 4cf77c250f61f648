/** Protocols whose ports can be published. */
export type PortProtocol = "tcp" | "udp" | "sctp";

/** A port of a container that is reachable on the host. */
export interface Publication {
  readonly protocol: PortProtocol;
  /** An address of the host in its usual form; `0.0.0.0` and `::` for all of a family. */
  readonly hostAddress: string;
  readonly hostPort: number;
  /**
   * Of the container. Of the other family than `hostAddress` where it has none of that: gocker itself passes on then. Empty
   * when it has left the network by which it was reached: the port stays its own, and leads nowhere.
   */
  readonly containerAddress: string;
  readonly containerPort: number;
}

/**
 * What the firewall has to know of publications. Those whose addresses it translates (of one family) are as they are; of
 * others, which gocker itself passes on, only that their port is taken on all of the host's addresses: they lead nowhere.
 */
export function firewallPublications({
  publications,
}: {
  readonly publications: readonly Publication[];
}): Publication[] {
  return publications.flatMap((publication) => {
    if (isTranslated(publication)) return [publication];
    return wildcards.has(publication.hostAddress) ? [{ ...publication, containerAddress: "", containerPort: 0 }] : [];
  });
}

/** Whether the firewall leads it to the container. */
export function isTranslated({ hostAddress, containerAddress }: Publication): boolean {
  return containerAddress !== "" && hostAddress.includes(":") === containerAddress.includes(":");
}

/**
 * Whether somebody can reach a container by it: it has not left the network by which it was reached, and what the firewall
 * does not lead there gocker passes on, which it does of TCP and UDP.
 */
export function leadsSomewhere(publication: Publication): boolean {
  return publication.containerAddress !== "" && (publication.protocol !== "sctp" || isTranslated(publication));
}

const wildcards: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
