import { describe, expect, test } from "bun:test";
import type { HostFacts } from "../../../src/container/host-facts.ts";
import { highestProcessor } from "../../../src/container/host-facts.ts";
import { serialiseSpec } from "../../../src/container/serialise-spec.ts";
import { buildRuntimeSpec, type SpecInput } from "../../../src/container/spec.ts";
import type { ContainerUser } from "../../../src/container/user.ts";
import type { RunOptions } from "../../../src/engine/options.ts";
import { capabilityMask } from "../../../src/linux/capabilities.ts";
import type { ImageConfigExecution } from "../../../src/oci/image-config.ts";
import { InvalidDocumentError, UsageError } from "../../../src/util/errors.ts";
import { hostFacts, imageConfig, runOptions } from "../../helpers/container.ts";

const id = "0123456789abcdef".repeat(4);
const root: ContainerUser = { uid: 0, gid: 0, additionalGids: [0, 10], home: "/root", name: "root" };

function build(
  options: Partial<RunOptions> = {},
  config: ImageConfigExecution = { Cmd: ["sh"] },
  change: Partial<SpecInput> = {},
) {
  return buildRuntimeSpec({
    id,
    image: imageConfig(config),
    options: runOptions(options),
    environment: [],
    user: root,
    volumes: [],
    rootPath: "/rootfs",
    host: hostFacts(),
    ...change,
  });
}

describe("a container without any flag", () => {
  const spec = build();

  test("process", () => {
    expect(spec.process).toEqual({
      terminal: false,
      user: { uid: 0, gid: 0, additionalGids: [0, 10] },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=0123456789ab", "HOME=/root"],
      cwd: "/",
      capabilities: {
        bounding: dockerCapabilities,
        effective: dockerCapabilities,
        permitted: dockerCapabilities,
        inheritable: [],
        ambient: [],
      },
      // Bun has raised gocker's own soft limit, which must not reach the container.
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }],
      noNewPrivileges: false,
    });
    expect(spec.hostname).toBe("0123456789ab");
    expect(spec.root).toEqual({ path: "/rootfs", readonly: false });
  });

  test("masked and read-only paths", () => {
    expect(spec.linux?.maskedPaths?.toSorted()).toEqual(
      [
        ...["acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list"].map(
          (name) => `/proc/${name}`,
        ),
        "/proc/timer_stats",
        "/sys/devices/system/cpu/cpu0/thermal_throttle",
        "/sys/devices/system/cpu/cpu1/thermal_throttle",
        "/sys/devices/virtual/powercap",
        "/sys/firmware",
      ].toSorted(),
    );
    expect(spec.linux?.readonlyPaths).toEqual(
      ["bus", "fs", "irq", "sys", "sysrq-trigger"].map((name) => `/proc/${name}`),
    );
  });

  test("devices: everything is denied first", () => {
    const rules = spec.linux?.resources?.devices ?? [];
    expect(rules[0]).toEqual({ allow: false, access: "rwm" });
    expect(rules.slice(1).every(({ allow }) => allow)).toBe(true);
    expect(rules).toContainEqual({ allow: true, type: "c", major: 1, minor: 7, access: "rwm" });
    expect(rules).toContainEqual({ allow: true, type: "c", major: 136, access: "rwm" });
    // Making nodes is allowed for all, using them only for the harmless ones.
    expect(rules.filter(({ major, access }) => major === undefined && access !== "m")).toHaveLength(1);
    expect(spec.linux?.devices).toEqual([]);
  });

  test("cgroup", () => {
    expect(spec.linux?.cgroupsPath).toBe(`/gocker/${id}`);
  });
});

const dockerCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SYS_CHROOT",
  "CAP_MKNOD",
  "CAP_AUDIT_WRITE",
  "CAP_SETFCAP",
];

describe("namespaces and sysctls", () => {
  const types = (options: Partial<RunOptions>, host: Partial<HostFacts> = {}) =>
    build(options, undefined, { host: hostFacts(host) }).linux?.namespaces?.map(({ type }) => type);

  test("a network of its own comes with its settings", () => {
    expect(types({})).toEqual(["mount", "network", "uts", "pid", "ipc", "cgroup"]);
    expect(build().linux?.sysctl).toEqual({
      "net.ipv4.ip_unprivileged_port_start": "0",
      "net.ipv4.ping_group_range": "0 2147483647",
    });
  });

  test("the host's network: no namespace, nothing of the host's is set", () => {
    expect(types({ network: "host" })).toEqual(["mount", "uts", "pid", "ipc", "cgroup"]);
    expect(build({ network: "host" }).linux?.sysctl).toBeUndefined();
  });

  test("cgroup v1: the host's cgroup namespace", () => {
    expect(types({}, { cgroupV2Only: false })).not.toContain("cgroup");
  });
});

describe("users and capabilities", () => {
  test("a user other than root has no permitted or effective ones", () => {
    const user = { uid: 1000, gid: 1000, additionalGids: [1000], home: "/home/u" };
    const { process } = build({}, undefined, { user });
    expect(process?.user).toEqual({ uid: 1000, gid: 1000, additionalGids: [1000] });
    expect(process?.capabilities).toEqual({
      bounding: dockerCapabilities,
      effective: [],
      permitted: [],
      inheritable: [],
      ambient: [],
    });
    expect(process?.env).toContain("HOME=/home/u");
  });

  test("what this host cannot give is left out", () => {
    const host = hostFacts({ capabilities: capabilityMask(["CAP_CHOWN", "CAP_KILL"]) });
    expect(build({}, undefined, { host }).process?.capabilities?.bounding).toEqual(["CAP_CHOWN", "CAP_KILL"]);
    expect(() => build({ capAdd: ["SYS_ADMIN"] }, undefined, { host })).toThrow(UsageError);
  });
});

