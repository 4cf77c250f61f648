import { ptr } from "bun:ffi";
import { OwnedFd } from "./fd.ts";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";
import { InvalidDocumentError } from "../util/errors.ts";

/**
 * Receives one file descriptor from a connected unix socket. recvmsg(2), unix(7) SCM_RIGHTS
 * @returns undefined when the other end closed without sending one
 * @throws SystemCallError
 */
export function receiveDescriptor(socket: number): OwnedFd | undefined {
  const closeOnExec = 0x4000_0000;
  const data = new Uint8Array(1);
  const control = new BigUint64Array(3);
  const iov = new BigUint64Array([BigInt(ptr(data)), 1n]);
  const message = new BigUint64Array([0n, 0n, BigInt(ptr(iov)), 1n, BigInt(ptr(control)), 24n, 0n]);
  const count = Number(libc.syscall(syscallNumber("recvmsg"), socket, ptr(message), closeOnExec, 0, 0, 0));
  if (count < 0) throw systemCallError("recvmsg", { step: "take the terminal" });
  if (count === 0) return undefined;
  const received = new Int32Array(control.buffer);
  const carriesOne = control[0] === 20n && received[2] === 1 && received[3] === 1;
  if (!carriesOne) throw new InvalidDocumentError("the message that should bring the terminal carries no descriptor");
  return new OwnedFd(received[4] as number);
}
