import { namespaceOfSetting } from "../runtime/plan/supported.ts";
import { UsageError } from "../util/errors.ts";
import type { ContainerOptions } from "./options.ts";

/**
 * Makes sure that settings of the kernel (`--sysctl`) are the container's own to change, by Docker's rules: those of its
 * network and of its IPC namespace.
 * @throws UsageError one is the whole host's, has a flag of its own, or its namespace is the host's
 */
export function checkSysctls({
  sysctls = {},
  network,
  ipc,
}: Pick<ContainerOptions, "sysctls" | "network" | "ipc">): void {
  for (const name of Object.keys(sysctls)) {
    const namespace = namespaceOfSetting(name);
    if (namespace === "uts") {
      throw new UsageError(`--sysctl ${name} cannot be set`, { hint: "--hostname and --domainname are for that" });
    }
    if (namespace === undefined) {
      throw new UsageError(`--sysctl ${name} cannot be set: it is the whole host's, and not a container's`, {
        hint: "a container's own are net.*, fs.mqueue.*, kernel.msg*, kernel.sem and kernel.shm*",
      });
    }
    if (namespace === "network" && network === "host") {
      throw new UsageError(`--sysctl ${name} cannot be set on the host's network`, {
        hint: "give the container a network of its own with --network",
      });
    }
    if (namespace === "ipc" && ipc === "host") {
      throw new UsageError(`--sysctl ${name} cannot be set with --ipc host: it would change the host`);
    }
  }
}
