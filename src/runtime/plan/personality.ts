import type { Linux } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";

/** personality(2): LINUX32 makes uname(2) tell the 32-bit machine. */
const domains = new Map([
  ["LINUX", 0],
  ["LINUX32", 8],
]);

/** `linux.personality`. Before the filter, which may not allow the call. @throws InvalidDocumentError */
export function addPersonality(builder: PlanBuilder, personality: Linux["personality"]): void {
  if (personality === undefined) return;
  const { domain, flags } = personality;
  const number = domains.get(domain);
  if (number === undefined) {
    throw new InvalidDocumentError(`linux.personality.domain: unknown domain ${domain}`, {
      hint: "LINUX or LINUX32",
    });
  }
  // The specification names none, and runc and crun have none.
  if (flags !== undefined && flags !== null && flags.length > 0) {
    throw new InvalidDocumentError(`linux.personality.flags[0]: unknown flag ${flags[0]}`);
  }
  builder.add({ label: `Be a process of ${domain}`, group: "process", syscall: "personality", args: [number] });
}
