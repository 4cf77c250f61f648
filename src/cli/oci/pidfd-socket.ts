import { sendWithDescriptor } from "../../linux/descriptor-passing.ts";
import type { OwnedFd } from "../../linux/fd.ts";
import { connectUnix } from "../../linux/unix-socket.ts";

/** Whoever listens at `--pidfd-socket`: a process manager that is to hold a process by more than its number. */
export interface PidfdReceiver extends Disposable {
  /** @throws SystemCallError the other end is gone */
  send(pidfd: OwnedFd): void;
}

/**
 * Connects to the socket, before there is a process that somebody would have to undo.
 * @param kind what the message says beside the descriptor, as runc's does
 * @returns undefined without the flag
 * @throws UsageError, SystemCallError nobody listens there
 */
export function pidfdReceiver(path: string | undefined, kind: "standard" | "setns"): PidfdReceiver | undefined {
  if (path === undefined || path === "") return undefined;
  const socket = connectUnix(path);
  return {
    send: (pidfd) => sendWithDescriptor(socket.number, Buffer.from(kind), pidfd.number, `send the pidfd to ${path}`),
    [Symbol.dispose]: () => socket.close(),
  };
}
