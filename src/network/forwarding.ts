/** The kernel's setting by which a host forwards packets of a family. */
export function forwardingOf(family: 4 | 6): string {
  return family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
}
