import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import type { Contender, Row } from "./alternate.ts";
import { mustRun, outputOf } from "./command.ts";
import { type Docker, startDocker } from "./docker.ts";
import type { RateRow } from "./report.ts";
import type { Runner } from "./runner.ts";
import { gockerWords, ownDirectory, podmanWords, type Setting } from "./setting.ts";
import { summarise } from "./statistics.ts";
import { ownLimits, type WarmImage } from "./warm.ts";

/** An engine in a network namespace of its own, whose bridge, addresses and firewall end with it. */
interface NetworkedEngine {
  readonly name: string;
  readonly runner: Runner;
  /** How a program begins that is in the namespace. */
  readonly by: readonly string[];
  /** The engine's own words before the verb. */
  readonly words: readonly string[];
  /** The words after the verb of whatever makes a container. */
  readonly flags: readonly string[];
}

/** Networks for the engines, as long as they are not disposed of. */
export interface BenchNetworks extends AsyncDisposable {
  readonly engines: readonly NetworkedEngine[];
  /** Undefined where it is not installed. */
  readonly docker: Docker | undefined;
}

/**
 * Makes a network namespace for each engine: with a loopback, and a device towards an outside that nobody is in. The
 * machine's own network is neither used nor changed.
 */
export async function prepareNetworks(setting: Setting, image: WarmImage): Promise<BenchNetworks> {
  const { store } = image;
  await using stack = new AsyncDisposableStack();
  const [forGocker, forPodman] = [stack.use(await openNamespace()), stack.use(await openNamespace())];
  const { by } = stack.use(await openNamespace());
  const docker = stack.use(await startDocker(setting, image, { name: "bridge", by, options: {} }));
  const owned = stack.move();
  return {
    engines: [
      { name: "gocker", runner: setting.host, by: forGocker.by, words: gockerWords(setting, store), flags: [] },
      {
        name: "podman",
        runner: setting.peers,
        by: forPodman.by,
        words: podmanWords(store),
        flags: ["--cgroup-parent", setting.cgroupParent, ...ownLimits()],
      },
      ...(docker === undefined ? [] : [{ name: "docker", runner: docker.runner, by, words: docker.words, flags: [] }]),
    ],
    docker,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openNamespace(): Promise<{ readonly by: string[] } & AsyncDisposable> {
  const setUp = [
    "ip link set lo up",
    "ip link add outside type veth peer name beyond",
    "ip addr add 192.0.2.1/24 dev outside",
    "ip link set beyond up",
    "ip link set outside up",
    "ip route add default via 192.0.2.2",
    "echo 1 >/proc/sys/net/ipv4/ip_forward",
  ];
  const script = `set -e; ${setUp.join("; ")}; echo ready; exec cat >/dev/null`;
  const holder = Bun.spawn(["unshare", "--net", "sh", "-c", script], { stdin: "pipe", stdout: "pipe" });
  const { done } = await holder.stdout.getReader().read();
  if (done) throw new Error("a network namespace cannot be made: are util-linux and iproute2 installed?");
  return {
    by: ["nsenter", `--net=/proc/${holder.pid}/ns/net`],
    [Symbol.asyncDispose]: async () => {
      await holder.stdin.end();
      await holder.exited;
    },
  };
}

/** `run --rm IMAGE true` with a bridge and without a network. gocker's with a bridge first. */
export function networkContenders({ engines }: BenchNetworks, { reference }: WarmImage): Contender[] {
  return engines.flatMap(({ name, runner, by, words, flags }) =>
    ["bridge", "none"].map((network) => ({
      name: `${name} run --network ${network}`,
      runner,
      words: [...by, ...words, "run", "--rm", "--network", network, ...flags, reference, "true"],
    })),
  );
}

/** What a bridge costs each engine: the medians' difference. */
export function networkCosts(rows: readonly Row[]): string[] {
  return ["gocker", "podman", "docker"].flatMap((name) => {
    const median = (network: string) =>
      rows.find((row) => row.name === `${name} run --network ${network}`)?.wall?.median;
    const [bridge, none] = [median("bridge"), median("none")];
    return bridge === undefined || none === undefined
      ? []
      : [`${name}'s bridge costs ${(bridge - none).toFixed(1)} ms`];
  });
}

/** An image of iperf3 with its libraries, which every engine has pulled. @throws Error it is not installed */
export async function prepareIperfImage(
  setting: Setting,
  { docker }: BenchNetworks,
  { store }: WarmImage,
): Promise<string> {
  const [busybox, iperf] = [Bun.which("busybox"), Bun.which("iperf3")];
  if (busybox === null || iperf === null) throw new Error("busybox-static and iperf3 are not both installed");
  const root = ownDirectory(setting, "rootfs-iperf3");
  for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp"]) mkdirSync(join(root, name));
  copyFileSync(busybox, join(root, "bin/sleep"));
  const libraries = [...(outputOf("ldd", iperf) ?? "").matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? []);
  for (const path of libraries) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
  copyFileSync(iperf, join(root, "bin/iperf3"));
  const layer = join(setting.directory, "iperf3.tar.gz");
  await mustRun("tar", "-C", root, "--numeric-owner", "-czf", layer, ".");
  await setting.registry.pushImage("bench/iperf3:1", { layers: [layer], config: { Cmd: ["iperf3", "-s"] } });
  const reference = `${setting.registry.address}/bench/iperf3:1`;
  await setting.host.run({ words: [...gockerWords(setting, store), "pull", "-q", reference] }, { memory: false });
  const podman = [...podmanWords(store), "pull", "-q", "--tls-verify=false", reference];
  if (Bun.which("podman") !== null) await setting.peers.run({ words: podman }, { memory: false });
  await docker?.importImage(root, reference);
  return reference;
}

const [serverName, clientName] = ["bench-server", "bench-client"];

/** Seconds of each transfer. */
const transferTime = 2;

const directions = {
  "host to container": (engine: NetworkedEngine, address: string) => transfer(engine.by, address),
  "container to host": (engine: NetworkedEngine, address: string) => [...transfer(engine.by, address), "-R"],
  "container to container": (engine: NetworkedEngine, address: string) =>
    transfer([...engine.by, ...engine.words, "exec", clientName], address),
} as const satisfies Record<string, (engine: NetworkedEngine, address: string) => string[]>;

function transfer(by: readonly string[], address: string): string[] {
  return [...by, "iperf3", "-c", address, "-t", String(transferTime), "-J"];
}

/**
 * Measures what goes through one connection of TCP, engine after engine in each round.
 * @returns rows by direction
 */
export async function measureThroughput(
  setting: Setting,
  { engines }: BenchNetworks,
  reference: string,
  { rounds, onRound, signal }: { rounds: number; onRound: (round: number) => void; signal: AbortSignal },
): Promise<Map<string, RateRow[]>> {
  await using stack = new AsyncDisposableStack();
  const servers = new Map<NetworkedEngine, string>();
  const problems = new Map<NetworkedEngine, string>();
  for (const engine of engines) {
    try {
      servers.set(engine, await startPair(setting, engine, reference, stack));
    } catch (error) {
      problems.set(engine, error instanceof Error ? error.message : String(error));
    }
  }
  const rates = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    onRound(round + 1);
    for (const [direction, words] of Object.entries(directions)) {
      for (const [engine, address] of round % 2 === 0 ? servers : [...servers].toReversed()) {
        signal.throwIfAborted();
        const key = `${engine.name} ${direction}`;
        rates.set(key, [...(rates.get(key) ?? []), rateOf(await outputOfRun(setting, engine, words(engine, address)))]);
      }
    }
  }
  return new Map(
    Object.keys(directions).map((direction) => [
      direction,
      engines.map((engine) => {
        const problem = problems.get(engine);
        if (problem !== undefined) return { name: engine.name, problem };
        return { name: engine.name, bytesPerSecond: summarise(rates.get(`${engine.name} ${direction}`) ?? []) };
      }),
    ]),
  );
}

/** Starts a container that serves and one that asks. @returns the address of the first, when it serves */
async function startPair(
  setting: Setting,
  engine: NetworkedEngine,
  reference: string,
  stack: AsyncDisposableStack,
): Promise<string> {
  const { runner, by, words, flags } = engine;
  const run = (...rest: string[]) => runner.run({ words: [...by, ...words, ...rest] }, { memory: false });
  const start = async (name: string, ...command: string[]) => {
    await run("run", "-d", "--name", name, "--network", "bridge", ...flags, reference, ...command);
    stack.defer(async () => {
      await run("rm", "-f", name);
    });
  };
  await start(serverName, "iperf3", "-s");
  await start(clientName, "sleep", "9999");
  const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  const address = await outputOfRun(setting, engine, [...by, ...words, "inspect", "-f", format, serverName]);
  const script = 'i=0; until "$@"; do i=$((i+1)); test $i -lt 100 || exit; sleep 0.05; done';
  const first = [...by, "iperf3", "-c", address.trim(), "-t", "1"];
  await runner.run({ words: ["sh", "-c", script, "sh", ...first] }, { memory: false });
  return address.trim();
}

async function outputOfRun(setting: Setting, { runner }: NetworkedEngine, words: readonly string[]): Promise<string> {
  const file = join(setting.directory, "output");
  await runner.run({ words: ["sh", "-c", 'exec "$@" >"$0"', file, ...words] }, { memory: false });
  return readFileSync(file, "utf8");
}

/** What has arrived, in bytes per second. */
function rateOf(report: string): number {
  const { end } = JSON.parse(report) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 8;
}
