import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { runFlags } from "../../src/cli/commands/run/flags.ts";
import { runOptions } from "../../src/cli/commands/run/options.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { resolveUserEnvironment } from "../../src/container/environment.ts";
import type { MountOption } from "../../src/container/options.ts";
import type { ResourceOptions } from "../../src/container/resource-options.ts";
import type { RunOptions } from "../../src/engine/options.ts";
import { dockerFlagLines } from "../helpers/docker-flag-lines.ts";
import { TemporaryDirectory } from "../helpers/temporary.ts";

// The same words for `gocker run` and for the real docker command line, which gets a daemon that only listens: what
// the one asks of its engine is what the other asks of its daemon.

const docker = Bun.which("docker");
if (docker === null) console.warn("the comparison with docker's flags is skipped: there is no docker command line");

/** The part of the body of POST /containers/create that gocker has too. */
interface CreateRequest {
  Image: string;
  Cmd: string[] | null;
  Entrypoint?: string[] | null;
  Env: string[] | null;
  Labels: Record<string, string> | null;
  User: string;
  WorkingDir: string;
  Hostname: string;
  Domainname: string;
  StopSignal?: string;
  StopTimeout?: number;
  ExposedPorts?: Record<string, object>;
  Healthcheck?: {
    Test?: string[] | null;
    Interval?: number;
    Timeout?: number;
    StartPeriod?: number;
    StartInterval?: number;
    Retries?: number;
  };
  Tty: boolean;
  OpenStdin: boolean;
  HostConfig: {
    AutoRemove: boolean;
    Binds: string[] | null;
    Mounts?: DockerMount[] | null;
    Tmpfs?: Record<string, string>;
    CapAdd: string[] | null;
    CapDrop: string[] | null;
    Privileged: boolean;
    ReadonlyRootfs: boolean;
    SecurityOpt: string[] | null;
    Ulimits: { Name: string; Soft: number; Hard: number }[] | null;
    ExtraHosts: string[] | null;
    Dns: string[] | null;
    GroupAdd: string[] | null;
    Init?: boolean;
    NetworkMode: string;
    Memory: number;
    MemorySwap: number;
    MemoryReservation: number;
    MemorySwappiness: number;
    OomKillDisable: boolean;
    OomScoreAdj: number;
    NanoCpus: number;
    CpuPeriod: number;
    CpuQuota: number;
    CpuShares: number;
    CpuRealtimePeriod: number;
    CpuRealtimeRuntime: number;
    CpusetCpus: string;
    CpusetMems: string;
    PidsLimit: number;
    BlkioWeight: number;
    BlkioWeightDevice: { Path: string; Weight: number }[];
    BlkioDeviceReadBps: DockerRate[];
    BlkioDeviceWriteBps: DockerRate[];
    BlkioDeviceReadIOps: DockerRate[];
    BlkioDeviceWriteIOps: DockerRate[];
    ShmSize: number;
    CgroupParent: string;
    IpcMode?: string;
    PidMode?: string;
    UTSMode?: string;
    CgroupnsMode?: string;
    DnsSearch: string[] | null;
    DnsOptions: string[] | null;
    Sysctls?: Record<string, string>;
    Annotations?: Record<string, string>;
    Devices: { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }[] | null;
    DeviceCgroupRules: string[] | null;
    LogConfig: { Type: string; Config: Record<string, string> | null };
    MaskedPaths?: string[] | null;
  };
}

interface DockerRate {
  Path: string;
  Rate: number;
}

interface DockerMount {
  Type: string;
  Source?: string;
  Target: string;
  ReadOnly?: boolean;
  BindOptions?: { Propagation?: string; NonRecursive?: boolean };
  VolumeOptions?: { NoCopy?: boolean };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number };
}

/** What both come to. */
interface Wish {
  image: string;
  words: string[];
  entrypoint: string | undefined;
  environment: string[];
  labels: Record<string, string>;
  user: string;
  directory: string;
  hostname: string;
  stopSignal: string;
  terminal: boolean;
  interactive: boolean;
  remove: boolean;
  mounts: string[];
  capabilities: { add: string[]; drop: string[] };
  privileged: boolean;
  readOnly: boolean;
  noNewPrivileges: boolean;
  seccomp: string;
  ulimits: string[];
  hosts: string[];
  dns: string[];
  groups: string[];
  init: boolean;
  network: string;
  limits: Record<string, unknown>;
  namespaces: { ipc: string; pid: string; uts: string; cgroup: string };
  domain: string;
  search: string[];
  resolverOptions: string[];
  sysctls: Record<string, string>;
  annotations: Record<string, string>;
  devices: string[];
  deviceRules: string[];
  log: { driver: string; options: Record<string, string> };
  stopTimeout: number | undefined;
  exposed: string[];
  healthcheck: Record<string, unknown>;
  unconfinedPaths: boolean;
}

