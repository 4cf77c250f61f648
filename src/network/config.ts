import { UsageError } from "../util/errors.ts";
import { parseSubnet, type Subnet } from "../util/ip-address.ts";
import { readIfThere } from "../util/read-if-there.ts";
import { whyFull } from "./given-addresses.ts";
import { subnetWithGateway } from "./subnets.ts";
import { whyUnfit } from "./unfit-subnets.ts";

/** What is configured for the default network. */
export interface DefaultNetworkConfig {
  /** Of each family at most one; what is missing gocker chooses. */
  readonly subnets: readonly Subnet[];
  /** It has addresses of IPv6, too. */
  readonly ipv6: boolean;
}

/** Read when `GOCKER_CONFIG` names no other file. */
const usualPath = "/etc/gocker/config.json";

/**
 * Reads what gocker's configuration file says of networks; other keys belong to others.
 *
 *     { "network": { "subnets": ["10.5.0.0/16", "fd00:5::/64"], "ipv6": true } }
 *
 * @throws UsageError with the file and the key that is wrong
 */
export function readDefaultNetworkConfig(
  environment: Record<string, string | undefined> = process.env,
): DefaultNetworkConfig {
  const path = environment["GOCKER_CONFIG"] || usualPath;
  return parseDefaultNetworkConfig(readIfThere(path) ?? "{}", path);
}

/** Reads the file's text; `path` is for errors. @throws UsageError */
export function parseDefaultNetworkConfig(text: string, path: string): DefaultNetworkConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const { network = {} } = objectOf(value, path, "the file");
  const settings = objectOf(network, path, "network");
  const unknown = Object.keys(settings).find((key) => key !== "subnets" && key !== "ipv6");
  if (unknown !== undefined) {
    throw new UsageError(`${path}: network has the unknown key ${JSON.stringify(unknown)} (known: subnets, ipv6)`);
  }
  const { subnets = [], ipv6 } = settings;
  if (!Array.isArray(subnets)) throw new UsageError(`${path}: network.subnets must be a list of strings`);
  const parsed = subnets.map((subnet) => subnetOf(subnet, path));
  const hasIpv6 = parsed.some(({ family }) => family === 6);
  if (ipv6 !== undefined && typeof ipv6 !== "boolean") {
    throw new UsageError(`${path}: network.ipv6 must be true or false`);
  }
  if (new Set(parsed.map(({ family }) => family)).size < parsed.length) {
    throw new UsageError(`${path}: network.subnets has two blocks of one family`);
  }
  return { subnets: parsed, ipv6: ipv6 ?? hasIpv6 };
}

function objectOf(value: unknown, path: string, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new UsageError(`${path}: ${where} must be an object`);
}

function subnetOf(value: unknown, path: string): Subnet {
  const subnet = typeof value === "string" ? parseSubnet(value) : undefined;
  const why =
    subnet === undefined ? "is no block of addresses" : (whyUnfit(subnet) ?? whyFull(subnetWithGateway(subnet)));
  if (subnet !== undefined && why === undefined) return subnet;
  throw new UsageError(`${path}: network.subnets: ${JSON.stringify(value)} ${why}`, { hint: 'write "10.5.0.0/16"' });
}
