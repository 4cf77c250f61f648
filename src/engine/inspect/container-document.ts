import { shownStatus } from "../../container/status.ts";
import { Dictionary, nilList, omitEmpty } from "../../util/document.ts";
import { containerConfig } from "./config.ts";
import { type ContainerFacts, noTime } from "./facts.ts";
import { hostConfig } from "./host-config.ts";
import { networkSettings } from "./network-settings.ts";
import { mountPoints } from "./mounts.ts";

/**
 * What `inspect` tells of a container: the shape, names and units of Docker's API (GET /containers/ID/json of version
 * 1.50). Looks nothing up.
 */
export function containerDocument(facts: ContainerFacts) {
  const { record, spec, sizes } = facts;
  const [path = "", ...args] = spec.process?.args ?? record.command;
  const etc = (name: string) => spec.mounts?.find(({ destination }) => destination === `/etc/${name}`)?.source ?? "";
  const document = {
    Id: record.id,
    Created: record.created,
    Path: path,
    Args: args,
    State: stateDocument(facts),
    Image: record.image.id,
    ResolvConfPath: etc("resolv.conf"),
    HostnamePath: etc("hostname"),
    HostsPath: etc("hosts"),
    LogPath: facts.logPath,
    Name: `/${record.name}`,
    RestartCount: record.state.restartCount ?? 0,
    Driver: "overlay",
    Platform: "linux",
    MountLabel: spec.linux?.mountLabel ?? "",
    ProcessLabel: spec.process?.selinuxLabel ?? "",
    AppArmorProfile: spec.process?.apparmorProfile ?? "",
    ExecIDs: nilList,
    HostConfig: hostConfig(facts),
    GraphDriver: { Data: overlayDirectories(facts), Name: "overlay" },
    // Nil pointers are no mistake in a template.
    SizeRw: sizes?.written ?? null,
    SizeRootFs: sizes?.whole ?? null,
    Mounts: mountPoints(facts),
    Config: containerConfig(facts),
    NetworkSettings: networkSettings(facts),
  };
  return sizes === undefined ? omitEmpty(document, "SizeRw", "SizeRootFs") : document;
}

function stateDocument({ record, paused }: ContainerFacts) {
  const { state } = record;
  const status = shownStatus(state, paused);
  return omitEmpty(
    {
      Status: status,
      // Docker counts one that is about to be started again among those that run.
      Running: status === "running" || status === "paused" || status === "restarting",
      Paused: status === "paused",
      Restarting: status === "restarting",
      OOMKilled: state.oomKilled === true,
      Dead: false,
      Pid: state.status === "running" ? (state.pid ?? 0) : 0,
      ExitCode: state.exitCode ?? 0,
      Error: state.error ?? "",
      StartedAt: state.startedAt ?? noTime,
      // That of a start that failed is no end.
      FinishedAt: (status === "created" ? undefined : state.finishedAt) ?? noTime,
      Health: healthDocument(state.health),
    },
    "Health",
  );
}

function healthDocument(health: ContainerFacts["record"]["state"]["health"]) {
  if (health === undefined) return null;
  return {
    Status: health.status,
    FailingStreak: health.failingStreak,
    Log: health.log.map(({ start, end, exitCode, output }) => ({
      Start: start,
      End: end,
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

/** Overlayfs takes the uppermost layer first. */
function overlayDirectories({ record, directory, layers }: ContainerFacts): Dictionary<string> {
  return Dictionary.of({
    ID: record.id,
    LowerDir: layers.toReversed().join(":"),
    MergedDir: `${directory}/rootfs`,
    UpperDir: `${directory}/upper`,
    WorkDir: `${directory}/work`,
  });
}
