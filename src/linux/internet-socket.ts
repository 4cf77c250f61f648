import { ptr } from "bun:ffi";
import { addressBytes, addressOfBytes, formatIpAddress, type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { bindLibc, errno, libc } from "./libc.ts";
import { setSocketOption, socketFlags } from "./socket.ts";
import { syscallNumber } from "./syscalls.ts";

/** Where something of TCP or UDP is. */
export interface SocketAddress {
  readonly address: IpAddress;
  readonly port: number;
  /** The index of the network device that an address of IPv6 is valid at, when it is valid at one alone. RFC 4007 */
  readonly scope?: number;
}

const addressFamilies = { 4: 2, 6: 10 } as const;
const socketTypes = { stream: 1, datagram: 2 } as const;

/** How many connections wait for whoever listens, before others are refused. listen(2) */
const usualBacklog = 128;

/** A `struct sockaddr_in` or `sockaddr_in6`, as system calls take it. ip(7), ipv6(7) */
export function encodeSocketAddress({ address, port, scope = 0 }: SocketAddress): Uint8Array {
  const bytes = new Uint8Array(address.family === 4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, addressFamilies[address.family], true);
  view.setUint16(2, port);
  bytes.set(addressBytes(address), address.family === 4 ? 4 : 8);
  if (address.family === 6) view.setUint32(24, scope, true);
  return bytes;
}

/** What a `struct sockaddr_in` or `sockaddr_in6` says. @throws TypeError it is of another family */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = bytes.length < 16 ? 0 : view.getUint16(0, true);
  if (family === addressFamilies[4]) {
    return { address: addressOfBytes(bytes.subarray(4, 8)), port: view.getUint16(2) };
  }
  if (family !== addressFamilies[6] || bytes.length < 28) throw new TypeError("this is no address of the internet");
  const scope = view.getUint32(24, true);
  return { address: addressOfBytes(bytes.subarray(8, 24)), port: view.getUint16(2), ...(scope !== 0 && { scope }) };
}

/**
 * `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]:53`; an address of IPv6 may have a zone, such as
 * `fe80::1%eth0` or `fe80::1%2`. RFC 4007 11
 * @returns undefined for anything else, and for a zone that there is not here
 */
export function parseSocketAddress(text: string, usualPort: number): SocketAddress | undefined {
  const parts = /^\[([^[\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([\d.]+):(\d{1,5})$/.exec(text) ?? [text, text];
  const [, host = "", digits = String(usualPort)] = parts;
  const [, plain = "", zone] = /^([^%]+)(?:%(.+))?$/.exec(host) ?? [];
  const address = parseIpAddress(plain);
  const port = Number(digits);
  if (address === undefined || port > 0xffff) return undefined;
  if (text.startsWith("[") && address.family === 4) return undefined;
  if (zone === undefined) return { address, port };
  const scope = address.family === 4 ? 0 : zoneIndex(zone);
  return scope === 0 ? undefined : { address, port, scope };
}

/** The index of a network device by its name or its digits; 0 when there is none. if_nametoindex(3) */
function zoneIndex(zone: string): number {
  if (/^\d{1,9}$/.test(zone)) return Number(zone);
  if (zone.includes("\0")) return 0;
  return bindLibc({ if_nametoindex: { args: ["cstring"], returns: "u32" } }).if_nametoindex(zone);
}

export function formatSocketAddress({ address, port }: SocketAddress): string {
  const host = formatIpAddress(address);
  return address.family === 4 ? `${host}:${port}` : `[${host}]:${port}`;
}

/**
 * A socket of TCP (`stream`) or UDP (`datagram`) whose calls do not wait, in gocker's own network. One of IPv6 has nothing
 * to do with IPv4. socket(2); ipv6(7), IPV6_V6ONLY
 * @throws SystemCallError
 */
export function openInternetSocket(family: 4 | 6, type: keyof typeof socketTypes): OwnedFd {
  const kind = socketTypes[type] | socketFlags.nonBlocking | socketFlags.closeOnExec;
  const number = Number(libc.syscall(syscallNumber("socket"), addressFamilies[family], kind, 0, 0, 0, 0));
  if (number < 0) throw systemCallError("socket");
  const socket = new OwnedFd(number);
  try {
    const [ipv6, onlyIpv6] = [41, 26];
    if (family === 6) setSocketOption(socket, ipv6, onlyIpv6, 1);
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** Gives a socket its own address. Port 0 is one that the kernel chooses. bind(2) @throws SystemCallError */
export function bindSocket(socket: OwnedFd, address: SocketAddress): void {
  callWith("bind", socket, address);
}

/**
 * Listens for connections of TCP. A port whose last connections are just ending is no obstacle. listen(2); socket(7),
 * SO_REUSEADDR
 * @throws SystemCallError
 */
export function listenAt(socket: OwnedFd, address: SocketAddress, backlog = usualBacklog): void {
  const [solSocket, reuseAddress] = [1, 2];
  setSocketOption(socket, solSocket, reuseAddress, 1);
  bindSocket(socket, address);
  if (Number(libc.syscall(syscallNumber("listen"), socket.number, backlog, 0, 0, 0, 0)) < 0) {
    throw systemCallError("listen", { path: formatSocketAddress(address) });
  }
}

/**
 * Connects a socket, or lets UDP exchange datagrams with this address alone. For TCP that only begins here: when poll(2)
 * says that the socket is writable, `socketError` tells how it went. connect(2)
 * @throws SystemCallError
 */
export function startConnecting(socket: OwnedFd, address: SocketAddress): void {
  callWith("connect", socket, address, errnos.EINPROGRESS);
}

function callWith(name: "bind" | "connect", socket: OwnedFd, address: SocketAddress, allowed?: number): void {
  const bytes = encodeSocketAddress(address);
  if (Number(libc.syscall(syscallNumber(name), socket.number, ptr(bytes), bytes.length, 0, 0, 0)) >= 0) return;
  const reason = errno();
  if (reason !== allowed) throw systemCallError(name, { path: formatSocketAddress(address) }, reason);
}

/** A socket's own address, such as the port that the kernel has chosen. getsockname(2) @throws SystemCallError */
export function localAddress({ number }: OwnedFd): SocketAddress {
  const bytes = new Uint8Array(28);
  const size = new Uint32Array([bytes.length]);
  if (Number(libc.syscall(syscallNumber("getsockname"), number, ptr(bytes), ptr(size), 0, 0, 0)) < 0) {
    throw systemCallError("getsockname");
  }
  return decodeSocketAddress(bytes.subarray(0, size[0]));
}
