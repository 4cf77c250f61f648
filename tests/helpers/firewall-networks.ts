import { closeSync, existsSync, openSync } from "node:fs";
import { NftablesSocket } from "../../src/linux/netlink/nftables/socket.ts";
import { inNetworkNamespace } from "../../src/linux/network-namespace.ts";
import { Firewall, type FirewallNetwork } from "../../src/network/firewall.ts";
import { canMakeNetworks, NetworkNamespace } from "./network-namespace.ts";
import { NetworkPeer, NetworkPeers } from "./network-peer.ts";

/** Whether there can be firewalls and traffic: `describe.skipIf(!canFilter)`. */
export const canFilter = canMakeNetworks && ["nft", "python3"].every((program) => Bun.which(program) !== null);
if (!canFilter) console.warn("the firewall is not tested: that needs root, iproute2, nftables and python3");

/** A namespace, and somebody in it. */
export interface Place {
  readonly namespace: NetworkNamespace;
  readonly peer: NetworkPeer;
}

/** The firewall of a network namespace. */
export async function firewallIn(namespace: NetworkNamespace): Promise<Firewall> {
  const descriptor = openSync(namespace.path, "r");
  try {
    return new Firewall(inNetworkNamespace(descriptor, () => NftablesSocket.open()));
  } finally {
    closeSync(descriptor);
  }
}

