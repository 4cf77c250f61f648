import { AT_FDCWD, CLONE_NEWTIME, O_CLOEXEC, O_RDONLY, O_WRONLY } from "../../linux/constants.ts";
import type { Step } from "../../linux/launch/plan.ts";
import type { Linux } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";

const group = "namespaces";

/**
 * A time namespace, with the offsets of `linux.timeOffsets`, which can only be set while nobody is in it. The process
 * itself enters it (children would anyhow, and since Linux 6.1 who executes): else a created container would not be in
 * it. By the host's /proc, and before the process becomes another user. time_namespaces(7), Linux 5.6
 * @throws InvalidDocumentError there is no such clock, or the offset is none
 */
export function addTimeNamespace(builder: PlanBuilder, offsets: NonNullable<Linux["timeOffsets"]>): void {
  const self = (name: string, flags: number): Step["args"] => [AT_FDCWD, `/proc/self/${name}`, flags | O_CLOEXEC];
  builder.add({ label: "Make a time namespace", group, syscall: "unshare", args: [CLONE_NEWTIME] });
  const text = timeOffsetsText(offsets);
  if (text !== "") {
    const path = "/proc/self/timens_offsets";
    const file = builder.addFor("time offsets", {
      label: "Open the offsets of its clocks",
      group,
      syscall: "openat",
      args: self("timens_offsets", O_WRONLY),
      path,
    });
    const bytes = Buffer.from(text);
    const shown = text.trim().replaceAll("\n", ", ");
    builder.add({ label: `Set them: ${shown}`, group, syscall: "write", args: [file, bytes, bytes.length], path });
    builder.add({ label: "Close them", group, syscall: "close", args: [file] });
  }
  const namespace = builder.addFor("time namespace", {
    label: "Open the time namespace",
    group,
    syscall: "openat",
    args: self("ns/time_for_children", O_RDONLY),
    path: "/proc/self/ns/time_for_children",
  });
  builder.add({ label: "Enter it", group, syscall: "setns", args: [namespace, CLONE_NEWTIME] });
  builder.add({ label: "Close the time namespace", group, syscall: "close", args: [namespace] });
}

const clocks = ["monotonic", "boottime"];

/** As /proc/PID/timens_offsets takes it: a line for each clock. @throws InvalidDocumentError */
function timeOffsetsText(offsets: NonNullable<Linux["timeOffsets"]>): string {
  return Object.entries(offsets)
    .map(([clock, { secs = 0, nanosecs = 0 }]) => {
      const property = `linux.timeOffsets.${clock}`;
      if (!clocks.includes(clock)) {
        throw new InvalidDocumentError(`${property}: no clock that can be offset`, { hint: clocks.join(" and ") });
      }
      if (!Number.isSafeInteger(secs)) throw new InvalidDocumentError(`${property}.secs: ${secs} is no whole number`);
      if (!Number.isInteger(nanosecs) || nanosecs < 0 || nanosecs >= 1_000_000_000) {
        throw new InvalidDocumentError(`${property}.nanosecs: ${nanosecs} is not from 0 to 999999999`);
      }
      return `${clock} ${secs} ${nanosecs}\n`;
    })
    .join("");
}

/** @throws InvalidDocumentError there are offsets, and no time namespace that is new */
export function refuseTimeOffsets(
  offsets: NonNullable<Linux["timeOffsets"]>,
  { isJoined }: { readonly isJoined: boolean },
): void {
  if (Object.keys(offsets).length === 0) return;
  const reason = isJoined
    ? "the offsets of a namespace that is joined cannot be set"
    : "only a time namespace has offsets, and linux.namespaces has none";
  throw new InvalidDocumentError(`linux.timeOffsets: ${reason}`);
}
