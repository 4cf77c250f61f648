import { existsSync, mkdirSync, rmSync } from "node:fs";
import { openDirectory } from "../../linux/at.ts";
import { errnos } from "../../linux/errno.ts";
import { type OwnedFd, writeAll } from "../../linux/fd.ts";
import { connectUnix, listenUnix } from "../../linux/unix-socket.ts";
import { SystemCallError } from "../../util/errors.ts";
import { encodeDocument, type Greeting, messageType } from "./protocol.ts";

/** Where the sockets of all monitors lie, each by the name of its container's ID. */
function directoryOf(state: string): string {
  return `${state}/monitors`;
}

/** Where the socket of a container's monitor is. @param state gocker's state directory */
export function monitorSocket(state: string, id: string): string {
  return `${directoryOf(state)}/${id}`;
}

/** By a descriptor of the directory: whose own path may be longer than a socket's may be. unix(7) */
function within<Result>(state: string, id: string, use: (path: string) => Result): Result {
  using directory = openDirectory(directoryOf(state));
  return use(`/proc/self/fd/${directory.number}/${id}`);
}

/**
 * The socket of a container's monitor, for the holder of the container's lock: what a dead one has left is taken away.
 * @param state gocker's state directory
 * @throws SystemCallError
 */
export function listenAsMonitor(state: string, id: string): OwnedFd {
  if (!existsSync(directoryOf(state))) mkdirSync(directoryOf(state), { recursive: true, mode: 0o700 });
  removeMonitorSocket(state, id);
  return within(state, id, listenUnix);
}

/** For the holder of the container's lock. */
export function removeMonitorSocket(state: string, id: string): void {
  rmSync(monitorSocket(state, id), { force: true });
}

/**
 * A connection to the monitor of a container, which knows by then what is wanted of it.
 * @returns undefined when the container has none
 * @throws SystemCallError
 */
export function connectToMonitor(state: string, id: string, greeting: Greeting): OwnedFd | undefined {
  if (!existsSync(monitorSocket(state, id))) return undefined;
  try {
    const socket = within(state, id, (path) => connectUnix(path));
    writeAll(socket.number, encodeDocument(messageType.greeting, greeting));
    return socket;
  } catch (error) {
    const gone: readonly number[] = [errnos.ENOENT, errnos.ECONNREFUSED, errnos.EPIPE];
    if (error instanceof SystemCallError && gone.includes(error.errno)) return undefined;
    throw error;
  }
}
