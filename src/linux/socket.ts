import { ptr } from "bun:ffi";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

// What sockets of all families do. A call of these that would have to wait does nothing instead, whether the socket is
// non-blocking or not.

/** Flags of socket(2) and accept4(2), beside the type. */
export const socketFlags = { nonBlocking: 0o4000, closeOnExec: 0o2000000 } as const;

const [dontWait, noSignal] = [0x40, 0x4000];

/**
 * The next connection to a socket that listens, which has one to accept. accept(2)
 * @returns undefined when whoever wanted it has gone again
 * @throws SystemCallError
 */
export function acceptConnection({ number }: OwnedFd): OwnedFd | undefined {
  const { closeOnExec } = socketFlags;
  const connection = Number(libc.syscall(syscallNumber("accept4"), number, 0, 0, closeOnExec, 0, 0));
  if (connection >= 0) return new OwnedFd(connection);
  const reason = errno();
  if (reason === errnos.ECONNABORTED || reason === errnos.EAGAIN || reason === errnos.EINTR) return undefined;
  throw systemCallError("accept4", {}, reason);
}

/**
 * Sends as much of `bytes` as can be without waiting, over a connected socket. send(2), MSG_DONTWAIT
 * @returns how much that was: 0 when the socket takes nothing at present
 * @throws SystemCallError
 */
export function sendSome({ number }: OwnedFd, bytes: Uint8Array): number {
  const flags = dontWait | noSignal;
  const count = Number(libc.syscall(syscallNumber("sendto"), number, startOf(bytes), bytes.length, flags, 0, 0));
  if (count >= 0) return count;
  const reason = errno();
  if (reason === errnos.EAGAIN || reason === errnos.EINTR) return 0;
  throw systemCallError("sendto", {}, reason);
}

/**
 * Receives what has come over a connected socket, without waiting. recv(2), MSG_DONTWAIT
 * @returns a part of `buffer`; empty at the end of a stream, undefined when nothing has come
 * @throws SystemCallError
 */
export function receiveSome(socket: OwnedFd, buffer: Uint8Array): Uint8Array | undefined {
  return receive(socket, buffer, 0);
}

function receive({ number }: OwnedFd, buffer: Uint8Array, flags: number): Uint8Array | undefined {
  const call = syscallNumber("recvfrom");
  const count = Number(libc.syscall(call, number, ptr(buffer), buffer.length, dontWait | flags, 0, 0));
  if (count >= 0) return buffer.subarray(0, count);
  const reason = errno();
  if (reason === errnos.EAGAIN || reason === errnos.EINTR) return undefined;
  throw systemCallError("recvfrom", {}, reason);
}

/**
 * Looks at what has come over a connected socket, without taking it or waiting. recv(2), MSG_PEEK
 * @returns as {@link receiveSome}
 * @throws SystemCallError
 */
export function peekSome(socket: OwnedFd, buffer: Uint8Array): Uint8Array | undefined {
  return receive(socket, buffer, 0x2);
}

/** Takes so many bytes that have come over TCP, and which nobody wants to see any more. tcp(7), MSG_TRUNC @throws SystemCallError */
export function discardReceived({ number }: OwnedFd, count: number): void {
  const [discard, call] = [0x20, syscallNumber("recvfrom")];
  for (let left = count; left > 0;) {
    const discarded = Number(libc.syscall(call, number, 0, left, dontWait | discard, 0, 0));
    if (discarded < 0 && errno() === errnos.EINTR) continue;
    if (discarded <= 0) throw systemCallError("recvfrom");
    left -= discarded;
  }
}

/** A datagram, and where it came from: a `sockaddr` to answer to. */
export interface Datagram {
  /** What there was room for. */
  readonly bytes: Uint8Array;
  /** The length that it had: more than those when it was cut off. */
  readonly length: number;
  readonly source: Uint8Array;
}

/**
 * Receives the next datagram, without waiting. recvfrom(2), MSG_DONTWAIT
 * @param buffer which the datagram's bytes are a part of
 * @returns undefined when none has come
 * @throws SystemCallError
 */
