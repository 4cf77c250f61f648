import { capabilityNames } from "../linux/capabilities.ts";
import { mountOptionNames } from "./mount-options.ts";
import { memoryPolicyFlags, memoryPolicyModes } from "./plan/memory-policy.ts";
import { flagBits, returns } from "./seccomp/actions.ts";
import { architectureNames } from "./seccomp/architectures.ts";
import { operators } from "./seccomp/conditions.ts";

/** The newest version of the OCI runtime specification whose properties are known. */
export const ociVersionMax = "1.3.0";

/**
 * What this runtime can do, whatever the host: the OCI runtime specification's features.md. What it refuses stands as not
 * enabled.
 */
export function runtimeFeatures() {
  const disabled = { enabled: false };
  const flags = Object.keys(flagBits);
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax,
    hooks: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
    mountOptions: mountOptionNames(),
    linux: {
      namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
      capabilities: [...capabilityNames],
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: false, rdma: true },
      seccomp: {
        enabled: true,
        actions: Object.keys(returns),
        operators: [...operators],
        archs: Object.keys(architectureNames).filter((name) => architectureNames[name] !== null),
        knownFlags: flags,
        supportedFlags: flags,
      },
      apparmor: { enabled: true },
      selinux: disabled,
      memoryPolicy: { modes: [...memoryPolicyModes], flags: [...memoryPolicyFlags] },
      intelRdt: disabled,
      netDevices: { enabled: true },
      mountExtensions: { idmap: { enabled: true } },
    },
  };
}
