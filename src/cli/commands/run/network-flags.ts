import type { NetworkRequest } from "../../../container/options.ts";
import type { RunOptions } from "../../../engine/options.ts";
import { isOfOneDevice, parseHardwareAddress } from "../../../linux/netlink/hardware-address.ts";
import { UsageError } from "../../../util/errors.ts";
import { formatIpAddress, parseIpAddress } from "../../../util/ip-address.ts";
import { parseJoined } from "./namespace-flags.ts";

/** The flags that say which networks a container is in. */
export interface NetworkFlagValues {
  readonly network: readonly string[];
  readonly "network-alias": readonly string[];
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  readonly "mac-address": string | undefined;
}

type NetworkOptions = Pick<RunOptions, "network" | "networks">;

/**
 * Reads `--network` and the flags that go with it.
 * @param usual the network of containers that ask for none
 * @throws {UsageError} a value is not of its form, or does not go with the others
 */
export function parseNetworks(flags: NetworkFlagValues, usual: string): NetworkOptions {
  const texts = flags.network.filter((text) => text !== "");
  if (texts.length === 0) texts.push(usual);
  const [first = usual, ...others] = texts;
  const mode = parseMode(first);
  if (mode === undefined) return { network: "connected", networks: withFlags(texts.map(parseRequest), flags) };
  if (others.length > 0) {
    throw new UsageError(`--network ${first} is no network of gocker's: a container cannot be in others besides`);
  }
  refuseWithout(flags, first);
  return { network: mode };
}

/** What is no network of gocker's; undefined for a network. */
function parseMode(text: string): Exclude<RunOptions["network"], "connected"> | undefined {
  if (text === "host" || text === "none") return text;
  const joined = parseJoined("--network", text);
  if (joined !== undefined) return joined;
  if (!text.startsWith("ns:")) return undefined;
  const path = text.slice("ns:".length);
  if (path.startsWith("/")) return { path };
  throw new UsageError(`invalid --network ${JSON.stringify(text)}: ${JSON.stringify(path)} is not an absolute path`);
}

/** `NAME`, or Docker's `name=NAME,alias=OTHER,ip=ADDRESS,ip6=ADDRESS,mac-address=ADDRESS,gw-priority=NUMBER`. */
function parseRequest(text: string): NetworkRequest {
  if (!text.includes("=")) {
    if (parseMode(text) === undefined) return { network: text };
    throw new UsageError(`--network ${text} is no network of gocker's: a container cannot be in others besides`);
  }
  let network: string | undefined;
  const aliases: string[] = [];
  const wishes: { ipv4?: string; ipv6?: string; hardwareAddress?: string; gatewayPriority?: number } = {};
  for (const field of text.split(",")) {
    const [, key = "", value = ""] = /^([^=]+)=(.+)$/s.exec(field) ?? [];
    if (key === "name") network = value;
    else if (key === "alias") aliases.push(checkAlias(value));
    else if (key === "ip") wishes.ipv4 = checkAddress("--network ip", value, 4);
    else if (key === "ip6") wishes.ipv6 = checkAddress("--network ip6", value, 6);
    else if (key === "mac-address") wishes.hardwareAddress = checkHardwareAddress(value);
    else if (key === "gw-priority") wishes.gatewayPriority = parsePriority("--network gw-priority", value);
    else {
      throw new UsageError(`invalid --network ${JSON.stringify(text)}: ${JSON.stringify(field)} is no field of it`, {
        hint: "the fields are name, alias, ip, ip6, mac-address and gw-priority",
      });
    }
  }
  if (network === undefined) throw new UsageError(`invalid --network ${JSON.stringify(text)}: it has no name=NETWORK`);
  return { network, ...(aliases.length > 0 && { aliases }), ...wishes };
}

/** Flags of their own are about the first network, as with Docker. */
function withFlags(requests: readonly NetworkRequest[], flags: NetworkFlagValues): NetworkRequest[] {
  const [first, ...others] = requests;
  if (first === undefined) return [];
  const repeated = requests.find(({ network }, index) => requests.findIndex((one) => one.network === network) < index);
  if (repeated !== undefined) throw new UsageError(`--network ${repeated.network} is given twice`);
  const { ip, ip6, "mac-address": hardwareAddress, "network-alias": given } = flags;
  const aliases = [...(first.aliases ?? []), ...given.map(checkAlias)];
  const wanted = [
    {
      ...first,
      ...(aliases.length > 0 && { aliases }),
      ...(isGiven(ip) && { ipv4: checkAddress("--ip", ip, 4) }),
      ...(isGiven(ip6) && { ipv6: checkAddress("--ip6", ip6, 6) }),
      ...(isGiven(hardwareAddress) && { hardwareAddress: checkHardwareAddress(hardwareAddress) }),
    },
    ...others,
  ];
  for (const request of wanted) if (isDefault(request)) refuseOfDefault(request);
  return wanted;
}

function refuseOfDefault({ aliases = [], ipv4, ipv6 }: NetworkRequest): void {
  if (aliases.length > 0) {
    throw new UsageError(
      "containers of the default network find each other by no names: --network-alias is for others",
      {
        hint: "make a network with `gocker network create`, and name it by --network",
      },
    );
  }
  if (ipv4 !== undefined || ipv6 !== undefined) {
    throw new UsageError("addresses of the default network are not for the user to choose: --ip is for others", {
      hint: "make a network with `gocker network create --subnet …`, and name it by --network",
    });
  }
}

function refuseWithout(flags: NetworkFlagValues, mode: string): void {
  for (const flag of ["ip", "ip6", "mac-address", "network-alias"] as const) {
    const value = flags[flag];
    const isSet = typeof value === "string" ? value !== "" : (value?.length ?? 0) > 0;
    if (isSet) throw new UsageError(`--${flag} conflicts with --network ${mode}, which is no network of gocker's`);
  }
}

function isDefault({ network }: NetworkRequest): boolean {
  return network === "bridge" || network === "default";
}

function isGiven(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

function checkAddress(flag: string, text: string, family: 4 | 6): string {
  const address = parseIpAddress(text);
  if (address?.family === family) return formatIpAddress(address);
  throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}: it is no address of IPv${family}`);
}

function checkHardwareAddress(text: string): string {
  const address = parseHardwareAddress(text);
  if (address !== undefined && isOfOneDevice(address)) return address;
  throw new UsageError(`invalid --mac-address ${JSON.stringify(text)}: it is no hardware address of one device`, {
    hint: "it looks like 02:42:c0:a8:00:05",
  });
}

/**
 * Which of its networks gives a container its way out: see `byPriority`.
 * @throws {UsageError} it is no whole number of 32 bits
 */
export function parsePriority(flag: string, text: string): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Math.abs(value) < 2 ** 31) return value;
  throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}: it is no whole number`);
}

function checkAlias(text: string): string {
  if (/^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$/i.test(text)) return text;
  throw new UsageError(`invalid --network-alias ${JSON.stringify(text)}: it is no host name`);
}
