import { parseIpAddress, parseSubnet } from "../util/ip-address.ts";
import { type AddressRange, hasRoom } from "./leases.ts";
import type { NetworkSubnet } from "./record.ts";

/** From where in a block of a network containers get addresses; undefined where it is none. */
export function addressRange({ subnet, gateway, ipRange }: NetworkSubnet): AddressRange | undefined {
  const block = parseSubnet(subnet);
  if (block === undefined) return undefined;
  const reserved = gateway === undefined ? undefined : parseIpAddress(gateway);
  return {
    subnet: block,
    range: ipRange === undefined ? undefined : parseSubnet(ipRange),
    reserved: reserved === undefined ? [] : [reserved.value],
  };
}

/** Why no container can have an address of a block, in words that follow the block's; undefined where one can. */
export function whyFull(given: NetworkSubnet): string | undefined {
  const range = addressRange(given);
  if (range !== undefined && hasRoom(range)) return undefined;
  return `has no address for a container${given.gateway === undefined ? "" : ` beside the gateway ${given.gateway}`}`;
}
