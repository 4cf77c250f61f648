import { readSysctl } from "../linux/sysctl.ts";

/**
 * Whether ports of bridges have to send out what has come in by them, for containers to reach published ports of their own:
 * where bridges call the firewall (br_netfilter), what a container sends there is translated in the bridge. Elsewhere that is
 * the host's doing, and what a container sends to all in its network is not to come back to it.
 * @throws SystemCallError
 */
export function mustPortsReflect(): boolean {
  return ["iptables", "ip6tables"].some((name) => readSysctl(`net/bridge/bridge-nf-call-${name}`) === "1");
}
