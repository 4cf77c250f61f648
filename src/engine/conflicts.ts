import { hasNameServer, hostGateway } from "../container/etc-files.ts";
import { probeOf } from "../container/healthcheck.ts";
import { usualLog } from "../container/logs/usual-log.ts";
import { isJoined } from "../container/namespaces.ts";
import type { ContainerRecord, LogConfiguration } from "../container/record.ts";
import { checkSysctls } from "../container/sysctls.ts";
import { UsageError } from "../util/errors.ts";
import type { RunOptions } from "./options.ts";

/**
 * Refuses options that contradict each other, as Docker does: what would have no effect, or another one than it says.
 * @throws UsageError
 */
export function refuseConflicts(options: RunOptions): void {
  checkSysctls(options);
  if (isJoined(options.network)) refuseWith("--network container:…", namesOfNetwork(options));
  const isConnected = options.network === "connected" || options.network === "host";
  if (!isConnected && options.addHosts.some(({ address }) => address === hostGateway)) {
    throw new UsageError(`--add-host …:${hostGateway} is for containers that are connected to the host by a network`);
  }
  if (options.uts === "host") {
    refuseWith("--uts host", { "--hostname": options.hostname, "--domainname": options.domainname });
  }
  if (options.explain !== undefined && needsMonitor(options)) {
    throw new UsageError("--explain shows a container that gocker starts itself, which has no monitor", {
      hint: "leave out -p, -P, networks with names, health checks, log drivers and their options",
    });
  }
  if (options.init && options.pid !== undefined) {
    throw new UsageError("--init conflicts with --pid: only in a pid namespace of its own an init is process 1");
  }
}

/**
 * Whether a container needs somebody beside it: who answers it, or those who want something of it (for names, and for what
 * comes to its ports and not by the firewall), who looks at its health, or who keeps what it writes where it was asked to
 * be kept.
 * @param container its record, or what the user asks for, which the image may add to
 */
export function needsMonitor(
  container: Pick<ContainerRecord, "networks" | "ports" | "publishAllPorts" | "healthcheck" | "log">,
): boolean {
  const { networks, ports = [], publishAllPorts = false, healthcheck, log } = container;
  if (ports.length > 0 || publishAllPorts || hasNameServer(networks)) return true;
  return probeOf(healthcheck) !== undefined || (log !== undefined && !isUsual(log) && log.driver !== "none");
}

function isUsual({ driver, options }: LogConfiguration): boolean {
  return driver === usualLog.driver && Object.keys(options).length === 0;
}

/** What a container takes over from the one whose network it has. */
function namesOfNetwork(options: RunOptions): Record<string, unknown> {
  return {
    "--hostname": options.uts === "host" ? undefined : options.hostname,
    "--domainname": options.uts === "host" ? undefined : options.domainname,
    "--add-host": options.addHosts,
    "--dns": options.dns,
    "--dns-search": options.dnsSearch,
    "--dns-option": options.dnsOptions,
    "--expose": options.exposedPorts,
    "--publish": options.ports,
    "--publish-all": options.publishAllPorts,
  };
}

function refuseWith(mode: string, others: Record<string, unknown>): void {
  for (const [flag, value] of Object.entries(others)) {
    const isGiven = Array.isArray(value) ? value.length > 0 : value !== undefined;
    if (isGiven) throw new UsageError(`${flag} conflicts with ${mode}`);
  }
}
