import { realpathSync, statSync } from "node:fs";
import type { Device, DeviceCgroupRule } from "../oci/runtime-spec.ts";
import { errorMessage, UsageError } from "../util/errors.ts";
import { describeDevice, scanHostDevices } from "./devices.ts";
import type { DeviceOption } from "./options.ts";

/** Devices of the host that a container gets, and the rules by which it may use them. */
export interface RequestedDevices {
  readonly nodes: readonly Device[];
  readonly rules: readonly DeviceCgroupRule[];
}

export const noDevices: RequestedDevices = { nodes: [], rules: [] };

/**
 * Looks up the devices of `--device`: links of the host's lead to what is meant, and of a directory all devices below are
 * meant, as with Docker.
 * @throws UsageError there is nothing, or no device
 */
export function requestDevices(options: readonly DeviceOption[]): RequestedDevices {
  const found = options.flatMap((option) => devicesOf(option).map((device) => ({ device, access: option.access })));
  return {
    nodes: withDevices(
      [],
      found.map(({ device }) => device),
    ),
    rules: found.map(({ device: { type, major, minor }, access }) => ({
      allow: true,
      type: type === "b" ? "b" : "c",
      ...(major !== undefined && { major }),
      ...(minor !== undefined && { minor }),
      access,
    })),
  };
}

function devicesOf({ source, target }: DeviceOption): Device[] {
  const place = resolved(source);
  const device = describeDevice(place, target);
  if (device !== undefined) return [device];
  const below = statSync(place).isDirectory() ? scanHostDevices(place, target) : [];
  if (below.length > 0) return below;
  throw new UsageError(`cannot give the container the device ${source}: it is no device, and none is below it`);
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const reason = isMissing ? "the host has no such device" : errorMessage(error);
    throw new UsageError(`cannot give the container the device ${path}: ${reason}`, { cause: error });
  }
}

/** The devices with others, which take the place of those that have the same one. */
export function withDevices(devices: readonly Device[], others: readonly Device[]): Device[] {
  return [...new Map([...devices, ...others].map((device) => [device.path, device])).values()];
}
