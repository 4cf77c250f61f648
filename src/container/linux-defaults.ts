import type { DeviceCgroupRule, Mount } from "../oci/runtime-spec.ts";

/**
 * What a container is given and kept from unless it is told otherwise: Docker's choices, so that images behave as they
 * do there. moby, daemon/pkg/oci/defaults.go
 */

/** The file systems of every container, in the order in which they are mounted. */
export function defaultMounts(): Mount[] {
  return [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
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
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: ["ro", "nosuid", "noexec", "nodev"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"],
    },
  ];
}

/** The default mounts that stay writable when the root is read-only: the kernel's own, and those in memory. */
export const writableUnderReadOnlyRoot: ReadonlySet<string> = new Set([
  "/proc",
  "/dev",
  "/dev/pts",
  "/dev/shm",
  "/dev/mqueue",
]);

/** What of the kernel's files is hidden: it tells about the host, or reaches its hardware. */
const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

/**
 * The masked paths of a host with so many processors: each has a directory that tells about heat, and so about what
 * other containers do.
 */
export function defaultMaskedPaths(processors: number): string[] {
  const thermal = Array.from(
    { length: processors },
    (_, number) => `/sys/devices/system/cpu/cpu${number}/thermal_throttle`,
  );
  return [...maskedPaths, ...thermal];
}

/** What of the kernel's files can be read but not written. */
export const defaultReadonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** Harmless in a network namespace of the container's own: ping, and ports below 1024, without privileges. */
export const networkSysctls: Readonly<Record<string, string>> = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
};

const allowed: readonly [type: "b" | "c", major: number | undefined, minor: number | undefined, access: string][] = [
  // Device nodes may be made (CAP_MKNOD), but only those below opened.
  ["c", undefined, undefined, "m"],
  ["b", undefined, undefined, "m"],
  // null, zero, full, random, urandom
  ["c", 1, 3, "rwm"],
  ["c", 1, 5, "rwm"],
  ["c", 1, 7, "rwm"],
  ["c", 1, 8, "rwm"],
  ["c", 1, 9, "rwm"],
  // tty, ptmx, and the terminals of devpts, of which the console is one; 5:1 would be the host's console
  ["c", 5, 0, "rwm"],
  ["c", 5, 2, "rwm"],
  ["c", 136, undefined, "rwm"],
];

/** The device rules of a container: everything is denied but what every program may need. */
export function defaultDeviceRules(): DeviceCgroupRule[] {
  return [
    { allow: false, access: "rwm" },
    ...allowed.map(([type, major, minor, access]) => ({
      allow: true,
      type,
      ...(major === undefined ? {} : { major }),
      ...(minor === undefined ? {} : { minor }),
      access,
    })),
  ];
}
