import { formatSubnet, overlap, parseSubnet, type Subnet } from "../util/ip-address.ts";

/** Blocks whose addresses no device of a network can have, and what they are. */
const unfit: readonly (readonly [block: string, are: string])[] = [
  // RFC 1122 3.2.1.3
  ["0.0.0.0/8", "unspecified"],
  ["127.0.0.0/8", "each host's own loopbacks"],
  ["255.255.255.255/32", "for all hosts at once"],
  // RFC 5771 3
  ["224.0.0.0/4", "for many hosts at once (multicast)"],
  // RFC 4291 2.4, 2.5.5.2
  ["::/128", "unspecified"],
  ["::1/128", "each host's own loopback"],
  ["::ffff:0:0/96", "of IPv4 in the form of IPv6"],
  ["fe80::/10", "of one link alone"],
  ["ff00::/8", "for many hosts at once (multicast)"],
];

/** Why a block cannot be that of a network, in words that follow its own; undefined where it can. */
export function whyUnfit(subnet: Subnet): string | undefined {
  for (const [text, are] of unfit) {
    const block = parseSubnet(text);
    if (block === undefined || !overlap(block, subnet)) continue;
    return `cannot be a network's: the addresses of ${formatSubnet(block)} are ${are}`;
  }
  return undefined;
}
