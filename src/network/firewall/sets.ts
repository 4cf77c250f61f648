import type { SetDefinition } from "../../linux/netlink/nftables/sets.ts";

/** All that changes in gocker's table: what rules apply to. The rules themselves never change. */
export const sets = {
  /** The bridges of all networks. */
  bridges: { name: "bridges", key: ["ifname"] },
  /** Those of networks that have no way out. */
  internal: { name: "internal", key: ["ifname"] },
  /** Each bridge with itself: rules cannot compare two names with each other. */
  within: { name: "within", key: ["ifname", "ifname"] },
  /** Families of which nothing but containers' traffic is forwarded. */
  confined: { name: "confined", key: ["nf_proto"] },
  /** The subnets of all networks; the comments are their bridges. */
  subnets4: { name: "subnets4", key: ["ipv4_addr"], isInterval: true },
  subnets6: { name: "subnets6", key: ["ipv6_addr"], isInterval: true },
  /** Those whose traffic leaves the host with the host's address. */
  sources4: { name: "sources4", key: ["ipv4_addr"], isInterval: true },
  sources6: { name: "sources6", key: ["ipv6_addr"], isInterval: true },
  /** Ports that are published on all addresses of the host, */
  ports4: { name: "ports4", key: ["inet_proto", "inet_service"], value: ["ipv4_addr", "inet_service"] },
  ports6: { name: "ports6", key: ["inet_proto", "inet_service"], value: ["ipv6_addr", "inet_service"] },
  /** and on one of them. */
  addressports4: {
    name: "addressports4",
    key: ["ipv4_addr", "inet_proto", "inet_service"],
    value: ["ipv4_addr", "inet_service"],
  },
  addressports6: {
    name: "addressports6",
    key: ["ipv6_addr", "inet_proto", "inet_service"],
    value: ["ipv6_addr", "inet_service"],
  },
  /** Ports of all addresses of a family at which gocker itself passes on what comes. */
  passed: { name: "passed", key: ["nf_proto", "inet_proto", "inet_service"] },
} as const satisfies Record<string, SetDefinition>;
