import type { Mount, RuntimeSpec } from "./runtime-spec.ts";

const capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

const mounts: readonly Mount[] = [
  { destination: "/proc", type: "proc", source: "proc" },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
  },
];

/**
 * The specification that `spec` writes: a shell in a bundle's `rootfs`, as isolated as runc's. No capability is ambient or
 * inheritable, as in runc since version 1.2 (CVE-2022-29162).
 * @param options.cgroupNamespace with a namespace of cgroups, which hides where version 1's controllers are mounted from
 */
export function defaultRuntimeSpec({ cgroupNamespace }: { readonly cgroupNamespace: boolean }): RuntimeSpec {
  return {
    ociVersion: "1.2.0",
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "gocker",
    mounts: [...mounts],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: [
        { type: "pid" },
        { type: "network" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        ...(cgroupNamespace ? [{ type: "cgroup" } as const] : []),
      ],
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/**
 * The specification that `spec --rootless` writes: what needs no rights on the host, as runc has it. A user namespace in
 * which the caller is root and nobody else exists, the host's network and its /sys, no owners that are not mapped, and no
 * limits.
 */
export function rootlessSpec(spec: RuntimeSpec, caller: { readonly uid: number; readonly gid: number }): RuntimeSpec {
  const { resources: _, namespaces = [], ...rest } = spec.linux ?? {};
  const only = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  return {
    ...spec,
    mounts: (spec.mounts ?? []).map((mount) => (mount.destination === "/sys" ? hostsSys : withoutOwners(mount))),
    linux: {
      ...rest,
      uidMappings: only(caller.uid),
      gidMappings: only(caller.gid),
      namespaces: [...namespaces.filter(({ type }) => type !== "network" && type !== "user"), { type: "user" }],
    },
  };
}

/** A sysfs can only be mounted by who has a network namespace of their own. */
const hostsSys: Mount = {
  destination: "/sys",
  type: "none",
  source: "/sys",
  options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
};

function withoutOwners(mount: Mount): Mount {
  if (mount.options === undefined) return mount;
  return { ...mount, options: mount.options.filter((option) => !/^[ug]id=/.test(option)) };
}
