import { capabilityNumber, lastCapability } from "../linux/capabilities.ts";
import type { Capabilities, Process } from "../oci/runtime-spec.ts";

const sets = ["bounding", "effective", "inheritable", "permitted", "ambient"] as const;

/** The names among a process's capabilities that this kernel, or gocker, has not heard of, each once. */
export function unknownCapabilities(process: Process | undefined): string[] {
  const names = sets.flatMap((set) => process?.capabilities?.[set] ?? []);
  return [...new Set(names)].filter((name) => !isKnown(name));
}

/** The process without them: a specification for newer kernels is to run too, with fewer rights. */
export function knownCapabilities(process: Process): Process {
  if (unknownCapabilities(process).length === 0) return process;
  const capabilities: Capabilities = {};
  for (const set of sets) {
    const names = process.capabilities?.[set];
    if (names !== undefined) capabilities[set] = names.filter(isKnown);
  }
  return { ...process, capabilities };
}

function isKnown(name: string): boolean {
  const number = capabilityNumber(name);
  return number !== undefined && number <= lastCapability();
}
