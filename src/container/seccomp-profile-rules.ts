import type { Architecture } from "../linux/arch.ts";
import { isAtLeast, type KernelVersion } from "../linux/kernel.ts";
import type { Seccomp, SeccompAction, SeccompArg, SeccompSyscall } from "../oci/runtime-spec.ts";

/**
 * A seccomp profile as Docker and podman take it: the runtime specification's configuration, with rules that depend on
 * the container and the host.
 */
export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  /** The architectures, by the kernel's own one. */
  readonly archMap?: readonly ProfileArchitecture[];
  /** The architectures, whatever the kernel's own one; not together with `archMap`. */
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls: readonly ProfileRule[];
}

export interface ProfileArchitecture {
  readonly architecture: string;
  readonly subArchitectures: readonly string[];
}

export interface ProfileRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[];
  /** The rule counts only where all of this holds. */
  readonly includes?: ProfileFilter;
  /** The rule does not count where any of this holds. */
  readonly excludes?: ProfileFilter;
}

export interface ProfileFilter {
  /** Capabilities of the container's bounding set, with `CAP_`. */
  readonly caps?: readonly string[];
  /** Docker's names of the kernel's architecture: `amd64`, `arm64`. */
  readonly arches?: readonly string[];
  readonly minKernel?: KernelVersion;
}

/** What the rules of a profile depend on. */
export interface SeccompHost {
  /** The container's bounding set, with `CAP_`. */
  readonly capabilities: readonly string[];
  readonly architecture: Architecture;
  readonly kernel: KernelVersion;
}

const dockerNames: Readonly<Record<Architecture, string>> = { x86_64: "amd64", aarch64: "arm64" };
const ociNames: Readonly<Record<Architecture, string>> = {
  x86_64: "SCMP_ARCH_X86_64",
  aarch64: "SCMP_ARCH_AARCH64",
};

/** What a profile means for one container: the runtime specification's form of it. */
export function applyProfile(profile: SeccompProfile, host: SeccompHost): Seccomp {
  const { defaultErrnoRet, flags, listenerPath, listenerMetadata } = profile;
  const syscalls: SeccompSyscall[] = [];
  for (const { names, action, errnoRet, args, includes, excludes } of profile.syscalls) {
    if (includes !== undefined && !holdsAll(includes, host)) continue;
    if (excludes !== undefined && holdsAny(excludes, host)) continue;
    syscalls.push({
      names: [...names],
      action,
      ...(errnoRet !== undefined && { errnoRet }),
      ...(args !== undefined && args.length > 0 && { args: [...args] }),
    });
  }
  return {
    defaultAction: profile.defaultAction,
    ...(defaultErrnoRet !== undefined && { defaultErrnoRet }),
    architectures: architecturesOf(profile, host.architecture),
    ...(flags !== undefined && { flags: [...flags] }),
    ...(listenerPath !== undefined && { listenerPath }),
    ...(listenerMetadata !== undefined && { listenerMetadata }),
    syscalls,
  };
}

function architecturesOf({ archMap, architectures }: SeccompProfile, own: Architecture): string[] {
  const entry = archMap?.find(({ architecture }) => architecture === ociNames[own]);
  if (entry !== undefined) return [entry.architecture, ...entry.subArchitectures];
  return [...(architectures ?? [])];
}

function holdsAll({ caps, arches, minKernel }: ProfileFilter, host: SeccompHost): boolean {
  return (
    (caps ?? []).every((name) => host.capabilities.includes(name)) &&
    (arches === undefined || arches.length === 0 || arches.includes(dockerNames[host.architecture])) &&
    (minKernel === undefined || isAtLeast(host.kernel, minKernel.major, minKernel.minor))
  );
}

function holdsAny({ caps, arches, minKernel }: ProfileFilter, host: SeccompHost): boolean {
  return (
    (caps ?? []).some((name) => host.capabilities.includes(name)) ||
    (arches ?? []).includes(dockerNames[host.architecture]) ||
    (minKernel !== undefined && isAtLeast(host.kernel, minKernel.major, minKernel.minor))
  );
}