/** Runs nft(8) in there. @returns what it says; @throws what it complains of */
export async function nft(namespace: NetworkNamespace, words: string[], input = ""): Promise<string> {
  const run = Bun.spawn([...namespace.by, "nft", ...words], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([run.stdout.text(), run.stderr.text()]);
  if (stderr !== "" || (await run.exited) !== 0) throw new Error(`nft ${words.join(" ")}: ${stderr}`);
  return stdout;
}

/** Runs commands of ip(8), and writes settings below /proc/sys/net, in a namespace. */
export async function setUp(namespace: NetworkNamespace, commands: string[], settings: string[] = []): Promise<void> {
  const writes = settings.map((setting) => {
    const [name = "", value = ""] = setting.split("=");
    return `echo ${value} >/proc/sys/net/${name}`;
  });
  const script = ["set -e", ...writes, "exec ip -batch -"].join("\n");
  const run = Bun.spawn([...namespace.by, "sh", "-c", script], {
    stdin: Buffer.from(commands.join("\n")),
    stderr: "pipe",
  });
  const stderr = await run.stderr.text();
  if ((await run.exited) !== 0) throw new Error(`cannot set up a network: ${stderr}`);
}

/** Whether bridges call the firewall for what they forward: the module br_netfilter, where the kernel has it. */
export const bridgeCalls = ["iptables", "ip6tables"].map((name) => `bridge/bridge-nf-call-${name}`);
export const canBridgesCall = bridgeCalls.every((name) => existsSync(`/proc/sys/net/${name}`));
if (!canBridgesCall) console.warn("bridges that call the firewall are not tested: that needs the module br_netfilter");

/** Nobody asks whether an address is taken, which would take a second. */
const atOnce = ["ipv6/conf/default/accept_dad=0", "ipv6/conf/all/accept_dad=0"];

/** `a` and `b` masquerade and not; `c` has no way out. Their containers are `.2` and `.3`, or `::2` and `::3`. */
export const networks = {
  a: { bridge: "gocker0", subnets: ["10.77.0.0/16", "fd00:77::/64"], isInternal: false, masquerades: true },
  b: { bridge: "gocker1", subnets: ["10.78.0.0/16", "fd00:78::/64"], isInternal: false, masquerades: false },
  c: { bridge: "gocker2", subnets: ["10.79.0.0/16", "fd00:79::/64"], isInternal: true, masquerades: true },
} as const satisfies Record<string, FirewallNetwork>;

const numbers = { a: 77, b: 78, c: 79 } as const;
type NetworkName = keyof typeof networks;

/**
 * A host with three networks of two containers each, and two other hosts: `outside` at 192.0.2.2 and 2001:db8:1::2, and `far`
 * at 198.51.100.2 and 2001:db8:2::2. The host's own addresses there end in 1. They know that containers are behind the host.
 */
export class FirewallNetworks extends AsyncDisposableStack {
  readonly places = new Map<string, Place>();
  readonly #peers = this.use(new NetworkPeers());
  #host: { readonly place: Place; readonly firewall: Firewall } | undefined;

  static async create(): Promise<FirewallNetworks> {
    await using made = new AsyncDisposableStack();
    const all = made.use(new FirewallNetworks());
    await all.#make();
    made.move();
    return all;
  }

  get firewall(): Firewall {
    if (this.#host === undefined) throw new Error("there is no host yet");
    return this.#host.firewall;
  }

  /** Who is in a place: `host`, `outside`, `far`, `a2` or another container. */
  at(name: string): NetworkPeer {
    return this.#place(name).peer;
  }

  in(name: string): NetworkNamespace {
    return this.#place(name).namespace;
  }

  #place(name: string): Place {
    const place = this.places.get(name);
    if (place === undefined) throw new Error(`no such place: ${name}`);
    return place;
  }

  async #make(): Promise<void> {
    const containers = (Object.keys(networks) as NetworkName[]).flatMap((network) =>
      [2, 3].map((last) => ({ name: `${network}${last}`, network, last })),
    );
    const names = ["host", "outside", "far", ...containers.map(({ name }) => name)];
    await Promise.all(names.map((name) => this.#open(name)));
    const host = this.#place("host");
    this.#host = { place: host, firewall: this.use(await firewallIn(host.namespace)) };

    const bridges = (Object.keys(networks) as NetworkName[]).flatMap((network) => {
      const { bridge } = networks[network];
      const number = numbers[network];
      return [
        `link add ${bridge} type bridge`,
        `addr add 10.${number}.0.1/16 dev ${bridge}`,
        `addr add fd00:${number}::1/64 dev ${bridge} nodad`,
        `link set ${bridge} up`,
      ];
    });
    const links = ["outside", "far", ...containers.map(({ name }) => name)].map(
      (name) => `link add ${name} type veth peer name eth0 netns ${this.in(name).path}`,
    );
    await setUp(
      host.namespace,
      [
        "link set lo up",
        ...bridges,
        ...links,
        ...containers.map(({ name, network }) => `link set ${name} master ${networks[network].bridge} up`),
        "addr add 192.0.2.1/24 dev outside",
        "addr add 2001:db8:1::1/64 dev outside nodad",
        "link set outside up",
        "addr add 198.51.100.1/24 dev far",
        "addr add 2001:db8:2::1/64 dev far nodad",
        "link set far up",
      ],
      [
        ...atOnce,
        "ipv4/conf/default/route_localnet=1",
        "ipv4/ip_forward=1",
        "ipv6/conf/all/forwarding=1",
        ...(canBridgesCall ? bridgeCalls : []).map((name) => `${name}=0`),
      ],
    );
    // As it is for devices that are no bridges.
    await setUp(
      host.namespace,
      [],
      ["outside", "far"].map((name) => `ipv4/conf/${name}/route_localnet=0`),
    );
    await Promise.all([
      ...containers.map(({ name, network, last }) => {
        const number = numbers[network];
        return this.#address(name, [`10.${number}.0.${last}/16`, `fd00:${number}::${last}/64`], number);
      }),
      this.#address("outside", ["192.0.2.2/24", "2001:db8:1::2/64"]),
      this.#address("far", ["198.51.100.2/24", "2001:db8:2::2/64"]),
    ]);
    const everywhere = [...containers.map(({ name }) => name), "outside", "far"];
    await Promise.all(
      everywhere.flatMap((name) =>
        (["tcp", "udp"] as const).map((protocol) => this.at(name).listen(protocol, 80, name)),
      ),
    );
  }

  async #open(name: string): Promise<void> {
    const namespace = this.use(await NetworkNamespace.create());
    this.places.set(name, { namespace, peer: new NetworkPeer(this.#peers, namespace.path) });
  }

  /** Its default route is the host: by a bridge, or by the network that the two share. */
  #address(name: string, [address4 = "", address6 = ""]: string[], number?: number): Promise<void> {
    const gateway4 = number === undefined ? address4.replace(".2/24", ".1") : `10.${number}.0.1`;
    const gateway6 = number === undefined ? address6.replace("::2/64", "::1") : `fd00:${number}::1`;
    return setUp(
      this.in(name),
      [
        `addr add ${address4} dev eth0`,
        `addr add ${address6} dev eth0 nodad`,
        "link set eth0 up",
        `route add default via ${gateway4}`,
        `route add default via ${gateway6}`,
        // What no kernel that has a loopback would send.
        `route add 127.0.0.0/8 via ${gateway4}`,
      ],
      [...atOnce, "ipv4/conf/eth0/route_localnet=1"],
    );
  }
}
