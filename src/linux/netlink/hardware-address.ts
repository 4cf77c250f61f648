import { addressBytes, type IpAddress } from "../../util/ip-address.ts";

/** `02:42:0a:4d:00:02` */
export type HardwareAddress = string;

/**
 * The hardware address that goes with an address: always the same, so that nobody has an outdated one when an address
 * passes on to another container. One that is administered locally. IEEE 802 8.4
 */
export function hardwareAddressFor(address: IpAddress): HardwareAddress {
  const bytes = addressBytes(address);
  return formatHardwareAddress([0x02, 0x42, ...bytes.subarray(bytes.length - 4)]);
}

/** Six pairs of hexadecimal digits, in lower case with colons between; undefined for anything else. */
export function parseHardwareAddress(text: string): HardwareAddress | undefined {
  const lower = text.toLowerCase().replaceAll("-", ":");
  return /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(lower) ? lower : undefined;
}

/** Whether it can be a device's own: neither that of many, by the lowest bit of its first byte, nor none. IEEE 802 8.2 */
export function isOfOneDevice(address: HardwareAddress): boolean {
  return (Number.parseInt(address.slice(0, 2), 16) & 1) === 0 && address !== "00:00:00:00:00:00";
}

/** Locally administered, and of one device. IEEE 802 8.4 */
export function randomHardwareAddress(): HardwareAddress {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  bytes[0] = ((bytes[0] as number) & 0xfc) | 0x02;
  return formatHardwareAddress(bytes);
}

function formatHardwareAddress(bytes: Iterable<number>): HardwareAddress {
  const pairs: string[] = [];
  for (const byte of bytes) pairs.push((0x100 | byte).toString(16).slice(1));
  return pairs.join(":");
}
