import type { FirewallNetwork, FirewallState } from "./firewall.ts";
import type { Publication } from "./publication.ts";

/**
 * In what the firewall that is in force is another than it should be, in words.
 * @param actual undefined: it is not there, or not gocker's any more
 */
export function firewallDifferences(actual: FirewallState | undefined, expected: FirewallState): string[] {
  if (actual === undefined) return ["the table inet gocker of the firewall was not there, or was changed"];
  const differences: string[] = [];
  const networks = [actual.networks, expected.networks].map((list) => new Map(list.map(networkEntry)));
  const ports = [actual.publications, expected.publications].map((list) => new Map(list.map(portEntry)));
  const [foundNetworks, wantedNetworks] = networks as [Map<string, string>, Map<string, string>];
  const [foundPorts, wantedPorts] = ports as [Map<string, string>, Map<string, string>];
  for (const [bridge, text] of wantedNetworks) {
    if (foundNetworks.get(bridge) !== text) differences.push(`the firewall did not know the network of ${bridge}`);
  }
  for (const bridge of foundNetworks.keys()) {
    if (!wantedNetworks.has(bridge)) differences.push(`the firewall knew a network of ${bridge}, which is not there`);
  }
  for (const [port, target] of wantedPorts) {
    if (foundPorts.get(port) !== target) differences.push(`port ${port} did not lead to ${target}`);
  }
  for (const [port, target] of foundPorts) {
    if (!wantedPorts.has(port)) differences.push(`port ${port} led to ${target}, where nothing is`);
  }
  const confined = (state: FirewallState) =>
    [4, 6].filter((family) => state.confinesForwarding.includes(family as 4 | 6)).join(" ");
  if (confined(actual) !== confined(expected)) differences.push("the firewall forwarded other traffic than it should");
  return differences;
}

function networkEntry({ bridge, subnets, isInternal, masquerades }: FirewallNetwork): readonly [string, string] {
  return [bridge, JSON.stringify([isInternal, masquerades, subnets.toSorted()])];
}

function portEntry(publication: Publication): readonly [string, string] {
  const { hostAddress, hostPort, protocol, containerAddress, containerPort } = publication;
  const target = containerAddress === "" ? "gocker itself" : withPort(containerAddress, containerPort);
  return [`${withPort(hostAddress, hostPort)}/${protocol}`, target];
}

function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
