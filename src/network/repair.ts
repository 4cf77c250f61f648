import { listAddresses } from "../linux/netlink/addresses.ts";
import { findLink, type Link } from "../linux/netlink/links.ts";
import { readSysctl } from "../linux/sysctl.ts";
import { formatIpAddress } from "../util/ip-address.ts";
import { isBridgeOf } from "./bridge-name.ts";
import { firewallDifferences } from "./firewall-differences.ts";
import { forwardingOf } from "./forwarding.ts";
import { gatewaysOf, type HostNetwork, leadsLoopback } from "./host-network.ts";
import type { NetworkStore } from "./networks.ts";
import type { NetworkRecord } from "./record.ts";

/**
 * Makes what is in force on the host fit what is on record, for the holder of the host's lock.
 * @returns what was wrong, in words; nothing when all was well
 * @throws SystemCallError
 */
export function repairHost(store: NetworkStore, host: HostNetwork): string[] {
  const faults: string[] = [];
  for (const network of store.list()) {
    if (host.membersOf(network).length === 0) continue;
    faults.push(...(network.driver === "bridge" ? repairBridge(network, host) : parentFaults(network, host)));
  }
  const expected = host.state();
  if (expected.networks.length === 0 && !host.firewall.isThere()) return faults;
  const differences = firewallDifferences(host.firewall.read(), expected);
  if (differences.length > 0) host.firewall.rebuild(expected);
  return [...faults, ...differences];
}

function repairBridge(network: NetworkRecord, host: HostNetwork): string[] {
  const { device, name } = network;
  const present = findLink(host.socket, device);
  if (present !== undefined && !isBridgeOf(present, network)) {
    return [`the device ${device} is not the bridge of network ${name}, whose containers are cut off: restart them`];
  }
  const faults = bridgeFaults(network, present, host);
  const bridge = host.ensureBridge(network);
  // Whoever makes a bridge is told that by then.
  if (present?.isUp === true && !network.internal) host.tellObstacles(device);
  for (const { name: container, attachment } of host.membersOf(network)) {
    if (host.reconnect(attachment, bridge)) faults.push(`container ${container} was not connected to network ${name}`);
  }
  return faults;
}

function bridgeFaults(network: NetworkRecord, present: Link | undefined, host: HostNetwork): string[] {
  const { device, name, internal } = network;
  const bridge = `the bridge ${device} of network ${name}`;
  if (present === undefined) return [`${bridge} was not there`];
  const faults = present.isUp ? [] : [`${bridge} was down`];
  const gateways = gatewaysOf(network);
  const addresses = listAddresses(host.socket);
  for (const { address } of gateways) {
    if (addresses.some(({ family, value }) => family === address.family && value === address.value)) continue;
    faults.push(`${bridge} had lost its address ${formatIpAddress(address)}`);
  }
  for (const family of internal ? [] : new Set(gateways.map(({ address }) => address.family))) {
    if (readSysctl(forwardingOf(family)) === "0") faults.push(`forwarding of IPv${family} was off on this host`);
  }
  if (host.hasPorts(network) && readSysctl(leadsLoopback(network)) === "0") {
    faults.push(`ports of containers in network ${name} could not be reached at 127.0.0.1`);
  }
  return faults;
}

/** Of a network on a device of the host's own, which gocker does not make. */
function parentFaults({ device, name }: NetworkRecord, host: HostNetwork): string[] {
  return findLink(host.socket, device) === undefined
    ? [`the host's device ${device}, on which the containers of network ${name} were, is gone`]
    : [];
}
