/** An address of IPv4 or IPv6, as a number. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A block of addresses, such as `10.77.0.0/16`: all that begin with the first `prefixLength` bits of `base`. */
export interface Subnet {
  readonly family: 4 | 6;
  /** Its first address. */
  readonly base: bigint;
  readonly prefixLength: number;
}

/** How many bits an address has. */
export function addressBits(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** An address without a zone or a prefix length; undefined for anything else. RFC 4291 2.2 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    if (parts.some((part) => part > 255)) return undefined;
    return { family: 4, value: parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
  }
  if (!text.includes(":") || !/^[0-9a-f:.]+$/i.test(text)) return undefined;
  let canonical: string;
  try {
    // The engine's own parser: `[…]` with the shortest form of the address between.
    canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
  const [head = "", tail] = canonical.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
  return { family: 6, value: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}

/** The usual form of an address. RFC 5952 */
export function formatIpAddress({ family, value }: IpAddress): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** The bytes of an address in the network's order: 4 or 16. */
export function addressBytes({ family, value }: IpAddress): Uint8Array {
  const bytes = new Uint8Array(addressBits(family) / 8);
  let rest = value;
  for (let index = bytes.length - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The address of 4 or 16 bytes. */
export function addressOfBytes(bytes: Uint8Array): IpAddress {
  return { family: bytes.length === 4 ? 4 : 6, value: bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) };
}

/** `10.77.0.0/16`; the bits after the prefix may be anything, and are cut off. Undefined for anything else. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, base = "", length = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseIpAddress(base);
  if (address === undefined || Number(length) > addressBits(address.family)) return undefined;
  return subnetOf(address, Number(length));
}

/** The block of that size that an address is in. */
export function subnetOf({ family, value }: IpAddress, prefixLength: number): Subnet {
  const shift = BigInt(addressBits(family) - prefixLength);
  return { family, base: (value >> shift) << shift, prefixLength };
}

export function formatSubnet({ family, base, prefixLength }: Subnet): string {
  return `${formatIpAddress({ family, value: base })}/${prefixLength}`;
}

/** Its last address. */
export function lastAddress({ family, base, prefixLength }: Subnet): bigint {
  return base + (1n << BigInt(addressBits(family) - prefixLength)) - 1n;
}

/** Whether an address is in a block. */
export function isInSubnet(address: IpAddress, subnet: Subnet): boolean {
  return address.family === subnet.family && address.value >= subnet.base && address.value <= lastAddress(subnet);
}

/** Whether two blocks have an address in common. */
export function overlap(one: Subnet, other: Subnet): boolean {
  return one.family === other.family && one.base <= lastAddress(other) && other.base <= lastAddress(one);
}
