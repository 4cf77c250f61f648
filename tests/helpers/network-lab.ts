import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createSandbox, type GockerOptions, gockerBinary, type Sandbox } from "./binary.ts";
import { corpusPath, hasCorpus } from "./corpus.ts";
import { canFilter, nft, setUp } from "./firewall-networks.ts";
import { NetworkNamespace } from "./network-namespace.ts";
import { NetworkPeer, NetworkPeers } from "./network-peer.ts";
import type { Outcome } from "./runner.ts";
import { until } from "./until.ts";

/** Whether containers can be in networks here: `describe.skipIf(!canConnect)`. */
export const canConnect = canFilter && hasCorpus && process.arch === "x64";
if (!canConnect)
  console.warn("networks of containers are not tested: that needs root, x86-64, the corpus and nftables");

/** A container that runs, and somebody in its network. */
export interface LabContainer {
  readonly id: string;
  readonly name: string;
  readonly pid: number;
  readonly peer: NetworkPeer;
  /** Its first address of IPv4, without the length of its prefix; of its first network. */
  readonly address: string;
}

/** The part of `gocker inspect` that is about networks. */
export interface NetworkFacts {
  readonly Ports: Readonly<Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>>;
  readonly Networks: Readonly<
    Record<
      string,
      {
        readonly IPAddress: string;
        readonly IPPrefixLen: number;
        readonly Gateway: string;
        readonly MacAddress: string;
        readonly GlobalIPv6Address: string;
        readonly IPv6Gateway: string;
        readonly NetworkID: string;
        readonly Aliases: readonly string[] | null;
      }
    >
  >;
}

/**
 * A host of the test's own on which gocker runs, and another machine that is all of the internet to it: the host is
 * 192.0.2.1 and 2001:db8:1::1, the other one 192.0.2.2 and 2001:db8:1::2, which knows nothing of what is behind the host,
 * and answers at port 80 and as a name server. Their cable takes packets of 1400 bytes.
 */
export class NetworkLab extends AsyncDisposableStack {
  readonly sandbox: Sandbox;
  readonly host: NetworkNamespace;
  readonly outside: NetworkNamespace;
  readonly atHost: NetworkPeer;
  readonly atOutside: NetworkPeer;
  readonly #peers: NetworkPeers;
  /** Where containers' peers may listen. */
  readonly #namespaces = new Map<string, string>();
  #image = "";

  private constructor(sandbox: Sandbox, peers: NetworkPeers, host: NetworkNamespace, outside: NetworkNamespace) {
    super();
    this.sandbox = sandbox;
    this.host = host;
    this.outside = outside;
    this.#peers = peers;
    this.atHost = this.peerAt(host.path);
    this.atOutside = this.peerAt(outside.path);
  }

  static async create(): Promise<NetworkLab> {
    await using made = new AsyncDisposableStack();
    const host = made.use(await NetworkNamespace.create());
    const outside = made.use(await NetworkNamespace.create());
    const peers = made.use(new NetworkPeers());
    const sandbox = made.use(await createSandbox());
    const lab = new NetworkLab(sandbox, peers, host, outside);
    await lab.#cable();
    const archive = corpusPath("images/busybox-1.37.0-musl-amd64.oci.tar");
    const { stderr, exitCode } = await sandbox.gocker(["load", "-q", "-i", archive]);
    if (exitCode !== 0) throw new Error(`gocker load: ${stderr}`);
    lab.#image = (await sandbox.gocker(["images", "-q"])).stdout.trim();
    lab.use(made.move());
    return lab;
  }

  /** One with the programs of busybox. */
  get image(): string {
    return this.#image;
  }

