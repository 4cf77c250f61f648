import { ptr } from "bun:ffi";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";
import { socketFlags } from "./socket.ts";
import { syscallNumber } from "./syscalls.ts";
import { UsageError } from "../util/errors.ts";

const addressFamilyUnix = 1;
const socketTypes = { stream: 1, datagram: 2 } as const;
/** `sun_path` has 108 bytes, the NUL among them. unix(7) */
const longestPath = 107;
/** Milliseconds. */
const longestWait = 10_000;

/** How many connections wait for whoever listens, before others are refused. listen(2) */
const backlog = 128;

/**
 * A connection to a unix socket with a path. connect(2), unix(7)
 * @param patience how many milliseconds to wait for whoever listens there, for the connection and whenever something is
 *   sent, by whoever has the socket, which fails with EAGAIN then: an agent or a manager of terminals that is stuck must not
 *   keep gocker from being stopped. socket(7), SO_SNDTIMEO
 * @param type of the socket that is there
 * @throws UsageError the path is too long; SystemCallError
 */
export function connectUnix(path: string, patience = longestWait, type: keyof typeof socketTypes = "stream"): OwnedFd {
  const address = addressOf(path);
  const socket = createSocket(type);
  const { number } = socket;
  try {
    setSendTimeout(number, patience);
    if (Number(libc.syscall(syscallNumber("connect"), number, ptr(address), address.length, 0, 0, 0)) < 0) {
      const reason = errno();
      const hint = reason === errnos.EAGAIN ? "whoever listens there takes no connections" : undefined;
      throw systemCallError("connect", { path, hint }, reason);
    }
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * A unix socket that listens at a path, which must be free. bind(2), listen(2)
 * @throws UsageError the path is too long; SystemCallError
 */
export function listenUnix(path: string): OwnedFd {
  const address = addressOf(path);
  const socket = createSocket("stream");
  try {
    const { number } = socket;
    if (Number(libc.syscall(syscallNumber("bind"), number, ptr(address), address.length, 0, 0, 0)) < 0) {
      throw systemCallError("bind", { path });
    }
    if (Number(libc.syscall(syscallNumber("listen"), number, backlog, 0, 0, 0, 0)) < 0) {
      throw systemCallError("listen", { path });
    }
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

function createSocket(type: keyof typeof socketTypes): OwnedFd {
  const kind = socketTypes[type] | socketFlags.closeOnExec;
  const number = Number(libc.syscall(syscallNumber("socket"), addressFamilyUnix, kind, 0, 0, 0, 0));
  if (number < 0) throw systemCallError("socket");
  return new OwnedFd(number);
}

/** A `struct sockaddr_un`. unix(7) */
function addressOf(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length > longestPath) {
    throw new UsageError(`the path of the socket is longer than ${longestPath} bytes: ${path}`, {
      hint: "name it by a shorter path, such as one relative to the current directory",
    });
  }
  const address = Buffer.alloc(2 + longestPath + 1);
  address.writeUInt16LE(addressFamilyUnix, 0);
  name.copy(address, 2);
  return address;
}

/** Lets nobody wait longer to send something: it fails with EAGAIN then. socket(7), SO_SNDTIMEO @throws SystemCallError */
export function setSendTimeout(socket: number, milliseconds: number): void {
  const [solSocket, sendTimeout] = [1, 21];
  const time = new BigUint64Array([BigInt(Math.floor(milliseconds / 1000)), BigInt((milliseconds % 1000) * 1000)]);
  const { byteLength } = time;
  if (Number(libc.syscall(syscallNumber("setsockopt"), socket, solSocket, sendTimeout, ptr(time), byteLength, 0)) < 0) {
    throw systemCallError("setsockopt");
  }
}
