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

/** Those that the firewall leads to the container, by translating addresses: of one family. */
export function translatedPublications({
  publications,
}: {
  readonly publications: readonly Publication[];
}): Publication[] {
  return publications.filter(
    ({ hostAddress, containerAddress }) =>
      containerAddress !== "" && hostAddress.includes(":") === containerAddress.includes(":"),
  );
}
