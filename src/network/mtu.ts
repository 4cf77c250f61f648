import type { NetworkRecord } from "./record.ts";

/** Docker's option of its drivers, and gocker's shorter word for it. */
export const mtuOptions = ["com.docker.network.driver.mtu", "mtu"] as const;

/** The largest packet that a network is to take, in bytes; undefined where the user has not said. */
export function askedMtu({ options }: Pick<NetworkRecord, "options">): number | undefined {
  const asked = mtuOptions.map((name) => options[name]).find((value) => value !== undefined);
  return asked === undefined ? undefined : Number(asked);
}

/** What the kernel's devices take at most: ETH_MAX_MTU of linux/if_ether.h. */
const largest = 65_535;

/** What every link has to take of IPv4 (RFC 791 3.2) and of IPv6 (RFC 8200 5): the kernel has none of it on one that takes less. */
const least = { 4: 68, 6: 1280 } as const;

/** Why packets of a network cannot have so many bytes at most; undefined where they can. */
export function whyNoMtu(mtu: number, subnets: NetworkRecord["subnets"]): string | undefined {
  if (mtu > largest) return `no device takes packets of more than ${largest} bytes`;
  const family = subnets.some(({ subnet }) => subnet.includes(":")) ? 6 : 4;
  if (mtu < least[family]) return `IPv${family} needs packets of ${least[family]} bytes`;
  return undefined;
}
