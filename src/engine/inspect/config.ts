import { splitCommand } from "../../container/command.ts";
import type { Healthcheck } from "../../container/healthcheck.ts";
import type { ContainerRecord } from "../../container/record.ts";
import type { ImageConfigExecution } from "../../oci/image-config.ts";
import { Dictionary, listOrNil, NilDictionary, omitEmpty } from "../../util/document.ts";
import type { ContainerFacts } from "./facts.ts";
import { healthcheckDocument, setOf } from "./image-config.ts";

/** How a container is started. */
interface ConfigParts {
  readonly hostname: string;
  readonly domainname: string;
  readonly user: string;
  readonly terminal: boolean;
  readonly interactive: boolean;
  /** What is shown to who made it. */
  readonly attached: ReadonlySet<string>;
  readonly environment: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly image: string;
  readonly volumes: readonly string[];
  readonly workingDirectory: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly exposedPorts: readonly string[];
  readonly healthcheck: ImageConfigExecution["Healthcheck"];
  readonly shell: readonly string[];
  readonly onBuild: readonly string[];
  readonly stopSignal: string;
  /** In seconds. */
  readonly stopTimeout: number | null;
}

function configDocument(parts: ConfigParts) {
  return omitEmpty(
    {
      Hostname: parts.hostname,
      Domainname: parts.domainname,
      User: parts.user,
      AttachStdin: parts.attached.has("stdin"),
      AttachStdout: parts.attached.has("stdout"),
      AttachStderr: parts.attached.has("stderr"),
      ExposedPorts: setOf(parts.exposedPorts),
      Tty: parts.terminal,
      OpenStdin: parts.interactive,
      StdinOnce: parts.attached.has("stdin") && parts.interactive,
      Env: parts.environment,
      Cmd: listOrNil(parts.command),
      Healthcheck: healthcheckDocument(parts.healthcheck),
      Image: parts.image,
      Volumes: parts.volumes.length === 0 ? new NilDictionary() : setOf(parts.volumes),
      WorkingDir: parts.workingDirectory,
      Entrypoint: listOrNil(parts.entrypoint),
      OnBuild: listOrNil(parts.onBuild),
      Labels: Dictionary.of(parts.labels),
      StopSignal: parts.stopSignal,
      StopTimeout: parts.stopTimeout,
      Shell: listOrNil(parts.shell),
    },
    "ExposedPorts",
    "Healthcheck",
    "StopSignal",
    "StopTimeout",
    "Shell",
  );
}

/** `.Config` of a container. Where the record does not say what was asked for, what became of it stands for that. */
export function containerConfig({ record, spec, image }: ContainerFacts) {
  const { options: asked } = record;
  const config = image?.config;
  const { entrypoint, command } =
    asked === undefined
      ? { entrypoint: [], command: record.command }
      : splitCommand({ ...asked, words: asked.words ?? [], image: config });
  const anonymous = record.mounts.flatMap((mount) => (mount.anonymous === true ? [mount.destination] : []));
  return configDocument({
    hostname: spec.hostname ?? "",
    domainname: spec.domainname ?? "",
    user: record.user ?? "",
    terminal: record.terminal,
    interactive: record.interactive === true,
    attached: attachedStreams(record),
    environment: record.environment === undefined ? (spec.process?.env ?? []) : variables(record.environment),
    entrypoint,
    command,
    image: record.image.reference,
    volumes: [...new Set([...Object.keys(config?.Volumes ?? {}), ...anonymous])],
    workingDirectory: asked?.workingDirectory ?? config?.WorkingDir ?? "",
    labels: record.labels,
    exposedPorts: record.exposedPorts ?? [],
    healthcheck: healthcheckOf(record.healthcheck) ?? config?.Healthcheck,
    shell: config?.Shell ?? [],
    onBuild: config?.OnBuild ?? [],
    stopSignal: record.stopSignal ?? "",
    stopTimeout: record.stopTimeout ?? null,
  });
}

/** `-i` brings the input with it. */
function attachedStreams({ options: asked, interactive }: ContainerRecord): ReadonlySet<string> {
  if (asked === undefined || asked.detach === true) return new Set();
  const { attach = ["stdout", "stderr"] } = asked;
  return new Set(interactive === true ? ["stdin", ...attach] : attach);
}

/** What the record says, in the image's terms. */
function healthcheckOf(healthcheck: Healthcheck | undefined): ImageConfigExecution["Healthcheck"] {
  if (healthcheck === undefined) return undefined;
  const { test, interval, timeout, startPeriod, startInterval, retries } = healthcheck;
  return {
    ...(test !== undefined && { Test: [...test] }),
    ...(interval !== undefined && { Interval: interval }),
    ...(timeout !== undefined && { Timeout: timeout }),
    ...(startPeriod !== undefined && { StartPeriod: startPeriod }),
    ...(startInterval !== undefined && { StartInterval: startInterval }),
    ...(retries !== undefined && { Retries: retries }),
  };
}

/** The variables that entries come to, each in its last form: an entry without a value takes one away. */
function variables(entries: readonly string[]): string[] {
  const found = new Map(entries.map((entry) => [entry.split("=", 1)[0], entry]));
  return [...found.values()].filter((entry) => entry.includes("="));
}
