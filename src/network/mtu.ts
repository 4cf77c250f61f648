import type { NetworkRecord } from "./record.ts";

/** `com.docker.network.driver.mtu` and gocker's shorter word for it. */
const options = ["com.docker.network.driver.mtu", "mtu"];

/** The largest packet that a network is to take, in bytes; undefined where the user has not said. */
export function askedMtu(network: Pick<NetworkRecord, "options">): number | undefined {
  const asked = options.map((name) => network.options[name]).find((value) => value !== undefined);
  return asked === undefined ? undefined : Number(asked);
}
