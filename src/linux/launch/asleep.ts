import { SIGCHLD } from "../constants.ts";
import { openNull } from "../fd.ts";
import { processEnded, reap } from "../process.ts";
import { launch } from "./launch.ts";
import { statusDescriptor, type Step } from "./plan.ts";
import { type Sleep, sleepSteps } from "./sleep.ts";

/**
 * Starts a process of gocker's that goes on by itself, for which nobody has to wait, and that sleeps until it has something
 * to do: a few kilobytes.
 * @param kept descriptors that it has besides those of `sleep`, under the same numbers
 * @throws SystemCallError
 */
export async function launchAsleep(sleep: Sleep, kept: readonly number[]): Promise<void> {
  using nothing = openNull();
  using first = launch({
    namespaces: 0,
    argv: sleep.argv,
    steps: [
      { ...step("Make a process of its own", "clone", [SIGCHLD, 0, 0, 0, 0]), onSuccess: { parent: "leaves" } },
      step("Leave gocker's session", "setsid", []),
      step("Be in no directory of the caller's", "chdir", ["/"]),
      step("Have nothing to tell any more", "close", [statusDescriptor]),
      ...sleepSteps(sleep),
    ],
    stdio: [nothing.number, nothing.number, nothing.number],
    descriptors: [...new Set([...kept, sleep.program, ...sleep.wakes.map(({ fd }) => fd)])],
  });
  await processEnded(first.pidfd);
  reap(first.pid);
}

function step(label: string, syscall: Step["syscall"], args: Step["args"]): Step {
  return { label, group: "process", syscall, args };
}
