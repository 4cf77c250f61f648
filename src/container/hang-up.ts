import { SIGHUP, SIGKILL } from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { sendSignal } from "../linux/process.ts";

/** Milliseconds that a program has for its end when the terminal is gone at which it was started. */
export const hangUpTime = 1_000;

/**
 * Ends a container that cannot go on without the command that runs it, whose terminal is gone: with SIGHUP, as a terminal
 * does, and with SIGKILL when its process 1 has not ended by that after {@link hangUpTime}. Disposing gives up the latter.
 */
export function hangUp(process: OwnedFd): Disposable {
  sendSignal(process, SIGHUP);
  const timer = setTimeout(() => void sendSignal(process, SIGKILL), hangUpTime);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
