import { addressBits, isInSubnet, parseIpAddress, parseSubnet } from "../util/ip-address.ts";

/** A host name and its port, as a URL or a registry's name has them. */
export interface HostPort {
  /** In lower case, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number | undefined;
}

/** Splits `host`, `host:port`, `[::1]:port`; undefined when it is of no such form. */
export function parseHostPort(text: string): HostPort | undefined {
  const found = /^(?:\[([0-9a-f:.]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?$/i.exec(text);
  if (found === null) return undefined;
  const port = found[3] === undefined ? undefined : Number(found[3]);
  return { host: (found[1] ?? found[2] ?? "").toLowerCase(), port };
}

/** Whether a host is this machine by its very name: localhost, 127.0.0.0/8, ::1. Names are not looked up. */
export function isLoopback(host: string): boolean {
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  const address = parseIpAddress(host);
  if (address === undefined) return false;
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n || isMappedLoopback(address.value);
}

/** Whether an IP address lies in a block such as `10.0.0.0/8` or `fd00::/8`. Names never do. */
export function inBlock(host: string, block: string): boolean {
  const [base = "", length] = block.split("/");
  const address = parseIpAddress(host);
  const network = parseIpAddress(base);
  if (address === undefined || network === undefined) return false;
  const subnet = parseSubnet(length === undefined ? `${base}/${addressBits(network.family)}` : block);
  return subnet !== undefined && isInSubnet(address, subnet);
}

function isMappedLoopback(value: bigint): boolean {
  return value >> 32n === 0xffffn && (value & 0xffffffffn) >> 24n === 127n;
}
