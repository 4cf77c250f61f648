import { sendWithDescriptor } from "../linux/descriptor-passing.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { findForeignDescriptor, takeForeignDescriptor } from "../linux/foreign-descriptor.ts";
import { connectUnix } from "../linux/unix-socket.ts";
import { GockerError } from "../util/errors.ts";
import type { OciState } from "./oci-state.ts";
import type { SeccompListener } from "./seccomp/listener.ts";

/** What the specification calls the container process state. config-linux.md, "The Container Process State" */
interface ContainerProcessState {
  readonly ociVersion: string;
  /** What the descriptors are that come with it. */
  readonly fds: readonly ["seccompFd"];
  readonly pid: number;
  readonly metadata?: string;
  readonly state: OciState;
}

/** A process at the pause `filterInForce` of its plan. */
export interface FilteredProcess {
  readonly pid: number;
  readonly pidfd: OwnedFd;
  /** How many descriptors after the standard ones it has from the caller. */
  readonly preservedDescriptors: number;
}

/**
 * Takes the listener of a process's filter and hands it to the agent, which answers for the container from then on. One
 * connection for one process.
 * @param state of the container
 * @throws GockerError nobody listens at the path; SystemCallError
 */
export function handListenerOver(listener: SeccompListener, process: FilteredProcess, state: OciState): void {
  const { pid, pidfd, preservedDescriptors } = process;
  const number = findForeignDescriptor(pid, "anon_inode:seccomp notify", 3 + preservedDescriptors);
  if (number === undefined)
    throw new GockerError("SECCOMP_AGENT", `the filter's listener is gone with its process ${pid}`);
  using descriptor = takeForeignDescriptor(pidfd, number, "take the listener of the container's filter");
  const { metadata } = listener;
  const message: ContainerProcessState = {
    ociVersion: state.ociVersion,
    fds: ["seccompFd"],
    pid,
    ...(metadata !== undefined && { metadata }),
    state,
  };
  using socket = connect(listener.path);
  const bytes = Buffer.from(JSON.stringify(message));
  sendWithDescriptor(socket.number, bytes, descriptor.number, `hand the filter's listener to ${listener.path}`);
}

function connect(path: string): OwnedFd {
  try {
    return connectUnix(path);
  } catch (error) {
    if (!(error instanceof GockerError)) throw error;
    const message = `linux.seccomp.listenerPath: failed to connect with seccomp agent: ${error.message}`;
    throw new GockerError("SECCOMP_AGENT", message, { cause: error, hint: error.hint });
  }
}
