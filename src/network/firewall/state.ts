import type { Publication } from "../publication.ts";

/** What the firewall has to know of a network that is in use. */
export interface FirewallNetwork {
  /** The name of its bridge. */
  readonly bridge: string;
  /** Blocks of IPv4 and IPv6, such as `10.77.0.0/16`, which no other network overlaps. */
  readonly subnets: readonly string[];
  /** Its containers reach each other and the host's addresses on the bridge, nothing else. */
  readonly isInternal: boolean;
  /** What its containers send to elsewhere leaves with the host's address. */
  readonly masquerades: boolean;
}

/** All that the firewall does. */
export interface FirewallState {
  readonly networks: readonly FirewallNetwork[];
  readonly publications: readonly Publication[];
  /**
   * Families of which nothing but containers' traffic is forwarded: those for which gocker has switched forwarding on. A host
   * that was no router is not to become one for others.
   */
  readonly confinesForwarding: readonly (4 | 6)[];
}
