import { existsSync, readFileSync } from "node:fs";
import { type Architecture, hostArchitecture } from "../linux/arch.ts";
import { availableCapabilities } from "../linux/capabilities.ts";
import { hardFileLimit } from "../linux/limits.ts";
import { type KernelVersion, kernelVersion } from "../linux/kernel.ts";
import type { Device } from "../oci/runtime-spec.ts";
import { scanHostDevices } from "./devices.ts";

/** What of the host decides how a container's specification looks. */
export interface HostFacts {
  readonly architecture: Architecture;
  readonly kernel: KernelVersion;
  /** The unified hierarchy carries everything: containers have a cgroup namespace of their own. */
  readonly cgroupV2Only: boolean;
  /** How many processors have a `thermal_throttle` directory to hide; numbered from 0. */
  readonly thermalProcessors: number;
  /** The capabilities that gocker could hand on, as a set of bits. */
  readonly capabilities: bigint;
  /** The hard limit of open files that gocker has and hands on. */
  readonly openFiles: number;
  /** The host's devices; only read for privileged containers, else empty. */
  readonly devices: readonly Device[];
}

/**
 * Reads the facts from the running system.
 * @param options.devices also list the host's devices
 */
export function readHostFacts(options: { readonly devices: boolean }): HostFacts {
  return {
    architecture: hostArchitecture,
    kernel: kernelVersion(),
    cgroupV2Only: existsSync("/sys/fs/cgroup/cgroup.controllers"),
    thermalProcessors: countThermalProcessors(),
    capabilities: availableCapabilities(),
    openFiles: hardFileLimit(),
    devices: options.devices ? scanHostDevices("/dev") : [],
  };
}

/** Virtual machines have none; looking at the first processor saves counting them there. */
function countThermalProcessors(): number {
  if (!existsSync("/sys/devices/system/cpu/cpu0/thermal_throttle")) return 0;
  return highestProcessor(readFileSync("/sys/devices/system/cpu/possible", "latin1")) + 1;
}

/** The highest number in the kernel's list format, such as 7 in `0-3,6-7`; 0 for an empty list. */
export function highestProcessor(list: string): number {
  return Math.max(0, ...Array.from(list.matchAll(/\d+/g), Number));
}
