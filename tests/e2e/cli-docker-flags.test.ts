import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { runFlags } from "../../src/cli/commands/run/flags.ts";
import { runOptions } from "../../src/cli/commands/run/options.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { resolveUserEnvironment } from "../../src/container/environment.ts";
import type { MountOption } from "../../src/container/options.ts";
import type { ResourceOptions } from "../../src/container/resource-options.ts";
import type { RunOptions } from "../../src/engine/options.ts";
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
  StopSignal?: string;
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
    options = runOptions(flags, [image, ...rest], { currentDirectory: directory.path, asDocker: true });
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
    network: options.network,
    limits: gockerLimits(options),
  };
}

function gockerLimits({ resources = {}, oomScoreAdj, shmSize, cgroupParent }: RunOptions): Record<string, unknown> {
  const pidsLimit = Math.max(0, resources.pidsLimit ?? 0);
  return thoseGiven({ ...resources, pidsLimit, oomScoreAdj, shmSize, cgroupParent });
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
    ...(mount.readOnly ? ["ro"] : []),
    ...(mount.type === "bind" && mount.propagation !== undefined ? [mount.propagation] : []),
    ...(mount.type === "bind" && !mount.recursive ? ["nonrecursive"] : []),
    ...(mount.type === "volume" && mount.noCopy ? ["nocopy"] : []),
  ];
  const source = mount.type === "bind" ? mount.source : (mount.name ?? "");
  return `${mount.type} ${source} ${mount.target} ${remarks.join(",")}`;
}

/** gocker's own default is the host's network, until it has others. */
const withNetwork = (line: string) => (/--net/.test(line) ? line : `--network host ${line}`).split(" ");

