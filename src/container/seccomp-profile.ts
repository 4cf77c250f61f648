import type { Seccomp } from "../oci/runtime-spec.ts";
import { defaultProfile } from "./seccomp-profile-default.ts";
import { applyProfile, type SeccompHost } from "./seccomp-profile-rules.ts";

/** The seccomp configuration of a container that was given none: Docker's default. */
export function defaultSeccomp(host: SeccompHost): Seccomp {
  return applyProfile(defaultProfile(), host);
}

/**
 * The seccomp configuration from a profile in Docker's format (`--security-opt seccomp=FILE`).
 * Throws UsageError when the file cannot be read and InvalidDocumentError, which names the place, when it is wrong.
 */
export async function seccompFromFile(path: string, host: SeccompHost): Promise<Seccomp> {
  const { readSeccompProfile } = await import("./seccomp-profile-file.ts");
  return applyProfile(readSeccompProfile(path), host);
}