  async #cable(): Promise<void> {
    const settings = ["ipv6/conf/default/accept_dad=0", "ipv6/conf/all/accept_dad=0", "ipv4/ip_forward=0"];
    await setUp(
      this.host,
      [
        "link set lo up",
        `link add wan mtu 1400 type veth peer name eth0 mtu 1400 netns ${this.outside.path}`,
        "addr add 192.0.2.1/24 dev wan",
        "addr add 2001:db8:1::1/64 dev wan nodad",
        "link set wan up",
      ],
      settings,
    );
    await setUp(
      this.outside,
      [
        "link set lo up",
        "addr add 192.0.2.2/24 dev eth0",
        "addr add 2001:db8:1::2/64 dev eth0 nodad",
        "link set eth0 up",
      ],
      settings,
    );
    await setUp(this.host, ["route add default via 192.0.2.2", "route add default via 2001:db8:1::2"]);
    for (const protocol of ["tcp", "udp"] as const) await this.atOutside.listen(protocol, 80, "outside");
    await this.atOutside.serveNames("192.0.2.53");
  }

  /** Somebody in a network namespace. @param path the kernel's, such as `/proc/1/ns/net` */
  peerAt(path: string): NetworkPeer {
    return new NetworkPeer(this.#peers, path);
  }

  /** Runs gocker on the host: containers that ask for no network are in its default one. */
  async gocker(words: readonly string[], options: GockerOptions = {}): Promise<Outcome> {
    const env = { GOCKER_NETWORK: "", ...options.env };
    const { stdout, stderr, exitCode } = await this.sandbox.gocker(words, { ...options, by: this.host.by, env });
    return { stdout, stderr, exitCode };
  }

  /** Runs gocker, which must do what it is told without a word of complaint. @returns what it says */
  async must(...words: readonly string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await this.gocker(words);
    const complaints = stderr.split("\n").filter((line) => line !== "" && !line.includes("forwarding of IPv"));
    expect({ words, complaints, exitCode }).toEqual({ words, complaints: [], exitCode: 0 });
    return stdout;
  }

  /** Runs gocker, which must refuse what it is told. @returns the sentence with which it does */
  async refused(...words: readonly string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await this.gocker(words);
    expect({ words, stdout, exitCode }).toEqual({ words, stdout: "", exitCode: 125 });
    return stderr.split("\n", 1)[0] ?? "";
  }

  /** Starts gocker with pipes and leaves it running. */
  start(words: readonly string[]) {
    return Bun.spawn([...this.host.by, gockerBinary(), ...words], {
      env: { PATH: process.env["PATH"] ?? "", ...this.sandbox.environment, GOCKER_NETWORK: "" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Starts a container that does nothing, in the background. @param words options of `run` */
  async container(name: string, ...words: readonly string[]): Promise<LabContainer> {
    await this.must("run", "-d", "--name", name, ...words, this.image, "sleep", "10000");
    return await this.running(name);
  }

  /** What is known of a container that runs. */
  async running(name: string): Promise<LabContainer> {
    const facts = await this.inspect(name, "{{.State.Pid}} {{.Id}}");
    const [pid = "", id = ""] = facts.split(" ");
    const { Networks } = await this.networksOf(name);
    const address = Object.values(Networks)[0]?.IPAddress ?? "";
    const path = `/proc/${pid}/ns/net`;
    this.#namespaces.set(path, name);
    return { id, name, pid: Number(pid), peer: this.peerAt(path), address };
  }

  async inspect(name: string, template: string): Promise<string> {
    return (await this.must("inspect", "-f", template, name)).trim();
  }

  async networksOf(name: string): Promise<NetworkFacts> {
    return JSON.parse(await this.inspect(name, "{{json .NetworkSettings}}")) as NetworkFacts;
  }

  /** Nobody listens any more in the network of a container; or of all. */
  async silence(name?: string): Promise<void> {
    const paths = [...this.#namespaces].filter(([, whose]) => name === undefined || whose === name);
    await this.#peers.close(paths.map(([path]) => path));
  }

  /** Removes containers, whether they run or not. */
  async remove(...names: readonly string[]): Promise<void> {
    for (const name of names) await this.silence(name);
    await this.must("rm", "-f", ...names);
  }

  /** Removes all containers and networks: what is left goes with {@link end}. */
  async clear(): Promise<void> {
    await this.silence();
    const ids = (await this.must("ps", "-aq")).split("\n").filter((id) => id !== "");
    if (ids.length > 0) await this.remove(...ids);
    await this.must("network", "prune", "-f");
    // The kernel takes its time with the devices of a network namespace that nobody is in.
    await this.untilLeft([]);
  }

  /** Waits until nothing is left of any container on the host; bridges and rules stay for a while. */
  async end(): Promise<void> {
    await this.clear();
    await until("bridges and rules are gone", async () => (await this.leftovers()).length === 0, 5_000);
    await until("who has removed them has ended", () => this.sandbox.processes().length === 0);
    await this.disposeAsync();
  }

  /** Waits until there is nothing on the host for containers but this, beside bridges and rules. */
  async untilLeft(expected: readonly string[]): Promise<void> {
    let left: string[] = [];
    const isExpected = async () => {
      left = (await this.leftovers()).filter((one) => !/^(?:gocker\d+|table inet gocker|forwarding of .*)$/.test(one));
      return Bun.deepEquals(left, expected);
    };
    // A connection that nobody answers any more keeps a network with its devices until the sweeper removes these.
    await until("nothing is left of containers", isExpected, 6_000).catch(() => expect(left).toEqual([...expected]));
  }

  /** What there is on the host because of containers: devices, rules, settings, and files of the run-time state. */
  async leftovers(): Promise<string[]> {
    const devices = await this.devices();
    const tables = (await nft(this.host, ["list", "tables"])).split("\n").filter((line) => line !== "");
    const forwarding = await this.setting("ipv4/ip_forward");
    const forwarding6 = await this.setting("ipv6/conf/all/forwarding");
    return [
      ...devices,
      ...tables,
      ...(forwarding === "0" ? [] : ["forwarding of IPv4"]),
      ...(forwarding6 === "0" ? [] : ["forwarding of IPv6"]),
      ...this.leases(),
      ...filesIn(`${this.sandbox.state}/networks/endpoints`),
    ];
  }

  /** Addresses in use, as `NETWORK/ADDRESS`. */
  leases(): string[] {
    const directory = `${this.sandbox.state}/networks/leases`;
    return filesIn(directory).flatMap((id) => filesIn(`${directory}/${id}`).map((address) => `${id}/${address}`));
  }

  /** A setting of the kernel's for the host, below /proc/sys/net. */
  setting(name: string): Promise<string> {
    return this.#read(`/proc/sys/net/${name}`);
  }

  /** The names of the host's devices but for its loopback and its cable. proc_pid_net(5) */
  async devices(): Promise<string[]> {
    const text = await this.#read("/proc/self/net/dev");
    const names = Array.from(text.matchAll(/^\s*([^\s|:]+):/gm), ([, name = ""]) => name);
    return names.filter((name) => name !== "lo" && name !== "wan");
  }

  /** A file of the kernel's as it is to the host. */
  async #read(path: string): Promise<string> {
    const child = Bun.spawn([...this.host.by, "cat", path], { stdout: "pipe" });
    return (await child.stdout.text()).trim();
  }

  /** The process that looks after a container. */
  monitorOf({ pid }: Pick<LabContainer, "pid">): number {
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  }
}

function filesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