test("privileged: all capabilities and devices, nothing hidden", () => {
  const device = { type: "c", path: "/dev/kvm", major: 10, minor: 232, fileMode: 0o660, uid: 0, gid: 104 } as const;
  const host = hostFacts({ devices: [device] });
  const { process, linux } = build({ privileged: true }, undefined, { host });
  expect(process?.capabilities?.effective).toContain("CAP_SYS_ADMIN");
  expect(linux?.maskedPaths).toEqual([]);
  expect(linux?.readonlyPaths).toEqual([]);
  expect(linux?.devices).toEqual([device]);
  expect(linux?.resources?.devices).toEqual([{ allow: true, access: "rwm" }]);
});

describe("the working directory", () => {
  test.each([
    [undefined, undefined, "/"],
    [undefined, "", "/"],
    [undefined, "/srv/", "/srv"],
    [undefined, "app", "/app"],
    [undefined, "../../x", "/x"],
    ["/w//x/../y", "/srv", "/w/y"],
  ])("asked for %j, image %j", (wanted, image, cwd) => {
    const options = wanted === undefined ? {} : { workingDirectory: wanted };
    const config = image === undefined ? {} : { WorkingDir: image };
    expect(build(options, { Cmd: ["sh"], ...config }).process?.cwd).toBe(cwd);
  });

  test("must be absolute when asked for", () => {
    expect(() => build({ workingDirectory: "app" })).toThrow(UsageError);
  });
});

describe("the host name", () => {
  test.each(["web", "Web-1.example.org", "a_b", "x".repeat(64)])("%s", (hostname) => {
    const spec = build({ hostname });
    expect(spec.hostname).toBe(hostname);
    expect(spec.process?.env).toContain(`HOSTNAME=${hostname}`);
  });

  test.each(["", "a b", "a\nb", "a/b", ".a", "a.", "a..b", "\0", "x".repeat(65)])("refused: %j", (hostname) => {
    expect(() => build({ hostname })).toThrow(UsageError);
  });
});

test.each<ImageConfigExecution>([
  { Cmd: ["a\0b"] },
  { Cmd: ["sh"], WorkingDir: "/a\0b" },
  { Cmd: ["sh"], Env: ["A=\0"] },
])("an image's NUL is refused: %j", (config) => {
  expect(() => build({}, config)).toThrow(InvalidDocumentError);
});

describe("limits", () => {
  test("names, unlimited, the last of equal names", () => {
    const ulimits = [
      { name: "nofile", soft: 1, hard: 1 },
      { name: "nofile", soft: 1024, hard: 2048 },
      { name: "core", soft: -1, hard: -1 },
    ];
    const spec = build({ ulimits });
    expect(spec.process?.rlimits).toEqual([
      { type: "RLIMIT_NOFILE", soft: 1024, hard: 2048 },
      { type: "RLIMIT_CORE", soft: 2 ** 64, hard: 2 ** 64 },
    ]);
    // Go's uint64 would overflow with what JSON.stringify makes of 2^64.
    expect(serialiseSpec(spec)).toContain('"soft": 18446744073709551615');
    expect(JSON.parse(serialiseSpec(spec))).toEqual(spec);
  });

  test.each([
    { name: "nofiles", soft: 1, hard: 1 },
    { name: "nofile", soft: 2, hard: 1 },
    { name: "nofile", soft: -1, hard: 1 },
  ])("refused: %j", (ulimit) => {
    expect(() => build({ ulimits: [ulimit] })).toThrow(UsageError);
  });
});

test("a terminal has its size, TERM, and nothing without one", () => {
  const consoleSize = { height: 24, width: 80 };
  const { process } = build({ terminal: true }, undefined, { consoleSize });
  expect(process).toMatchObject({ terminal: true, consoleSize });
  expect(process?.env).toContain("TERM=xterm");
  expect(build({}, undefined, { consoleSize }).process).not.toHaveProperty("consoleSize");
});

test("limits, and what goes with them", () => {
  const limits = { memory: { limit: 2 ** 30 } };
  const options = { oomScoreAdj: -500, shmSize: 2 ** 20, cgroupParent: "batch/nightly" };
  const spec = build(options, undefined, { limits });
  expect(spec.linux?.resources).toEqual({ ...build().linux?.resources, ...limits });
  expect(spec.linux?.cgroupsPath).toBe(`/batch/nightly/${id}`);
  expect(spec.process?.oomScoreAdj).toBe(-500);
  const shm = spec.mounts?.find(({ destination }) => destination === "/dev/shm");
  expect(shm?.options).toEqual(["nosuid", "noexec", "nodev", "mode=1777", "size=1048576"]);
  expect(build().linux?.cgroupsPath).toBe(`/gocker/${id}`);
  expect(build().process).not.toHaveProperty("oomScoreAdj");
});

test("annotations follow the image, labels win", () => {
  const config = {
    Cmd: ["sh"],
    StopSignal: "SIGQUIT",
    ExposedPorts: { "80/tcp": {}, "443/tcp": {} },
    Labels: { a: "image" },
  };
  expect(build({ labels: { a: "user", "org.opencontainers.image.os": "mine" } }, config).annotations).toEqual({
    "org.opencontainers.image.os": "mine",
    "org.opencontainers.image.architecture": "amd64",
    "org.opencontainers.image.stopSignal": "SIGQUIT",
    "org.opencontainers.image.exposedPorts": "443/tcp,80/tcp",
    a: "user",
  });
});

test.each([
  ["0", 0],
  ["0-7", 7],
  ["0-3,8-15", 15],
  ["", 0],
])("the highest processor of %j", (list, number) => {
  expect(highestProcessor(list)).toBe(number);
});
