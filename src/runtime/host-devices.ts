import { statSync } from "node:fs";
import { makeDevice } from "../linux/device-number.ts";
import type { Device } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";

/**
 * Makes sure that what a container with a user namespace gets of the host in place of the devices that it asks for are
 * these devices, and no other file of the host's.
 * @throws InvalidDocumentError
 */
export function checkHostDevices(devices: readonly Device[]): void {
  for (const [index, device] of devices.entries()) {
    if (device.type === "p" || isOnHost(device)) continue;
    throw new InvalidDocumentError(
      `linux.devices[${index}]: ${device.path} is not this device on the host, and in a user namespace none can be made`,
    );
  }
}

function isOnHost({ path, type, major = 0, minor = 0 }: Device): boolean {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined || found.rdev !== makeDevice(major, minor)) return false;
  return type === "b" ? found.isBlockDevice() : found.isCharacterDevice();
}
