import { addAddress, deviceAddress, findLink, type Link, listLinks, setLinkUp } from "../linux/netlink/links.ts";
import { uplinkOf } from "../linux/netlink/routes.ts";
import { RouteSocket } from "../linux/netlink/socket.ts";
import { hardwareAddressFor } from "../linux/netlink/hardware-address.ts";
import { makeBridge, reflectionOrder, removeLink, setBridge } from "../linux/netlink/virtual-links.ts";
import { readSysctl, writeSysctl } from "../linux/sysctl.ts";
import { ConflictError, GockerError, SystemCallError } from "../util/errors.ts";
import { errnos } from "../linux/errno.ts";
import { formatSubnet, isInSubnet, overlap, parseIpAddress, parseSubnet, type Subnet } from "../util/ip-address.ts";
import { Firewall, type FirewallNetwork, type FirewallState } from "./firewall.ts";
import type { Attachment } from "./endpoints.ts";
import { bridgeAlias, freeBridgeName, isBridgeOf } from "./bridge-name.ts";
import { firewallDifferences } from "./firewall-differences.ts";
import { readDefaultNetworkConfig } from "./config.ts";
import { defaultSubnets } from "./default-network.ts";
import type { NetworkStore } from "./networks.ts";
import { mustPortsReflect } from "./own-ports.ts";
import { translatedPublications } from "./publication.ts";
import type { NetworkRecord } from "./record.ts";
import { defaultNetworkName } from "./record.ts";
import { bridgeNumbers, gatewayOf, subnetsOf, subnetsOfHost } from "./subnets.ts";

/** `com.docker.network.driver.mtu` and gocker's shorter word for it. */
const mtuOptions = ["com.docker.network.driver.mtu", "mtu"];

/** Ethernet's, where the host has no way out whose one could be taken. */
const usualMtu = 1500;

/** Told of what changes for the whole host. */
export type HostWarning = (message: string) => void;

/**
 * The host's side of bridge networks: their bridges, the firewall and the settings of the kernel. All of it is made to fit
 * what is on record, by whoever finds that it does not.
 */
export class HostNetwork implements Disposable {
  readonly #store: NetworkStore;
  readonly #warn: HostWarning;
  readonly socket: RouteSocket;
  /** Bridges that firewalld has not been told of. */
  readonly #made: string[] = [];
  #firewall: Firewall | undefined;

  constructor(store: NetworkStore, warn: HostWarning) {
    this.#store = store;
    this.#warn = warn;
    this.socket = RouteSocket.open();
  }

  get firewall(): Firewall {
    return (this.#firewall ??= Firewall.open());
  }

  /**
   * The bridge of a network, made when it is not there; and the firewall, when somebody has removed it. For the holder of
   * the host's lock.
   * @throws ConflictError what the network needs belongs to others; SystemCallError
   */
  async prepare(network: NetworkRecord): Promise<{ readonly link: Link; readonly network: NetworkRecord }> {
    const current = this.#fitToHost(this.#avoidOthers(network));
    const wasThere = findLink(this.socket, current.device) !== undefined;
    const made = this.#ensureBridge(current);
    this.#ensureFirewall(current);
    // Somebody may have removed the bridge while containers were connected to it.
    if (!wasThere) this.#reconnect(this.#membersOf(current), made);
    await this.#tellFirewalld();
    return { link: made, network: current };
  }

  /** firewalld, where it runs, is to let bridges through that were just made. */
  async #tellFirewalld(): Promise<void> {
    const made = this.#made.splice(0);
    if (made.length === 0) return;
    const { trustInFirewalld } = await import("./firewalld.ts");
    for (const device of made) {
      try {
        await trustInFirewalld(device);
      } catch (error) {
        // Containers of the network reach each other all the same.
        if (!(error instanceof GockerError)) throw error;
        this.#warn(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
      }
    }
  }

