import { describe, expect, test } from "bun:test";
import type { AskedOptions } from "../../../../src/container/asked-options.ts";
import type { ContainerRecord, ContainerState } from "../../../../src/container/record.ts";
import { containerDocument } from "../../../../src/engine/inspect/container-document.ts";
import type { ContainerFacts } from "../../../../src/engine/inspect/facts.ts";
import type { ImageConfigExecution } from "../../../../src/oci/image-config.ts";
import type { RuntimeSpec } from "../../../../src/oci/runtime-spec.ts";
import { imageConfig, newContainer } from "../../../helpers/container.ts";

const id = `4f5e${"0".repeat(60)}`;
const created = "2026-03-01T10:00:00.000Z";

const spec: RuntimeSpec = {
  ociVersion: "1.1.0",
  process: {
    cwd: "/",
    args: ["sh", "-c", "x"],
    env: ["PATH=/bin", "HOSTNAME=box", "HOME=/root"],
    user: { uid: 0, gid: 0 },
  },
  root: { path: "rootfs", readonly: true },
  hostname: "box",
  mounts: [
    { destination: "/etc/hosts", source: "/c/hosts" },
    { destination: "/dev/shm", options: ["nosuid", "mode=1777", "size=32m"] },
  ],
  linux: {
    cgroupsPath: `/gocker/${id}`,
    namespaces: [{ type: "mount" }, { type: "pid" }, { type: "ipc" }, { type: "uts" }, { type: "network" }],
    maskedPaths: ["/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
  },
};

interface Change {
  readonly record?: Partial<ContainerRecord>;
  readonly options?: AskedOptions;
  readonly state?: ContainerState;
  readonly spec?: Partial<RuntimeSpec>;
  readonly image?: ImageConfigExecution;
  readonly facts?: Partial<ContainerFacts>;
}

function factsOf(change: Change = {}): ContainerFacts {
  return {
    record: {
      ...newContainer(),
      version: 1,
      id,
      name: "web",
      created,
      options: change.options ?? {},
      state: change.state ?? { status: "created" },
      ...change.record,
    },
    spec: { ...spec, ...change.spec },
    image: imageConfig(change.image),
    directory: "/c",
    layers: ["/l/lower", "/l/upper"],
    paused: false,
    logPath: "/c/log",
    volumePath: (name) => `/v/${name}/_data`,
    ...change.facts,
  };
}

const inspect = (change?: Change) => containerDocument(factsOf(change));
const json = (change?: Change) => JSON.parse(JSON.stringify(inspect(change))) as ReturnType<typeof inspect>;

test("the container itself", () => {
  expect(json()).toMatchObject({
    Id: id,
    Created: created,
    Path: "sh",
    Args: ["-c", "x"],
    Image: `sha256:${"0".repeat(64)}`,
    ResolvConfPath: "",
    HostsPath: "/c/hosts",
    LogPath: "/c/log",
    Name: "/web",
    RestartCount: 0,
    Driver: "overlay",
    Platform: "linux",
    ExecIDs: null,
    GraphDriver: {
      Name: "overlay",
      Data: { ID: id, LowerDir: "/l/upper:/l/lower", MergedDir: "/c/rootfs", UpperDir: "/c/upper", WorkDir: "/c/work" },
    },
  });
  expect(json()).not.toHaveProperty("SizeRw");
  // A template may ask for it all the same.
  expect(inspect()).toMatchObject({ SizeRw: null, SizeRootFs: null });
  expect(inspect({ facts: { sizes: { written: 5, whole: 100 } } })).toMatchObject({ SizeRw: 5, SizeRootFs: 100 });
});

describe("the state", () => {
  const startedAt = "2026-03-01T10:00:01.000Z";
  const finishedAt = "2026-03-01T10:00:02.000Z";

  test("of one that was only made", () => {
    expect(json().State).toEqual({
      Status: "created",
      Running: false,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: 0,
      ExitCode: 0,
      Error: "",
      StartedAt: "0001-01-01T00:00:00Z",
      FinishedAt: "0001-01-01T00:00:00Z",
    } as never);
  });

  const states: [name: string, change: Change, state: object][] = [
    [
      "running",
      { state: { status: "running", pid: 12, startedAt, restartCount: 2 } },
      { Status: "running", Running: true, Pid: 12, StartedAt: startedAt },
    ],
    [
      "paused",
      { state: { status: "running", pid: 12, startedAt }, facts: { paused: true } },
      { Status: "paused", Running: true, Paused: true, Pid: 12 },
    ],
    [
      "restarting",
      { state: { status: "restarting", startedAt, finishedAt, exitCode: 1 } },
      { Status: "restarting", Running: true, Restarting: true, Pid: 0, ExitCode: 1 },
    ],
    [
      "exited",
      { state: { status: "exited", startedAt, finishedAt, exitCode: 137, error: "killed", oomKilled: true } },
      { Status: "exited", Running: false, ExitCode: 137, Error: "killed", FinishedAt: finishedAt, OOMKilled: true },
    ],
  ];
  test.each(states)("%s", (_name, change, state) => {
    expect(json(change).State).toMatchObject(state);
  });

  test("of its health", () => {
    const probe = { start: startedAt, end: finishedAt, exitCode: 1, output: "no" };
    const health = { status: "unhealthy", failingStreak: 3, log: [probe] } as const;
    expect(json({ state: { status: "running", health } }).State.Health).toEqual({
      Status: "unhealthy",
      FailingStreak: 3,
      Log: [{ Start: startedAt, End: finishedAt, ExitCode: 1, Output: "no" }],
    });
    expect(inspect({ state: { status: "running", restartCount: 2 } }).RestartCount).toBe(2);
  });
});

test("mounts", () => {
  const mounts = [
    {
      type: "bind",
      source: "/a",
      target: "/b",
      readOnly: true,
      createSource: true,
      recursive: true,
      propagation: "rslave",
    },
    { type: "bind", source: "/m", target: "/n", readOnly: false, createSource: false, recursive: false },
    { type: "volume", name: "data", target: "/d", readOnly: false, noCopy: true },
    { type: "tmpfs", target: "/t", options: ["size=1m", "mode=700"] },
  ] satisfies AskedOptions["mounts"];
  const recorded = [
    { type: "bind", source: "/a", destination: "/b", readOnly: true, propagation: "rslave" },
    { type: "bind", source: "/m", destination: "/n", readOnly: false },
    { type: "volume", name: "data", destination: "/d", readOnly: false },
    { type: "volume", name: "f00", anonymous: true, destination: "/image", readOnly: false },
  ] satisfies ContainerRecord["mounts"];
  const document = json({ options: { mounts }, record: { mounts: recorded, options: { mounts } } });
  expect(document.Mounts as unknown).toEqual([
    { Type: "bind", Source: "/a", Destination: "/b", Mode: "ro,rslave", RW: false, Propagation: "rslave" },
    { Type: "bind", Source: "/m", Destination: "/n", Mode: "", RW: true, Propagation: "rprivate" },
    {
      Type: "volume",
      Name: "data",
      Source: "/v/data/_data",
      Destination: "/d",
      Driver: "local",
      Mode: "nocopy",
      RW: true,
      Propagation: "",
    },
    {
      Type: "volume",
      Name: "f00",
      Source: "/v/f00/_data",
      Destination: "/image",
      Driver: "local",
      Mode: "",
      RW: true,
      Propagation: "",
    },
  ]);
  expect(document.HostConfig as unknown).toMatchObject({
    Binds: ["/a:/b:ro,rslave", "data:/d:nocopy"],
    Mounts: [{ Type: "bind", Source: "/m", Target: "/n", BindOptions: { NonRecursive: true } }],
    Tmpfs: { "/t": "size=1m,mode=700" },
  });
  expect(document.Config.Volumes as unknown).toEqual({ "/image": {} });
});

describe("the configuration", () => {
  test("is the image's where nothing else was asked for", () => {
    const image = {
      User: "www",
      Env: ["PATH=/bin", "A=1"],
      Entrypoint: ["/e"],
      Cmd: ["c"],
      WorkingDir: "/srv",
      Volumes: { "/data": {} },
      StopSignal: "SIGQUIT",
      Healthcheck: { Test: ["CMD", "true"], Interval: 5e9 },
      Shell: ["/bin/ash", "-c"],
    };
    const record = {
      labels: { a: "b" },
      exposedPorts: ["80/tcp"],
      stopSignal: "SIGQUIT",
      user: "www",
      environment: ["PATH=/bin", "A=1"],
    };
    expect(json({ image, record }).Config as unknown).toEqual({
      Hostname: "box",
      Domainname: "",
      User: "www",
      AttachStdin: false,
      AttachStdout: true,
      AttachStderr: true,
      ExposedPorts: { "80/tcp": {} },
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: ["PATH=/bin", "A=1"],
      Cmd: ["c"],
      Healthcheck: { Test: ["CMD", "true"], Interval: 5e9 },
      Image: "alpine:3.19",
      Volumes: { "/data": {} },
      WorkingDir: "/srv",
      Entrypoint: ["/e"],
      OnBuild: null,
      Labels: { a: "b" },
      StopSignal: "SIGQUIT",
      Shell: ["/bin/ash", "-c"],
    });
  });

  test("is the user's where he said something", () => {
    const environment = ["PATH=/bin", "A=1", "GONE=1", "A=2", "B=3", "A=4", "GONE"];
    const options = {
      words: ["-x"],
      workingDirectory: "/w",
    };
    const image = {
      User: "www",
      Env: ["PATH=/bin", "A=1", "GONE=1"],
      Entrypoint: ["/e"],
      Cmd: ["c"],
      WorkingDir: "/srv",
    };
    expect(
      json({
        options,
        image,
        record: { options, user: "1000:5", environment, terminal: true, interactive: true, stopTimeout: 0 },
      }).Config,
    ).toMatchObject({
      User: "1000:5",
      Env: ["PATH=/bin", "A=4", "B=3"],
      Entrypoint: ["/e"],
      Cmd: ["-x"],
      WorkingDir: "/w",
      Tty: true,
      OpenStdin: true,
    });
  });

  test.each([
    ["-i", {}, { interactive: true }, [true, true, true, true]],
    ["", {}, {}, [false, true, true, false]],
    ["-a stderr", { attach: ["stderr"] }, {}, [false, false, true, false]],
    ["-i -a stdout", { attach: ["stdout"] }, { interactive: true }, [true, true, false, true]],
    ["-d -i", { detach: true }, { interactive: true }, [false, false, false, false]],
  ])("tells what was attached to it: %s", (_words, options, record, expected) => {
    const config = json({ record: { options, ...record } }).Config as unknown as Record<string, unknown>;
    const { AttachStdin, AttachStdout, AttachStderr, StdinOnce } = config;
    expect([AttachStdin, AttachStdout, AttachStderr, StdinOnce]).toEqual(expected);
  });

  test("has the health check that the record has, before the image's", () => {
    const image = { Healthcheck: { Test: ["CMD", "true"], Interval: 5e9 } };
    const healthcheck = {
      test: ["CMD-SHELL", "ok"],
      interval: 1e9,
      startInterval: 2e9,
      retries: 3,
      shell: ["/bin/sh"],
    };
    const document = json({ image, record: { healthcheck } });
    expect(document.Config.Healthcheck as unknown).toEqual({
      Test: ["CMD-SHELL", "ok"],
      Interval: 1e9,
      StartInterval: 2e9,
      Retries: 3,
    });
  });

  test("is what became of it where the record is older", () => {
    const facts = factsOf();
    const { options: _none, ...record } = facts.record;
    const { Config } = containerDocument({ ...facts, record, image: undefined });
    expect(Config).toMatchObject({ Cmd: ["sh"], Env: ["PATH=/bin", "HOSTNAME=box", "HOME=/root"], User: "" });
  });
});

describe("to the host", () => {
  test("nothing asked for", () => {
    expect(json().HostConfig as unknown).toMatchObject({
      Binds: null,
      LogConfig: { Type: "json-file", Config: {} },
      NetworkMode: "none",
      PortBindings: {},
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      AutoRemove: false,
      ConsoleSize: [0, 0],
      CapAdd: null,
      CapDrop: null,
      CgroupnsMode: "host",
      IpcMode: "private",
      PidMode: "",
      UTSMode: "",
      Privileged: false,
      ReadonlyRootfs: true,
      SecurityOpt: null,
      ShmSize: 32 * 2 ** 20,
      Memory: 0,
      NanoCpus: 0,
      MemorySwappiness: null,
      PidsLimit: null,
      MaskedPaths: ["/proc/kcore"],
      ReadonlyPaths: ["/proc/sys"],
    });
  });

  test("what was asked for", () => {
    const options: AskedOptions = {
      network: "host",
      capAdd: ["net_admin", "CAP_SYS_TIME"],
      capDrop: ["all"],
      privileged: true,
      seccomp: "unconfined",
      dns: ["1.1.1.1"],
      addHosts: [{ name: "a", address: "10.0.0.1" }],
      ulimits: [{ name: "nofile", soft: 10, hard: 20 }],
      ipc: { container: "other" },
      pid: { path: "/proc/1/ns/pid" },
      sysctls: { "net.core.somaxconn": "1" },
      devices: [{ source: "/dev/fuse", target: "/dev/x", access: "rw" }],
      deviceRules: [{ allow: true, type: "c", major: 10, access: "r" }],
      volumesFrom: [{ container: "a", readOnly: true }],
      cidFile: "/cid",
    };
    const record = {
      options,
      groupAdd: ["5"],
      init: true,
      remove: true,
      restart: { name: "on-failure", maximumRetries: 3 },
      log: { driver: "local", options: { "max-size": "1m" } },
    } satisfies Partial<ContainerRecord>;
    const process = { cwd: "/", user: { uid: 0, gid: 0 }, noNewPrivileges: true, oomScoreAdj: 7 };
    expect(
      json({ record, spec: { process, linux: { namespaces: [{ type: "cgroup" }] } } }).HostConfig as unknown,
    ).toMatchObject({
      LogConfig: { Type: "local", Config: { "max-size": "1m" } },
      NetworkMode: "host",
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
      AutoRemove: true,
      CapAdd: ["CAP_NET_ADMIN", "CAP_SYS_TIME"],
      CapDrop: ["ALL"],
      CgroupnsMode: "private",
      Dns: ["1.1.1.1"],
      ExtraHosts: ["a:10.0.0.1"],
      GroupAdd: ["5"],
      IpcMode: "container:other",
      OomScoreAdj: 7,
      PidMode: "ns:/proc/1/ns/pid",
      Sysctls: { "net.core.somaxconn": "1" },
      Devices: [{ PathOnHost: "/dev/fuse", PathInContainer: "/dev/x", CgroupPermissions: "rw" }],
      DeviceCgroupRules: ["c 10:* r"],
      VolumesFrom: ["a:ro"],
      ContainerIDFile: "/cid",
      Init: true,
      UTSMode: "host",
      Privileged: true,
      SecurityOpt: ["no-new-privileges", "seccomp=unconfined"],
      ShmSize: 32 * 2 ** 20,
      Ulimits: [{ Name: "nofile", Soft: 10, Hard: 20 }],
    });
  });
});
