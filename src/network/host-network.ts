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
import { forwardingOf } from "./forwarding.ts";
import { readDefaultNetworkConfig } from "./config.ts";
import { defaultSubnets } from "./default-network.ts";
import { askedMtu } from "./mtu.ts";
import type { NetworkStore } from "./networks.ts";
import { mustPortsReflect } from "./own-ports.ts";
import { firewallPublications, type Publication } from "./publication.ts";
import type { NetworkRecord } from "./record.ts";
import { defaultNetworkName } from "./record.ts";
import { bridgeNumbers, gatewayOf, subnetsOf, subnetsOfHost } from "./subnets.ts";

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
    const made = this.ensureBridge(current);
    this.#ensureFirewall(current);
    // Somebody may have removed the bridge while containers were connected to it.
    if (!wasThere) for (const { attachment } of this.membersOf(current)) this.reconnect(attachment, made);
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
        hint: `\`ip -d link show ${device}\` tells what it is: somebody else's, or of a gocker with another root directory`,
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

  /**
   * The bridge of a network as it has to be: what of it is there stays. For the holder of the host's lock, when no device of
   * others has its name.
   */
  ensureBridge(network: NetworkRecord): Link {
    const { device, internal } = network;
    const gateways = gatewaysOf(network);
    if (this.bridged().length === 0) this.#forgetEnded();
    const before = findLink(this.socket, device);
    if (before === undefined) {
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
        // It has it.
        if (!(error instanceof SystemCallError) || error.errno !== errnos.EEXIST) throw error;
      }
    }
    if (!link.isUp) setLinkUp(this.socket, link.index, device, true);
    if (internal) return link;
    this.#forward(gateways.map(({ address }) => address.family));
    if (!link.isUp) {
      this.#made.push(device);
      this.tellObstacles(device);
    }
    return link;
  }

  /**
   * Lets published ports be reached by 127.0.0.1, where there are any in a network. The firewall keeps containers from the
   * host's loopback then, but others may remove that (`nft flush ruleset`): so it is not the firewall's to do where nobody
   * needs it. For the holder of the host's lock, when what is published is on record.
   * @param leaving a container whose ports do not count any more
   */
  leadLoopback(network: NetworkRecord, leaving?: string): void {
    writeSysctl(leadsLoopback(network), this.hasPorts(network, leaving) ? "1" : "0");
  }

  /** Whether there are published ports in a network. @param leaving see {@link leadLoopback} */
  hasPorts({ id }: NetworkRecord, leaving?: string): boolean {
    return this.#store.endpoints
      .list()
      .some(
        ({ container, publications, attachments }) =>
          container !== leaving && publications.length > 0 && attachments.some(({ networkId }) => networkId === id),
      );
  }

  #configureBridge(device: string, hasIpv6: boolean): void {
    // A container must not be able to tell the host where to send its packets (CVE-2020-13401).
    writeSysctl(`net/ipv6/conf/${device}/accept_ra`, "0");
    // Nobody else can have the bridge's own address of its link: until the kernel has made sure of that, a second or two, the
    // host would not ask for containers there. ip-sysctl.rst, "accept_dad"
    writeSysctl(`net/ipv6/conf/${device}/accept_dad`, "0");
    if (!hasIpv6) writeSysctl(`net/ipv6/conf/${device}/disable_ipv6`, "1");
  }

  #mtuFor(network: NetworkRecord): number {
    const asked = askedMtu(network);
    if (asked !== undefined) return asked;
    const uplink = uplinkOf(this.socket, 4) ?? uplinkOf(this.socket, 6);
    if (uplink === undefined) return usualMtu;
    return listLinks(this.socket).find(({ index }) => index === uplink)?.mtu ?? usualMtu;
  }

  /** Nothing leaves a bridge for another device before the kernel forwards packets, which it does for the host as a whole. */
  #forward(families: readonly (4 | 6)[]): void {
    for (const family of new Set(families)) {
      const setting = forwardingOf(family);
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
  tellObstacles(device: string): void {
    const [first] = this.firewall.obstacles();
    if (first === undefined) return;
    this.#warn(
      `another firewall (${first}) forwards only what it knows: if containers do not get out, tell it to let ${device} through ` +
        `(for iptables: iptables -I FORWARD -i ${device} -j ACCEPT; iptables -I FORWARD -o ${device} -j ACCEPT)`,
    );
  }

  /** A host that forwards takes no routes from routers any more, unless it is told to: its own way out would end. */
  #keepRouterAdvertisements(): void {
    const devices = listLinks(this.socket).flatMap(({ name }) =>
      readSysctl(acceptsRoutes(name)) === "1" ? [name] : [],
    );
    this.#store.markRouterAdvertisements(devices);
    for (const name of devices) writeSysctl(acceptsRoutes(name), "2");
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
      publications: [...this.#publications(), ...others.publications],
      confinesForwarding: this.#withSwitched(others.confinesForwarding),
    };
  }

  /**
   * The families that are forwarded since a gocker has told the kernel to: this one, or another one that may have ended
   * before, of which the firewall tells.
   */
  switchedForwarding(): (4 | 6)[] {
    return this.#withSwitched(this.firewall.read()?.confinesForwarding ?? []);
  }

  #withSwitched(confined: readonly (4 | 6)[]): (4 | 6)[] {
    const own = this.#store.switchedForwarding();
    return ([4, 6] as const).filter((family) => own.includes(family) || confined.includes(family));
  }

  /**
   * Forgets that this gocker has had packets forwarded, when it has no bridge any more and no rule confines that: the last of
   * several gockers has ended it, and what is forwarded since is somebody else's to decide.
   */
  #forgetEnded(): void {
    const own = this.#store.switchedForwarding();
    if (own.length === 0) return;
    const confined = this.firewall.read()?.confinesForwarding ?? [];
    for (const family of own) if (!confined.includes(family)) this.#store.unmarkForwarding(family);
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
  others(): FirewallState {
    const { networks, publications, confinesForwarding } = this.firewall.read() ?? nothing;
    const bridges = new Set(listLinks(this.socket).flatMap(({ name, alias }) => (alias === undefined ? [] : [name])));
    const own = new Set(this.bridged().map(({ device }) => device));
    const others = networks.filter(({ bridge }) => bridges.has(bridge) && !own.has(bridge));
    if (others.length === 0) return nothing;
    const subnets = others.flatMap((network) => network.subnets.flatMap((text) => parseSubnet(text) ?? []));
    const ownPassed = new Set(this.#publications().map(passedPort));
    return {
      networks: others,
      publications: publications.filter((publication) => {
        const address = parseIpAddress(publication.containerAddress);
        if (address === undefined) return !ownPassed.has(passedPort(publication));
        return subnets.some((subnet) => isInSubnet(address, subnet));
      }),
      confinesForwarding,
    };
  }

  #publications(): Publication[] {
    return this.#store.endpoints.list().flatMap(firewallPublications);
  }

  /** Connects a container to the bridge of its network again. For the holder of the host's lock. @returns whether it was not */
  reconnect({ port }: Attachment, bridge: Link): boolean {
    const link = port === undefined ? undefined : findLink(this.socket, port);
    if (port === undefined || link === undefined) return false;
    if (link.bridge === bridge.index && link.isUp) return false;
    if (link.bridge !== bridge.index) setBridge(this.socket, link.index, port, bridge.index);
    if (!link.isUp) setLinkUp(this.socket, link.index, port, true);
    if (mustPortsReflect()) this.socket.carryOut([reflectionOrder(port)]);
    return true;
  }

  /** The containers of a network. */
  membersOf({ id }: NetworkRecord): { readonly name: string; readonly attachment: Attachment }[] {
    return this.#store.endpoints
      .list()
      .flatMap(({ name, attachments }) => attachments.map((attachment) => ({ name, attachment })))
      .filter(({ attachment }) => attachment.networkId === id);
  }

  /**
   * Ends that the host forwards what gocker has had it forward, and what came with that. For the holder of the host's lock,
   * when there is no container in a network.
   * @param families see {@link switchedForwarding}
   */
  endForwarding(families: readonly (4 | 6)[]): void {
    for (const family of families) {
      writeSysctl(forwardingOf(family), "0");
      this.#store.unmarkForwarding(family);
    }
    for (const name of this.#store.routerAdvertisements()) {
      // It may be gone, or somebody may have set it otherwise.
      if (readSysctl(acceptsRoutes(name)) === "2") writeSysctl(acceptsRoutes(name), "1");
    }
    this.#store.unmarkRouterAdvertisements();
  }

  /** Takes a network's bridge away, and what the firewall knows of it. For the holder of the host's lock. */
  removeBridge(network: NetworkRecord): void {
    const link = findLink(this.socket, network.device);
    // A device of that name may be somebody else's.
    if (link === undefined || !isBridgeOf(link, network)) return;
    if (this.firewall.isThere()) this.firewall.removeNetwork(firewallNetwork(network));
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

const nothing: FirewallState = { networks: [], publications: [], confinesForwarding: [] };

/** A port that gocker passes on: on all addresses of a family, so that nobody else has it. */
function passedPort({ hostAddress, hostPort, protocol }: Publication): string {
  return `${hostAddress} ${hostPort} ${protocol}`;
}

/** The kernel may just have removed the device. */
function ignoreAbsence(deed: () => void): void {
  try {
    deed();
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errno !== errnos.ENODEV) throw error;
  }
}

/** The host's addresses in a network. */
export function gatewaysOf({ subnets }: NetworkRecord) {
  return subnets.flatMap(({ subnet, gateway }) => gatewayOf(subnet, gateway) ?? []);
}

/** The kernel's setting by which addresses of the loopback can be led to a bridge. */
export function leadsLoopback({ device }: Pick<NetworkRecord, "device">): string {
  return `net/ipv4/conf/${device}/route_localnet`;
}

/** That by which a device takes routes from routers: 1 unless the host forwards, 2 in any case. */
function acceptsRoutes(device: string): string {
  return `net/ipv6/conf/${device}/accept_ra`;
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
