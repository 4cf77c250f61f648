import { type SystemInfo, systemInfo } from "../../engine/info.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { formatProperties, formatRecord } from "../output/record.ts";
import { formatSize } from "../output/units.ts";
import { writeError, writeOutput } from "../output/write.ts";

export const infoCommand = command({
  meta: {
    name: "info",
    description: "Show what gocker has here, and what this machine gives it",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    examples: [{ words: "gocker info --format '{{json .}}'", does: "All of it, for a program" }],
  },
  flags: {
    format: {
      type: "string",
      alias: "f",
      valueHint: "FORMAT",
      description: "Print it as json, or by a template such as '{{.Images}}'",
    },
  },
  async run(invocation) {
    const { flags } = invocation;
    const info = await systemInfo(openEngine(invocation.everywhere));
    writeOutput(formatRecord(infoRecord(info), flags.format, () => infoText(info)));
    for (const warning of info.warnings) writeError(`gocker: warning: ${warning}\n`);
    return 0;
  },
});

/** Docker's names where Docker has the thing. */
function infoRecord(info: SystemInfo) {
  const { containers } = info;
  return {
    ServerVersion: info.version,
    BunVersion: info.bun,
    GockerRootDir: info.root,
    GockerStateDir: info.state,
    Containers: containers.created + containers.running + containers.exited,
    ContainersRunning: containers.running,
    ContainersStopped: containers.created + containers.exited,
    Images: info.images,
    Driver: "overlay",
    CgroupVersion: info.cgroupVersion === undefined ? "" : String(info.cgroupVersion),
    Seccomp: info.seccomp,
    MissingFileSystems: info.missingFileSystems,
    KernelVersion: info.kernel,
    OperatingSystem: info.operatingSystem,
    OSType: info.os,
    Architecture: info.architecture,
    NCPU: info.processors,
    MemTotal: info.memory,
    Registries: info.registries,
    Warnings: info.warnings,
  };
}

function infoText(info: SystemInfo): string {
  const { created, running, exited } = info.containers;
  const registries = info.registries.map(({ name, mirrors, insecure, authorities }) => {
    const remarks = [
      ...mirrors.map((mirror) => `mirror ${mirror}`),
      ...(insecure ? ["insecure"] : []),
      ...authorities.map((path) => `authority ${path}`),
    ];
    return [`Registry ${name}`, remarks.join(", ") || "as usual"] as const;
  });
  return formatProperties([
    ["gocker", info.version],
    ["Root directory", info.root],
    ["State directory", info.state],
    ["Images", String(info.images)],
    ["Containers", `${created + running + exited} (${running} running, ${exited} ended, ${created} not started)`],
    ["Operating system", info.operatingSystem],
    ["Kernel", info.kernel],
    ["Platform", `${info.os}/${info.architecture}`],
    ["Processors", String(info.processors)],
    ["Memory", formatSize(info.memory, " ")],
    ["Cgroups", info.cgroupVersion === undefined ? "none mounted" : `version ${info.cgroupVersion}`],
    ["Seccomp", info.seccomp ? "yes" : "not in this kernel"],
    [
      "File systems",
      info.missingFileSystems.length === 0 ? "all there" : `missing: ${info.missingFileSystems.join(", ")}`,
    ],
    ...registries,
  ]);
}
