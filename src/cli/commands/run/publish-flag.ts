import type { PortRequest } from "../../../container/options.ts";
import { UsageError } from "../../../util/errors.ts";
import { formatIpAddress, type IpAddress, parseIpAddress } from "../../../util/ip-address.ts";

/** A range of ports. */
interface Ports {
  readonly first: number;
  readonly last: number;
}

/**
 * A value of `-p`. A range of the container's ports takes one of the host's of the same length, port by port; one port of
 * the container takes any that is free of a range of the host's.
 * @throws {UsageError}
 */
export function parsePublished(text: string): PortRequest[] {
  const { address, host, container, protocol } = partsOf(text);
  const containerPorts = parsePorts(container, text);
  const length = containerPorts.last - containerPorts.first + 1;
  const hostPorts = host === undefined ? undefined : parsePorts(host, text, { least: 0 });
  const isSpread = hostPorts !== undefined && hostPorts.last - hostPorts.first + 1 === length;
  if (hostPorts !== undefined && !isSpread && length > 1) {
    throw invalid(text, "its two ranges of ports are not of one length");
  }
  return Array.from({ length }, (_, index) => ({
    protocol,
    ...(address !== undefined && { hostAddress: address }),
    ...hostPortsOf(hostPorts, isSpread, index),
    containerPort: containerPorts.first + index,
  }));
}

function hostPortsOf(ports: Ports | undefined, isSpread: boolean, index: number): { readonly hostPorts?: Ports } {
  // Docker takes port 0 for "any".
  if (ports === undefined || ports.first === 0) return {};
  if (!isSpread) return { hostPorts: ports };
  return { hostPorts: { first: ports.first + index, last: ports.first + index } };
}

function partsOf(text: string) {
  const [, rest = "", name = "tcp"] = /^(.*?)(?:\/([^/]*))?$/s.exec(text) ?? [];
  const protocol = name.toLowerCase();
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp") {
    throw invalid(text, `${JSON.stringify(name)} is none of the protocols tcp, udp and sctp`);
  }
  const bracketed = /^\[([^\]]*)\]:(.*)$/s.exec(rest);
  const words = (bracketed?.[2] ?? rest).split(":");
  const container = words.pop() ?? "";
  const host = words.pop();
  const address = bracketed?.[1] ?? words.pop();
  if (words.length > 0) throw invalid(text, "it has too many parts");
  return {
    address: address === undefined || address === "" ? undefined : checkAddress(address, text),
    host: host === undefined || host === "" ? undefined : host,
    container,
    protocol,
  } as const;
}

function checkAddress(word: string, text: string): string {
  const parsed = parseIpAddress(word);
  if (parsed === undefined) throw invalid(text, `${JSON.stringify(word)} is no IP address of the host`);
  const address = unmapped(parsed);
  const kind = kindOfMany(address);
  if (kind !== undefined) throw invalid(text, `${JSON.stringify(word)} is ${kind}, and none of the host alone`);
  return formatIpAddress(address);
}

/** An address of IPv4 in the form of one of IPv6 is that of IPv4. RFC 4291 2.5.5.2 */
function unmapped(address: IpAddress): IpAddress {
  const isMapped = address.family === 6 && address.value >> 32n === 0xffffn;
  return isMapped ? { family: 4, value: address.value & 0xffff_ffffn } : address;
}

/** What an address of many hosts is by its form alone. RFC 5771, RFC 919 7, RFC 4291 2.7 */
function kindOfMany({ family, value }: IpAddress): string | undefined {
  if (family === 4 && value === 0xffff_ffffn) return "the broadcast address";
  const isMulticast = family === 4 ? value >> 28n === 0xen : value >> 120n === 0xffn;
  return isMulticast ? "a multicast address" : undefined;
}

function parsePorts(word: string, text: string, { least = 1 } = {}): Ports {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || first < least || last > 65_535) {
    throw invalid(text, `${JSON.stringify(word)} is no port and no range of ports`);
  }
  if (first > last) throw invalid(text, `the range ${word} ends before it begins`);
  return { first, last };
}

function invalid(text: string, reason: string): UsageError {
  return new UsageError(`invalid --publish ${JSON.stringify(text)}: ${reason}`, {
    hint: "it looks like 8080:80, 127.0.0.1:8080:80, 53:53/udp or 8000-8010:8000-8010",
  });
}