const lines = [
  "alpine",
  "-it alpine sh",
  "-ti --rm alpine sh -c x",
  "-- alpine ls",
  "alpine -- ls",
  "alpine ls --help -la --no-color /",
  "-i=false -t=true alpine",
  "-it=false alpine",
  "--rm=0 --init=true alpine",
  "--rm=maybe alpine",
  "-e A=b -eC=d --env E=f --env=G=h -e=I=j alpine",
  "-e A=b -e A=c -e A= alpine",
  "-e FROM_HOST -e NOT_SET alpine",
  "-e =x alpine",
  "-ite A=b alpine",
  "--entrypoint /bin/x alpine a b",
  "--entrypoint= alpine a",
  "-w /a -w=/b alpine",
  "-w/c -u 1000:1000 -u user alpine",
  "-h host --hostname other alpine",
  "-l a -l b=c -l d=e=f --label a=g alpine",
  "-l =x alpine",
  "--cap-add net_admin --cap-add CAP_SYS_PTRACE --cap-drop mknod alpine",
  "--cap-add ALL --cap-drop all alpine",
  "--privileged --read-only --init alpine",
  "--security-opt no-new-privileges --security-opt seccomp=unconfined alpine",
  "--security-opt no-new-privileges:true alpine",
  "--security-opt seccomp:unconfined alpine",
  "--security-opt foo alpine",
  "--ulimit nofile=1024:2048 --ulimit core=0 --ulimit nproc=5 alpine",
  "--ulimit core=-1 --ulimit memlock=-1:-1 alpine",
  "--ulimit nofile=1 --ulimit nofile=2 alpine",
  "--ulimit nofile=2:1 alpine",
  "--ulimit nofile=0:-1 alpine",
  "--ulimit nofile=-1:0 alpine",
  "--ulimit foo=1 alpine",
  "--ulimit nofile alpine",
  "--ulimit nofile=1:2:3 alpine",
  "--add-host a:1.2.3.4 --add-host b=1.2.3.5 --add-host c:::1 --add-host d:[::2] alpine",
  "--add-host a alpine",
  "--add-host a:b alpine",
  "--dns 1.1.1.1 --dns=2001:db8::1 alpine",
  "--dns example.com alpine",
  "--group-add a --group-add 10 alpine",
  "--stop-signal SIGINT alpine",
  "-v /a:/b -v /c:/d:ro -v /e:/f:rslave alpine",
  "-v ./x:/b -v .:/c alpine",
  "--mount type=bind,source=/a,target=/b --mount type=bind,src=/a,dst=/c,readonly alpine",
  "--mount type=bind,src=./x,destination=/b,ro=1,bind-propagation=rshared alpine",
  "--mount type=bind,src=/a,dst=/b,bind-recursive=disabled alpine",
  "--mount source=data,target=/b,volume-nocopy --mount dst=/c alpine",
  "--mount type=tmpfs,dst=/b,tmpfs-size=64m,tmpfs-mode=1770 alpine",
  "--mount type=tmpfs,dst=/b,tmpfs-size=1.5KiB alpine",
  "--mount type=bind,source=/y alpine",
  "--mount foo alpine",
  "--mount type=bind,src=/a,dst=/b,foo=bar alpine",
  "--mount type=bind,src=/a,dst=/b,volume-nocopy alpine",
  "--mount dst=/b,readonly=maybe alpine",
  "--mount type=tmpfs,dst=/b,tmpfs-size=zz alpine",
  "--mount type=tmpfs,dst=/b,tmpfs-mode=9 alpine",
  '--mount type=bind,"src=/a,b",dst=/c alpine',
  '--mount type=bind,src=/a"b,dst=/c alpine',
  "--tmpfs /run --tmpfs /tmp:size=64m,mode=1777,exec alpine",
  "--net none alpine",
  "-m 64m --memory-swap -1 alpine",
  "-m 1.5G --memory-swap 3gb --memory-reservation 10mb alpine",
  "-m8.5m --memory=9.m --memory-reservation 8m alpine",
  "-m 0 --memory-swap 0 alpine",
  "-m 10bb alpine",
  "-m 10ib alpine",
  "-m -1 alpine",
  "-m abc alpine",
  "-m alpine",
  "--memory-swap -2 alpine",
  "--memory-swap= alpine",
  "--memory-swappiness 60 alpine",
  "--memory-swappiness -1 alpine",
  "--memory-swappiness 101 alpine",
  "--cpus 1.5 alpine",
  "--cpus .5 alpine",
  "--cpus +1. alpine",
  "--cpus 0.0000000001 alpine",
  "--cpus abc alpine",
  "--cpus= alpine",
  "--cpu-period 1000 --cpu-quota -1 --cpu-shares 2 -c 0x10 alpine",
  "-c 010 alpine",
  "-c 08 alpine",
  "-c 1.5 alpine",
  "--cpu-rt-period 100 --cpu-rt-runtime 50 alpine",
  "--cpuset-cpus 0-1,3 --cpuset-mems 0 alpine",
  "--pids-limit 100 alpine",
  "--pids-limit 0 alpine",
  "--pids-limit -7 alpine",
  "--pids-limit x alpine",
  "--blkio-weight 300 --blkio-weight-device /dev/sda:200 --blkio-weight-device /dev/sdb:0 alpine",
  "--blkio-weight 70000 alpine",
  "--blkio-weight -1 alpine",
  "--blkio-weight-device /dev/sda:5 alpine",
  "--blkio-weight-device /dev/sda alpine",
  "--blkio-weight-device sda:100 alpine",
  "--blkio-weight-device /dev/sda:x alpine",
  "--blkio-weight-device /dev/a:b:100 alpine",
  "--device-read-bps /dev/a:1mb --device-write-bps /dev/a:1024 --device-read-bps /dev/b:1.5k alpine",
  "--device-read-iops /dev/a:10 --device-write-iops /dev/a:0 alpine",
  "--device-read-bps /dev/a:-1 alpine",
  "--device-read-bps /dev/a: alpine",
  "--device-read-bps /dev/a:1:2 alpine",
  "--device-read-iops /dev/a:1k alpine",
  "--device-write-iops /dev/a:-1 alpine",
  "--device-read-iops a:1 alpine",
  "--oom-kill-disable --oom-score-adj -500 alpine",
  "--oom-kill-disable=false --oom-score-adj x alpine",
  "--shm-size 128m alpine",
  "--shm-size 0 alpine",
  "--shm-size -1 alpine",
  "--cgroup-parent /foo alpine",
  "--name",
  "-e",
  "--nonsense alpine",
  "-X alpine",
  "-itX alpine",
  "-t= alpine",
  "--=x alpine",
  "---rm alpine",
  "-name alpine",
  "--no-rm alpine",
  "--no-interactive alpine",
];

describe.skipIf(docker === null)("gocker run and docker run understand the same of", () => {
  test.each(lines)("%s", async (line) => {
    const words = withNetwork(line);
    expect(asGocker(words)).toEqual(await asDocker(words));
  });
});
