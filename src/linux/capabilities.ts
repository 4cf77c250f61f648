import { readFileSync } from "node:fs";
import { GockerError, UsageError } from "../util/errors.ts";
import { nearestNames } from "../util/nearest.ts";

/** Every capability of Linux 7.1; its index is its number. capabilities(7), linux/capability.h */
export const capabilityNames = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

export type CapabilityName = (typeof capabilityNames)[number];

/** What a container has unless it is told otherwise, as Docker has it. */
export const defaultCapabilities: readonly CapabilityName[] = [
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

/** The number of a capability, its name in any case and with or without `CAP_`; undefined for an unknown one. */
export function capabilityNumber(name: string): number | undefined {
  const index = (capabilityNames as readonly string[]).indexOf(withPrefix(name));
  return index < 0 ? undefined : index;
}

/** The name of a capability's number; undefined for a number that this version does not know. */
export function capabilityName(number: number): CapabilityName | undefined {
  return capabilityNames[number];
}

/** The set of the capabilities as the kernel has it: bit n for capability n. Throws UsageError for an unknown name. */
export function capabilityMask(names: Iterable<string>): bigint {
  let mask = 0n;
  for (const name of names) mask |= 1n << BigInt(capabilityNumber(name) ?? unknownCapability(name));
  return mask;
}

/** The names in a set of capabilities, in the order of their numbers; bits without a name are left out. */
export function capabilitiesIn(mask: bigint): CapabilityName[] {
  return capabilityNames.filter((_, number) => (mask >> BigInt(number)) & 1n);
}

let last: number | undefined;

/** The highest capability that the running kernel knows. proc_sys_kernel(5), cap_last_cap */
export function lastCapability(): number {
  return (last ??= Number(readFileSync("/proc/sys/kernel/cap_last_cap", "latin1")));
}

/**
 * The capabilities that this process could hand to a container: its bounding set, which the kernel keeps within what
 * it knows. proc_pid_status(5)
 */
export function availableCapabilities(): bigint {
  const status = readFileSync("/proc/self/status", "latin1");
  const set = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (set === undefined) throw new GockerError("PROC", "/proc/self/status does not say which capabilities there are");
  return BigInt(`0x${set}`);
}

/** What {@link containerCapabilities} decides by. */
export interface CapabilityOptions {
  /** `--cap-add` and `--cap-drop`: names in any case, with or without `CAP_`, or `ALL`. */
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
  /** The set that can be given at all: see {@link availableCapabilities}. */
  readonly available: bigint;
}

/**
 * The capabilities of a container, in the order of their numbers, by Docker's rules: a privileged one has all there
 * are; adding ALL gives all but the dropped ones, dropping ALL leaves the added ones, else the default ones lose the
 * dropped and gain the added. Defaults that are not available are left out.
 *
 * Throws UsageError for an unknown name, and for an added one that is not available.
 */
export function containerCapabilities(options: CapabilityOptions): CapabilityName[] {
  const { available } = options;
  const add = readNames(options.add);
  const drop = readNames(options.drop);
  if (options.privileged) return capabilitiesIn(available);
  if (add.all) return capabilitiesIn(available & ~drop.mask);

  const missing = capabilitiesIn(add.mask & ~available);
  if (missing.length > 0) {
    throw new UsageError(`${missing.join(", ")} cannot be added: not available here`, {
      hint: "the kernel does not have it, or gocker itself runs without it: see CapBnd in /proc/self/status",
    });
  }
  const kept = drop.all ? 0n : capabilityMask(defaultCapabilities) & available & ~drop.mask;
  return capabilitiesIn(kept | add.mask);
}

function readNames(names: readonly string[]): { all: boolean; mask: bigint } {
  const isAll = (name: string) => name.toUpperCase() === "ALL";
  return {
    all: names.some(isAll),
    mask: capabilityMask(names.filter((name) => !isAll(name))),
  };
}

function withPrefix(name: string): string {
  const upper = name.toUpperCase();
  return upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

function unknownCapability(name: string): never {
  const near = nearestNames(withPrefix(name), capabilityNames);
  throw new UsageError(`unknown capability ${JSON.stringify(name)}`, {
    hint: near.length > 0 ? `Did you mean ${near.join(" or ")}?` : "capabilities(7) lists them; ALL means all",
  });
}