export function receiveDatagram({ number }: OwnedFd, buffer: Uint8Array): Datagram | undefined {
  const wholeLength = 0x20;
  const source = new Uint8Array(longestAddress);
  const size = new Uint32Array([source.length]);
  const flags = dontWait | wholeLength;
  const call = syscallNumber("recvfrom");
  const length = Number(libc.syscall(call, number, ptr(buffer), buffer.length, flags, ptr(source), ptr(size)));
  if (length >= 0) {
    const bytes = buffer.subarray(0, Math.min(length, buffer.length));
    return { bytes, length, source: source.subarray(0, size[0]) };
  }
  const reason = errno();
  if (reason === errnos.EAGAIN || reason === errnos.EINTR) return undefined;
  throw systemCallError("recvfrom", {}, reason);
}

/** Of a `sockaddr_in6`; those of unix sockets that have no name are shorter. */
const longestAddress = 28;

/**
 * Sends a datagram, without waiting. sendto(2), MSG_DONTWAIT
 * @param destination a `sockaddr`
 * @returns false when the socket takes nothing at present
 * @throws SystemCallError
 */
export function sendDatagram({ number }: OwnedFd, bytes: Uint8Array, destination: Uint8Array): boolean {
  const { length } = bytes;
  const flags = dontWait | noSignal;
  const call = syscallNumber("sendto");
  const count = libc.syscall(call, number, startOf(bytes), length, flags, ptr(destination), destination.length);
  if (Number(count) >= 0) return true;
  const reason = errno();
  if (reason === errnos.EAGAIN || reason === errnos.EINTR) return false;
  throw systemCallError("sendto", {}, reason);
}

/** Where bytes are in memory: there may be none, as in a datagram that is empty. */
function startOf(bytes: Uint8Array): number {
  return bytes.length === 0 ? 0 : ptr(bytes);
}

/**
 * Has a connection of TCP be broken off when it is closed: who is at the other end must not take it for whole. socket(7),
 * SO_LINGER
 * @throws SystemCallError
 */
export function resetOnClose({ number }: OwnedFd): void {
  const [solSocket, soLinger] = [1, 13];
  const atOnce = new Int32Array([1, 0]);
  const call = syscallNumber("setsockopt");
  if (Number(libc.syscall(call, number, solSocket, soLinger, ptr(atOnce), atOnce.byteLength, 0)) < 0) {
    throw systemCallError("setsockopt");
  }
}

/** Sets a socket's option that is a number. setsockopt(2) @throws SystemCallError */
export function setSocketOption({ number }: OwnedFd, level: number, option: number, value: number): void {
  const bytes = new Int32Array([value]);
  const call = syscallNumber("setsockopt");
  if (Number(libc.syscall(call, number, level, option, ptr(bytes), bytes.byteLength, 0)) < 0) {
    throw systemCallError("setsockopt");
  }
}

/**
 * Why a connection that was begun without waiting has failed, or what else has happened to a socket; asked once.
 * socket(7), SO_ERROR
 * @returns an error number; 0 when all is well
 * @throws SystemCallError
 */
export function socketError({ number }: OwnedFd): number {
  const [solSocket, soError] = [1, 4];
  const value = new Int32Array(1);
  const size = new Uint32Array([value.byteLength]);
  const call = syscallNumber("getsockopt");
  if (Number(libc.syscall(call, number, solSocket, soError, ptr(value), ptr(size), 0)) < 0) {
    throw systemCallError("getsockopt");
  }
  return value[0] as number;
}

/** Tells the other end of a connection that nothing more comes, while it may still send. shutdown(2) @throws SystemCallError */
export function shutDownSending({ number }: OwnedFd): void {
  const write = 1;
  if (Number(libc.syscall(syscallNumber("shutdown"), number, write, 0, 0, 0, 0)) < 0) throw systemCallError("shutdown");
}