  /** A bridge of the network's name may be that of a gocker with another root directory. */
  #avoidOthers(network: NetworkRecord): NetworkRecord {
    const { name, device, options } = network;
    const present = findLink(this.socket, device);
    if (present === undefined || isBridgeOf(present, network)) return network;
    if (options["com.docker.network.bridge.name"] !== undefined) {
      throw new ConflictError(`the bridge ${device} is not that of network ${name}`, {
        hint: "another gocker, with another root directory, has one of this name",
      });
    }
    const renamed = { ...network, device: freeBridgeName(this.socket, this.#store.list()) };
    this.#store.write(renamed);
    return renamed;
  }

  /** Of a network without a bridge: the host may have come to use its addresses since it was made. */
  #fitToHost(network: NetworkRecord): NetworkRecord {
    if (findLink(this.socket, network.device) !== undefined) return network;
    const ofHost = subnetsOfHost(this.socket, bridgeNumbers(this.#store.list(), this.socket));
    if (network.name === defaultNetworkName) return this.#fitDefault(network, ofHost);
    const collision = subnetsOf(network).find((subnet) => ofHost.some((other) => overlap(subnet, other)));
    if (collision === undefined) return network;
    throw new ConflictError(
      `the addresses of network ${network.name}, ${formatSubnet(collision)}, are used by the host otherwise`,
      { hint: "`ip route` shows by what; a network with another --subnet avoids it" },
    );
  }

  /** Its addresses are what is configured, or gocker's choice, which is made again. */
  #fitDefault(network: NetworkRecord, ofHost: readonly Subnet[]): NetworkRecord {
    const ofNetworks = this.#store.list().flatMap((other) => (other.name === network.name ? [] : subnetsOf(other)));
    const subnets = defaultSubnets(network.subnets, readDefaultNetworkConfig(), { ofHost, ofNetworks });
    if (JSON.stringify(subnets) === JSON.stringify(network.subnets)) return network;
    const chosen = { ...network, subnets };
    this.#store.write(chosen);
    return chosen;
  }

  #ensureBridge(network: NetworkRecord): Link {
    const { device, subnets } = network;
    const gateways = subnets.flatMap(({ subnet, gateway }) => gatewayOf(subnet, gateway) ?? []);
    const present = findLink(this.socket, device);
    if (present?.isUp === true) return present;
    if (present === undefined) {
      const first = gateways[0]?.address;
      makeBridge(this.socket, {
        name: device,
        alias: bridgeAlias(network),
        mtu: this.#mtuFor(network),
        // Else it takes the lowest of its ports, and is another one whenever a container comes or goes.
        ...(first !== undefined && { hardwareAddress: hardwareAddressFor(first) }),
      });
    }
    const link = findLink(this.socket, device);
    if (link === undefined) throw new ConflictError(`somebody has removed the bridge ${device} while it was made`);
    this.leadLoopback(network);
    this.#configureBridge(
      device,
      gateways.some(({ address }) => address.family === 6),
    );
    for (const { address, prefixLength } of gateways) {
      try {
        addAddress(this.socket, link.index, device, deviceAddress(address, prefixLength));
      } catch (error) {
        // One that was made by a gocker that was killed.
        if (!(error instanceof SystemCallError) || error.errno !== errnos.EEXIST) throw error;
      }
    }
    setLinkUp(this.socket, link.index, device, true);
    if (!network.internal) {
      this.#made.push(device);
      this.#forward(gateways.map(({ address }) => address.family));
      this.#tellObstacles(device);
    }
    return link;
  }

  /**
   * Lets published ports be reached by 127.0.0.1, where there are any in a network. The firewall keeps containers from the
   * host's loopback then, but others may remove that (`nft flush ruleset`): so it is not the firewall's to do where nobody
   * needs it. For the holder of the host's lock, when what is published is on record.
   * @param leaving a container whose ports do not count any more
   */
  leadLoopback({ id, device }: NetworkRecord, leaving?: string): void {
    const isNeeded = this.#store.endpoints
      .list()
      .some(
        ({ container, publications, attachments }) =>
          container !== leaving && publications.length > 0 && attachments.some(({ networkId }) => networkId === id),
      );
    writeSysctl(`net/ipv4/conf/${device}/route_localnet`, isNeeded ? "1" : "0");
  }

  #configureBridge(device: string, hasIpv6: boolean): void {
    // A container must not be able to tell the host where to send its packets (CVE-2020-13401).
    writeSysctl(`net/ipv6/conf/${device}/accept_ra`, "0");
    if (!hasIpv6) writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, "1");
  }

  #mtuFor({ options }: NetworkRecord): number {
    const asked = mtuOptions.map((name) => options[name]).find((value) => value !== undefined);
    if (asked !== undefined) return Number(asked);
    const uplink = uplinkOf(this.socket, 4) ?? uplinkOf(this.socket, 6);
    if (uplink === undefined) return usualMtu;
    return listLinks(this.socket).find(({ index }) => index === uplink)?.mtu ?? usualMtu;
  }

  /** Nothing leaves a bridge for another device before the kernel forwards packets, which it does for the host as a whole. */
  #forward(families: readonly (4 | 6)[]): void {
    for (const family of new Set(families)) {
      const setting = family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
      if (readSysctl(setting) !== "0") continue;
      // The host has forwarded nothing, and is to forward nothing but what is of containers.
      this.#store.markForwarding(family);
      if (this.firewall.isThere()) this.firewall.confineForwarding(family, true);
      else this.firewall.rebuild(this.state());
      if (family === 6) this.#keepRouterAdvertisements();
      writeSysctl(setting, "1");
      // It goes off and on again with the containers.
      if (!this.#store.isNewsOfForwarding(family)) continue;
      this.#warn(
        `forwarding of IPv${family} was off on this host and is on now (${setting.replaceAll("/", ".")}), for containers alone`,
      );
    }
  }

  /** gocker leaves what others have set up alone: so they may keep containers from what is outside. */
  #tellObstacles(device: string): void {
    const [first] = this.firewall.obstacles();
    if (first === undefined) return;
    this.#warn(
      `another firewall (${first}) forwards only what it knows: if containers do not get out, tell it to let ${device} through ` +
        `(for iptables: iptables -I FORWARD -i ${device} -j ACCEPT; iptables -I FORWARD -o ${device} -j ACCEPT)`,
    );
  }

  /** A host that forwards takes no routes from routers any more, unless it is told to: its own way out would end. */
  #keepRouterAdvertisements(): void {
    for (const { name } of listLinks(this.socket)) {
      const setting = `net/ipv6/conf/${name}/accept_ra`;
      if (readSysctl(setting) === "1") writeSysctl(setting, "2");
    }
  }

  #ensureFirewall(network: NetworkRecord): void {
    if (!this.firewall.isThere()) this.firewall.rebuild(this.state());
    else this.firewall.addNetwork(firewallNetwork(network));
  }

  /** What the firewall has to know, by the records and the bridges that there are. For the holder of the host's lock. */
  state(): FirewallState {
    const others = this.others();
    return {
      networks: [...this.bridged().map(firewallNetwork), ...others.networks],
      publications: [...this.#store.endpoints.list().flatMap(translatedPublications), ...others.publications],
      confinesForwarding: this.#store.switchedForwarding(),
    };
  }

  /** The bridge networks whose bridges are there. */
  bridged(): NetworkRecord[] {
    const links = new Map(listLinks(this.socket).map((link) => [link.name, link]));
    return this.#store.list().filter((network) => {
      const link = links.get(network.device);
      return network.driver === "bridge" && link !== undefined && isBridgeOf(link, network);
    });
  }

  /** What there is in the firewall of gockers with other root directories. */
  others(): Pick<FirewallState, "networks" | "publications"> {
    const { networks, publications } = this.firewall.read() ?? { networks: [], publications: [] };
    const bridges = new Set(listLinks(this.socket).flatMap(({ name, alias }) => (alias === undefined ? [] : [name])));
    const own = new Set(this.bridged().map(({ device }) => device));
    const others = networks.filter(({ bridge }) => bridges.has(bridge) && !own.has(bridge));
    const subnets = others.flatMap((network) => network.subnets.flatMap((text) => parseSubnet(text) ?? []));
    return {
      networks: others,
      publications: publications.filter(({ containerAddress }) => {
        const address = parseIpAddress(containerAddress);
        return address !== undefined && subnets.some((subnet) => isInSubnet(address, subnet));
      }),
    };
  }

  /**
   * Makes what is in force fit what is on record, for the holder of the host's lock.
   * @returns what was wrong, in words; nothing when all was well
   */
  repair(): string[] {
    const faults: string[] = [];
    for (const network of this.#store.list()) {
      const members = this.#membersOf(network);
      if (network.driver === "bridge" && members.length > 0) faults.push(...this.#repairBridge(network, members));
    }
    const expected = this.state();
    if (expected.networks.length === 0 && !this.firewall.isThere()) return faults;
    const differences = firewallDifferences(this.firewall.read(), expected);
    if (differences.length > 0) this.firewall.rebuild(expected);
    return [...faults, ...differences];
  }

  #repairBridge(network: NetworkRecord, members: readonly Attachment[]): string[] {
    const faults: string[] = [];
    const { device, name } = network;
    if (findLink(this.socket, device)?.isUp !== true)
      faults.push(`the bridge ${device} of network ${name} was not there`);
    const strays = this.#reconnect(members, this.#ensureBridge(network));
    for (const { addresses } of strays) {
      faults.push(`the container at ${addresses.join(", ")} was not connected to network ${name}`);
    }
    return faults;
  }

  /** Connects containers to the bridge of their network again. @returns those that were not */
  #reconnect(members: readonly Attachment[], bridge: Link): Attachment[] {
    return members.filter(({ port }) => {
      const link = port === undefined ? undefined : findLink(this.socket, port);
      if (port === undefined || link === undefined || link.bridge === bridge.index) return false;
      setBridge(this.socket, link.index, port, bridge.index);
      if (mustPortsReflect()) this.socket.carryOut([reflectionOrder(port)]);
      return true;
    });
  }

  #membersOf({ id }: NetworkRecord): Attachment[] {
    const attachments = this.#store.endpoints.list().flatMap((endpoint) => endpoint.attachments);
    return attachments.filter(({ networkId }) => networkId === id);
  }

  /** Takes a network's bridge away, and what the firewall knows of it. For the holder of the host's lock. */
  removeBridge(network: NetworkRecord): void {
    const link = findLink(this.socket, network.device);
    if (this.firewall.isThere()) this.firewall.removeNetwork(firewallNetwork(network));
    if (link === undefined) return;
    // Of containers that have ended: a connection that nobody answers any more may keep a namespace for minutes.
    for (const port of listLinks(this.socket)) {
      if (port.bridge === link.index) ignoreAbsence(() => removeLink(this.socket, port, port.name));
    }
    removeLink(this.socket, link, network.device);
  }

  [Symbol.dispose](): void {
    this.socket[Symbol.dispose]();
    this.#firewall?.[Symbol.dispose]();
  }
}

/** The kernel may just have removed the device. */
function ignoreAbsence(deed: () => void): void {
  try {
    deed();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== errnos.ENODEV) throw error;
  }
}

/** What the firewall has to know of a network. */
export function firewallNetwork({ device, subnets, internal, options }: NetworkRecord): FirewallNetwork {
  return {
    bridge: device,
    subnets: subnets.map(({ subnet }) => subnet),
    isInternal: internal,
    masquerades: !internal && options["com.docker.network.bridge.enable_ip_masquerade"] !== "false",
  };
}
