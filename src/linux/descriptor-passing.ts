import { ptr } from "bun:ffi";
import { OwnedFd, pollWritable } from "./fd.ts";
import { errnos, systemCallError } from "./errno.ts";
import { words, type Words } from "./launch/plan.ts";
import { errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";
import { InvalidDocumentError } from "../util/errors.ts";

const solSocket = 1;
const scmRights = 1;
/** Of a `struct cmsghdr` with one descriptor, and of the room that it takes. cmsg(3), CMSG_LEN and CMSG_SPACE */
const controlLength = 20;
const controlSpace = 24;

/** A `struct cmsghdr` with one descriptor. */
function controlMessage(descriptor: number): Uint8Array {
  const control = new DataView(new ArrayBuffer(controlSpace));
  control.setBigUint64(0, BigInt(controlLength), true);
  control.setInt32(8, solSocket, true);
  control.setInt32(12, scmRights, true);
  control.setInt32(16, descriptor, true);
  return new Uint8Array(control.buffer);
}

/** A `struct msghdr` with one byte of data and one descriptor, for a step of a launch plan. sendmsg(2), cmsg(3) */
export function messageWithDescriptor(descriptor: number): Words {
  return words(0, 0, words(new Uint8Array(1), 1), 1, controlMessage(descriptor), controlSpace, 0);
}

/** EPIPE instead of a signal when the other end is closed. send(2), MSG_NOSIGNAL */
export const noSignal = 0x4000;

/** Milliseconds in which everything is to be taken. */
const patience = 10_000;

/**
 * Sends bytes, and one descriptor with the first of them, over a connected unix socket. sendmsg(2), unix(7) SCM_RIGHTS
 * @param step what it is for, in words
 * @param timeout in milliseconds: whoever takes nothing must not keep gocker from being stopped
 * @throws SystemCallError also when the other end has not taken all of it by then: ETIMEDOUT
 */
export function sendWithDescriptor(
  socket: number,
  bytes: Uint8Array,
  descriptor: number,
  step: string,
  timeout = patience,
): void {
  const deadline = performance.now() + timeout;
  for (let sent = 0; sent < bytes.length;) {
    const count = send(socket, bytes.subarray(sent), sent === 0 ? controlMessage(descriptor) : undefined);
    if (count >= 0) {
      sent += count;
      continue;
    }
    const number = errno();
    if (number === errnos.EINTR) continue;
    if (number !== errnos.EAGAIN) throw systemCallError("sendmsg", { step }, number);
    const left = Math.ceil(deadline - performance.now());
    if (left > 0 && pollWritable(socket, left)) continue;
    const hint = `whoever listens there did not read the message within ${timeout} ms`;
    if (performance.now() >= deadline) throw systemCallError("sendmsg", { step, hint }, errnos.ETIMEDOUT);
  }
}

/**
 * Sends a datagram that is nothing but a descriptor, waiting as long as the socket's own timeout lets it. sendmsg(2)
 * @param step what it is for, in words
 * @throws SystemCallError
 */
export function sendDescriptorAlone(socket: number, descriptor: number, step: string): void {
  const control = controlMessage(descriptor);
  const message = new BigUint64Array([0n, 0n, 0n, 0n, BigInt(ptr(control)), BigInt(controlSpace), 0n]);
  const sendmsg = syscallNumber("sendmsg");
  while (Number(libc.syscall(sendmsg, socket, ptr(message), noSignal, 0, 0, 0)) < 0) {
    const number = errno();
    if (number !== errnos.EINTR) throw systemCallError("sendmsg", { step }, number);
  }
}

/** @returns how many bytes were sent, without waiting; -1 with its reason in {@link errno} */
function send(socket: number, bytes: Uint8Array, control: Uint8Array | undefined): number {
  const dontWait = 0x40;
  const iov = new BigUint64Array([BigInt(ptr(bytes)), BigInt(bytes.length)]);
  const [address, space] = control === undefined ? [0n, 0n] : [BigInt(ptr(control)), BigInt(controlSpace)];
  const message = new BigUint64Array([0n, 0n, BigInt(ptr(iov)), 1n, address, space, 0n]);
  return Number(libc.syscall(syscallNumber("sendmsg"), socket, ptr(message), noSignal | dontWait, 0, 0, 0));
}

/**
 * Receives one file descriptor from a connected unix socket. recvmsg(2), unix(7) SCM_RIGHTS
 * @param what the message is to bring, as errors call it
 * @returns undefined when the other end closed without sending one
 * @throws SystemCallError
 */
export function receiveDescriptor(socket: number, what: string): OwnedFd | undefined {
  const closeOnExec = 0x4000_0000;
  const data = new Uint8Array(1);
  const control = new BigUint64Array(3);
  const iov = new BigUint64Array([BigInt(ptr(data)), 1n]);
  const space = BigInt(controlSpace);
  const message = new BigUint64Array([0n, 0n, BigInt(ptr(iov)), 1n, BigInt(ptr(control)), space, 0n]);
  const count = Number(libc.syscall(syscallNumber("recvmsg"), socket, ptr(message), closeOnExec, 0, 0, 0));
  if (count < 0) throw systemCallError("recvmsg", { step: `take ${what}` });
  if (count === 0) return undefined;
  const received = new Int32Array(control.buffer);
  const carriesOne = control[0] === BigInt(controlLength) && received[2] === solSocket && received[3] === scmRights;
  if (!carriesOne) throw new InvalidDocumentError(`the message that should bring ${what} carries no descriptor`);
  return new OwnedFd(received[4] as number);
}
