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
  const address = parseAddress(host);
  if (address === undefined) return false;
  return address.bits === 32 ? address.value >> 24n === 127n : address.value === 1n || isMappedLoopback(address.value);
}

/** Whether an IP address lies in a block such as `10.0.0.0/8` or `fd00::/8`. Names never do. */
export function inBlock(host: string, block: string): boolean {
  const [base = "", length] = block.split("/");
  const [address, network] = [parseAddress(host), parseAddress(base)];
  if (address === undefined || network === undefined || address.bits !== network.bits) return false;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return false;
  const prefix = length === undefined ? network.bits : Number(length);
  if (prefix > network.bits) return false;
  const shift = BigInt(network.bits - prefix);
  return address.value >> shift === network.value >> shift;
}

/** An IP address as a number; undefined for a name. */
export function parseAddress(text: string): { bits: 32 | 128; value: bigint } | undefined {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    if (parts.some((part) => part > 255)) return undefined;
    return { bits: 32, value: parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
  }
  if (!text.includes(":") || !/^[0-9a-f:.]+$/i.test(text)) return undefined;
  let canonical: string;
  try {
    canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
  const [head = "", tail] = canonical.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
  return { bits: 128, value: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}

function isMappedLoopback(value: bigint): boolean {
  return value >> 32n === 0xffffn && (value & 0xffffffffn) >> 24n === 127n;
}
