import { PR_SET_PDEATHSIG } from "../../linux/constants.ts";
import { besideStatus, pauseSteps, signOfLife, type Slot, statusDescriptor } from "../../linux/launch/plan.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";

/*
 * A filter that notifies is in force before anybody can answer for it, and every call that a plan still makes is one that
 * the filter refuses or notifies of. So gocker itself takes the listener's descriptor out of the process, by
 * pidfd_getfd(2), and the process only says that it is there: by write(2), the one call that a filter must not notify of,
 * as with runc. To send the descriptor from inside would take sendmsg(2), of which agents for networks are notified. What
 * follows can be notified of: by then the agent can be asked.
 */

/** The pause of a plan whose filter is in force: gocker takes the listener's descriptor and hands it to the agent. */
export const filterInForce = 2;

/**
 * Lets gocker take the listener of the filter that is in force since the step before, and gives it up then: when the
 * agent ends, the calls that it was to answer fail instead of waiting for a listener that nobody listens to.
 * @param release the reading end of a pipe
 * @throws InvalidDocumentError gocker does not look after the filters of such containers
 */
export function addListenerHandover(builder: PlanBuilder, listener: Slot, release: number | undefined): void {
  if (release === undefined) {
    throw new InvalidDocumentError(
      "linux.seccomp.syscalls: SCMP_ACT_NOTIFY is only for containers that are created and started",
      { hint: "nobody would be there to answer" },
    );
  }
  for (const step of pauseSteps("Tell that the filter has a listener", filterInForce, release)) builder.add(step);
  // If gocker has died the pipe was at its end, and nobody has been given the listener.
  builder.add({
    label: "Make sure that gocker has lived",
    group: "process",
    syscall: "write",
    args: [statusDescriptor, signOfLife, signOfLife.length],
  });
  builder.add({ label: "Give the listener up", group: "security", syscall: "close", args: [listener] });
}

/**
 * What `addWaitForStart` does before the filter when that one notifies: its descriptor is to be handed over while the
 * container is created, so it comes before the wait, and may not permit what can be done now.
 * @param kept the FIFO and the pipe of pauses, above what is preserved and below the status descriptor
 * @param preserved how many descriptors after the standard ones are the program's
 */
export function addCloseBeforeFilter(builder: PlanBuilder, kept: readonly number[], preserved: number): void {
  builder.add({
    label: "Live on when gocker leaves",
    group: "process",
    syscall: "prctl",
    args: [PR_SET_PDEATHSIG, 0, 0, 0, 0],
  });
  let first = 3 + preserved;
  for (const number of kept.toSorted((a, b) => a - b)) {
    if (first < number) addClose(builder, first, number - 1);
    first = number + 1;
  }
  addClose(builder, first, besideStatus.below);
  addClose(builder, besideStatus.above, 0xffff_ffff);
}

function addClose(builder: PlanBuilder, first: number | Slot, last: number | Slot): void {
  const label = "Close what is not needed any more";
  builder.add({ label, group: "process", syscall: "close_range", args: [first, last, 0] });
}

/**
 * The wait of `addWaitForStart` under a filter, by as few calls as can be: close(2), and read(2) from a FIFO that the
 * process itself has open for writing, and which so has no end.
 */
export function addWaitUnderFilter(builder: PlanBuilder, fifo: number, release: number): void {
  const group = "process";
  builder.add({ label: "Close the pipe of pauses", group, syscall: "close", args: [release] });
  builder.add({ label: "Tell that all is ready", group, syscall: "close", args: [statusDescriptor] });
  const byte = new Uint8Array(1);
  builder.add({ label: "Wait to be started", group, syscall: "read", args: [fifo, byte, byte.length] });
}