let directory: TemporaryDirectory;
let server: ReturnType<typeof Bun.serve>;
let received: CreateRequest | undefined;

beforeAll(() => {
  directory = new TemporaryDirectory("docker-flags");
  server = Bun.serve({
    unix: join(directory.path, "docker.sock"),
    async fetch(request) {
      const path = new URL(request.url).pathname;
      if (path.endsWith("/_ping")) return new Response("OK", { headers: { "API-Version": "1.50", OSType: "linux" } });
      if (path.endsWith("/containers/create")) received = (await request.json()) as CreateRequest;
      return Response.json({ message: "heard" }, { status: 500 });
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  directory[Symbol.dispose]();
});

const environment = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", FROM_HOST: "from host" };

/** What docker asks for; undefined when it refuses the words itself. */
async function asDocker(words: readonly string[]): Promise<Wish | undefined> {
  received = undefined;
  // `create` has the flags of `run`, and does not look whether there is a terminal.
  const child = Bun.spawn([docker ?? "docker", "create", ...words], {
    cwd: directory.path,
    env: { ...environment, DOCKER_HOST: `unix://${join(directory.path, "docker.sock")}` },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  expect(await child.exited).not.toBe(0);
  return received === undefined ? undefined : dockerWish(received);
}

function dockerWish(request: CreateRequest): Wish {
  const { HostConfig: host } = request;
  const options = host.SecurityOpt ?? [];
  const entrypoint = request.Entrypoint ?? undefined;
  return {
    image: request.Image,
    words: request.Cmd ?? [],
    entrypoint: entrypoint === undefined ? undefined : (entrypoint[0] ?? ""),
    environment: lastOfEach(request.Env ?? []),
    labels: request.Labels ?? {},
    user: request.User,
    directory: request.WorkingDir,
    hostname: request.Hostname,
    stopSignal: request.StopSignal ?? "",
    terminal: request.Tty,
    interactive: request.OpenStdin,
    remove: host.AutoRemove,
    mounts: [
      ...(host.Binds ?? []).map((bind) => (bind.split(":").length === 2 ? `${bind}:` : bind)),
      ...(host.Mounts ?? []).map(dockerMount),
      ...Object.entries(host.Tmpfs ?? {}).map(([target, list]) => `tmpfs ${target} ${list}`),
    ].toSorted(),
    capabilities: { add: (host.CapAdd ?? []).toSorted(), drop: (host.CapDrop ?? []).toSorted() },
    privileged: host.Privileged,
    readOnly: host.ReadonlyRootfs,
    noNewPrivileges: options.some((option) => /^no-new-privileges(?:[=:]true)?$/.test(option)),
    seccomp: options.some((option) => /^seccomp[=:]unconfined$/.test(option)) ? "unconfined" : "default",
    ulimits: lastOfEach((host.Ulimits ?? []).map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`)),
    hosts: host.ExtraHosts ?? [],
    dns: host.Dns ?? [],
    groups: host.GroupAdd ?? [],
    init: host.Init ?? false,
    network: host.NetworkMode,
    limits: dockerLimits(host),
    namespaces: {
      ipc: host.IpcMode ?? "",
      pid: host.PidMode ?? "",
      uts: host.UTSMode ?? "",
      cgroup: host.CgroupnsMode ?? "",
    },
    domain: request.Domainname,
    search: host.DnsSearch ?? [],
    resolverOptions: host.DnsOptions ?? [],
    sysctls: host.Sysctls ?? {},
    annotations: host.Annotations ?? {},
    devices: (host.Devices ?? []).map((one) => `${one.PathOnHost} ${one.PathInContainer} ${one.CgroupPermissions}`),
    deviceRules: host.DeviceCgroupRules ?? [],
    log: { driver: host.LogConfig.Type, options: host.LogConfig.Config ?? {} },
    stopTimeout: request.StopTimeout,
    exposed: Object.keys(request.ExposedPorts ?? {}).toSorted(),
    healthcheck: withoutZeros({
      test: request.Healthcheck?.Test ?? [],
      interval: request.Healthcheck?.Interval,
      timeout: request.Healthcheck?.Timeout,
      startPeriod: request.Healthcheck?.StartPeriod,
      startInterval: request.Healthcheck?.StartInterval,
      retries: request.Healthcheck?.Retries,
    }),
    unconfinedPaths: Array.isArray(host.MaskedPaths) && host.MaskedPaths.length === 0,
  };
}

function dockerLimits(host: CreateRequest["HostConfig"]): Record<string, unknown> {
  const ofDevices = (list: readonly DockerRate[]) => list.map(({ Path, Rate }) => ({ path: Path, value: Rate }));
  const resources: Record<keyof ResourceOptions, unknown> = {
    memory: host.Memory,
    memorySwap: host.MemorySwap,
    memoryReservation: host.MemoryReservation,
    memorySwappiness: host.MemorySwappiness === -1 ? 0 : host.MemorySwappiness,
    oomKillDisable: host.OomKillDisable,
    cpus: host.NanoCpus / 1e9,
    cpuPeriod: host.CpuPeriod,
    cpuQuota: host.CpuQuota,
    cpuShares: host.CpuShares,
    cpuRtPeriod: host.CpuRealtimePeriod,
    cpuRtRuntime: host.CpuRealtimeRuntime,
    cpusetCpus: host.CpusetCpus,
    cpusetMems: host.CpusetMems,
    // Its daemon takes every other one for no limit.
    pidsLimit: Math.max(0, host.PidsLimit),
    blkioWeight: host.BlkioWeight,
    blkioWeightDevice: host.BlkioWeightDevice.map(({ Path, Weight }) => ({ path: Path, value: Weight })),
    deviceReadBps: ofDevices(host.BlkioDeviceReadBps),
    deviceWriteBps: ofDevices(host.BlkioDeviceWriteBps),
    deviceReadIops: ofDevices(host.BlkioDeviceReadIOps),
    deviceWriteIops: ofDevices(host.BlkioDeviceWriteIOps),
  };
  const others = { oomScoreAdj: host.OomScoreAdj, shmSize: host.ShmSize, cgroupParent: host.CgroupParent };
  return thoseGiven({ ...resources, ...others });
}

/** Docker sends 0 and its like for what is not given. */
function thoseGiven(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isGiven = (value: unknown) => (Array.isArray(value) ? value.length > 0 : Boolean(value));
  return Object.fromEntries(Object.entries(values).filter(([, value]) => isGiven(value)));
}

function withoutZeros(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== 0));
}

function dockerMount(mount: DockerMount): string {
  const { Type, Source = "", Target, ReadOnly = false, BindOptions, VolumeOptions, TmpfsOptions } = mount;
  if (Type === "tmpfs") {
    const { SizeBytes, Mode } = TmpfsOptions ?? {};
    const options = [
      ...(ReadOnly ? ["ro"] : []),
      ...(SizeBytes === undefined ? [] : [`size=${SizeBytes}`]),
      ...(Mode === undefined ? [] : [`mode=${Mode.toString(8)}`]),
    ];
    return `tmpfs ${Target} ${options.join(",")}`;
  }
  const remarks = [
    ...(ReadOnly ? ["ro"] : []),
    ...(BindOptions?.Propagation === undefined ? [] : [BindOptions.Propagation]),
    ...(BindOptions?.NonRecursive === true ? ["nonrecursive"] : []),
    ...(VolumeOptions?.NoCopy === true ? ["nocopy"] : []),
  ];
  return `${Type} ${Source} ${Target} ${remarks.join(",")}`;
}

/** What gocker asks for; undefined when it refuses the words. */
function asGocker(words: readonly string[]): Wish | undefined {
  let options: RunOptions;
  try {
    const { flags, operands } = parseFlags(words, runFlags, { command: "run", stopAtOperand: true });
    const [image = "", ...rest] = operands;
    options = runOptions(flags, [image, ...rest], {
      currentDirectory: directory.path,
      asDocker: true,
      network: "bridge",
    });
  } catch {
    return undefined;
  }
  const withPrefix = (names: readonly string[]) =>
    names.map((name) => (/^all$/i.test(name) ? "ALL" : `CAP_${name.toUpperCase().replace(/^CAP_/, "")}`)).toSorted();
  return {
    image: options.image,
    words: [...options.words],
    entrypoint: options.entrypoint,
    environment: lastOfEach(resolveUserEnvironment(options.environment, options.environmentFiles, environment)),
    labels: { ...options.labels },
    user: options.user ?? "",
    directory: options.workingDirectory ?? "",
    hostname: options.hostname ?? "",
    stopSignal: options.stopSignal ?? "",
    terminal: options.terminal,
    interactive: options.interactive,
    remove: options.remove,
    mounts: options.mounts.map(gockerMount).toSorted(),
    capabilities: { add: withPrefix(options.capAdd), drop: withPrefix(options.capDrop) },
    privileged: options.privileged,
    readOnly: options.readOnly,
    noNewPrivileges: options.noNewPrivileges,
    seccomp: typeof options.seccomp === "string" ? options.seccomp : "file",
    ulimits: lastOfEach(options.ulimits.map(({ name, soft, hard }) => `${name}=${soft}:${hard}`)),
    hosts: options.addHosts.map(({ name, address }) => `${name}:${address}`),
    dns: [...options.dns],
    groups: [...options.groupAdd],
    init: options.init,
    limits: gockerLimits(options),
    network: modeOf(options.network),
    namespaces: {
      ipc: modeOf(options.ipc),
      pid: modeOf(options.pid),
      uts: modeOf(options.uts),
      cgroup: modeOf(options.cgroupns),
    },
    domain: options.domainname ?? "",
    search: options.dnsSearch ?? [],
    resolverOptions: options.dnsOptions ?? [],
    sysctls: options.sysctls ?? {},
    annotations: options.annotations ?? {},
    devices: (options.devices ?? []).map(({ source, target, access }) => `${source} ${target} ${access}`),
    deviceRules: (options.deviceRules ?? []).map(
      ({ type, major = "*", minor = "*", access }) => `${type} ${major}:${minor} ${access}`,
    ),
    log: {
      // docker leaves its daemon's driver to that.
      driver: flagsOf(words)["log-driver"] ?? "",
      options: { ...options.log?.options },
    },
    stopTimeout: options.stopTimeout,
    exposed: (options.exposedPorts ?? []).toSorted(),
    healthcheck: withoutZeros({ test: [], ...options.healthcheck }),
    unconfinedPaths: options.unconfinedPaths ?? false,
  };
}

function gockerLimits({ resources = {}, oomScoreAdj, shmSize, cgroupParent }: RunOptions): Record<string, unknown> {
  const pidsLimit = Math.max(0, resources.pidsLimit ?? 0);
  return thoseGiven({ ...resources, pidsLimit, oomScoreAdj, shmSize, cgroupParent });
}

type Mode = string | { readonly container: string } | { readonly path: string } | undefined;

function modeOf(mode: Mode): string {
  if (mode === undefined || typeof mode === "string") return mode ?? "";
  return "container" in mode ? `container:${mode.container}` : `ns:${mode.path}`;
}

function flagsOf(words: readonly string[]) {
  return parseFlags(words, runFlags, { command: "run", stopAtOperand: true }).flags;
}

/** Of several entries for one key the last one counts, for both; docker drops the others early and in any order. */
function lastOfEach(entries: readonly string[]): string[] {
  return [...new Map(entries.map((entry) => [entry.split("=")[0], entry])).values()].toSorted();
}

function gockerMount(mount: MountOption): string {
  if (mount.type === "tmpfs") return `tmpfs ${mount.target} ${mount.options.join(",")}`;
  if (mount.type === "bind" && mount.createSource) {
    const options = [
      ...(mount.readOnly ? ["ro"] : []),
      ...(mount.propagation === undefined ? [] : [mount.propagation]),
    ];
    return `${mount.source}:${mount.target}:${options.join(",")}`;
  }
  const remarks = [
    ...("readOnly" in mount && mount.readOnly ? ["ro"] : []),
    ...(mount.type === "bind" && mount.propagation !== undefined ? [mount.propagation] : []),
    ...(mount.type === "bind" && !mount.recursive ? ["nonrecursive"] : []),
    ...(mount.type === "volume" && mount.noCopy ? ["nocopy"] : []),
  ];
  const source = mount.type === "bind" ? mount.source : mount.type === "image" ? mount.image : (mount.name ?? "");
  return `${mount.type} ${source} ${mount.target} ${remarks.join(",")}`;
}

/** gocker's own default is the host's network, until it has others. A `~` stands for a blank in a word. */
const withNetwork = (line: string) =>
  (/--net/.test(line) ? line : `--network host ${line}`).split(" ").map((word) => word.replaceAll("~", " "));

describe.skipIf(docker === null)("gocker run and docker run understand the same of", () => {
  test.each(dockerFlagLines)("%s", async (line) => {
    const words = withNetwork(line);
    expect(asGocker(words)).toEqual(await asDocker(words));
  });
});
