import { RouteSocket } from "../linux/netlink/socket.ts";
import { findLink } from "../linux/netlink/links.ts";
import { macvlanModes } from "../linux/netlink/virtual-links.ts";
import { ConflictError, UsageError } from "../util/errors.ts";
import { freeBridgeName } from "./bridge-name.ts";
import { mtuOptions, whyNoMtu } from "./mtu.ts";
import { type NetworkStore, parseNetworkName } from "./networks.ts";
import { findParent } from "./parent-device.ts";
import type { NetworkRecord, NetworkSubnet } from "./record.ts";
import { type SubnetWish, wantedSubnets } from "./wanted-subnets.ts";

/** What a user wants of a network. */
export interface NetworkWish extends SubnetWish {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

/** Docker's options of its drivers that gocker has, and what their values must be. */
const knownOptions: Readonly<Record<string, RegExp>> = {
  "com.docker.network.bridge.name": /^[^\s/:.][^\s/:]{0,14}$/,
  "com.docker.network.bridge.enable_ip_masquerade": /^(?:true|false)$/,
  ...Object.fromEntries(mtuOptions.map((name) => [name, /^\d+$/])),
  parent: /^[^\s/:]{1,15}$/,
  macvlan_mode: new RegExp(`^(?:${Object.keys(macvlanModes).join("|")})$`),
};

/**
 * Puts a network on record. Its devices are made when the first container is in it.
 * @throws UsageError a wish is none, or does not go with the others; ConflictError the name, the addresses or the bridge
 *   are taken; NotFoundError the host has no such device; SystemCallError
 */
export async function createNetwork(store: NetworkStore, wish: NetworkWish): Promise<NetworkRecord> {
  const name = parseNetworkName(wish.name);
  checkOptions(wish);
  using socket = RouteSocket.open();
  using _lock = await store.lockRecords();
  const others = store.list();
  if (others.some((other) => other.name === name)) throw taken(name);
  const device = deviceFor(wish, socket, others);
  const subnets = wantedSubnets(wish, socket, others);
  checkMtu(wish, subnets);
  const { driver, internal, labels, options } = wish;
  return store.add({ name, driver, device, subnets, internal, labels, options });
}

function taken(name: string): ConflictError {
  return new ConflictError(`there is a network ${name} already`, {
    hint: `choose another name, or remove it with \`gocker network rm ${name}\``,
  });
}

function checkOptions({ driver, options }: NetworkWish): void {
  for (const [key, value] of Object.entries(options)) {
    const form = Object.hasOwn(knownOptions, key) ? knownOptions[key] : undefined;
    const isMacvlans = key === "parent" || key === "macvlan_mode";
    if (form === undefined || (isMacvlans && driver !== "macvlan")) {
      throw new UsageError(`the driver ${driver} has no option ${JSON.stringify(key)}`, {
        hint: `there are ${Object.keys(knownOptions).join(", ")}`,
      });
    }
    if (!form.test(value)) throw new UsageError(`invalid --opt ${key}=${value}`);
  }
}

function checkMtu({ options }: NetworkWish, subnets: readonly NetworkSubnet[]): void {
  for (const name of mtuOptions) {
    const value = options[name];
    const why = value === undefined ? undefined : whyNoMtu(Number(value), subnets);
    if (why !== undefined) throw new UsageError(`invalid --opt ${name}=${value}: ${why}`);
  }
}

function deviceFor(
  { driver, options, name }: NetworkWish,
  socket: RouteSocket,
  others: readonly NetworkRecord[],
): string {
  if (driver === "macvlan") {
    const { parent } = options;
    if (parent === undefined) {
      throw new UsageError("a macvlan network needs the device of the host whose network it is", {
        hint: "name it with --opt parent=eth0",
      });
    }
    return findParent({ name, device: parent, options }, socket).name;
  }
  const asked = options["com.docker.network.bridge.name"];
  if (asked === undefined) return freeBridgeName(socket, others);
  if (others.some(({ device }) => device === asked)) {
    throw new ConflictError(`the bridge ${asked} is that of another network than ${name} would be`);
  }
  if (findLink(socket, asked) !== undefined) throw new ConflictError(`the host has a network device ${asked} already`);
  return asked;
}
