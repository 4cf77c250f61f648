import type { ImageConfigExecution } from "../../oci/image-config.ts";
import { Dictionary, listOrNil, NilDictionary, omitEmpty } from "../../util/document.ts";

/** `.Config` of an image: how its containers start. What it says nothing of is left out. */
export function imageConfigDocument(config: ImageConfigExecution) {
  return omitEmpty(
    {
      User: config.User ?? "",
      ExposedPorts: setOf(Object.keys(config.ExposedPorts ?? {})),
      Env: listOrNil(config.Env),
      Entrypoint: listOrNil(config.Entrypoint),
      Cmd: listOrNil(config.Cmd),
      Volumes: setOf(Object.keys(config.Volumes ?? {})),
      WorkingDir: config.WorkingDir ?? "",
      Labels: (config.Labels ?? null) === null ? new NilDictionary() : Dictionary.of(config.Labels),
      StopSignal: config.StopSignal ?? "",
      Healthcheck: healthcheckDocument(config.Healthcheck),
      OnBuild: listOrNil(config.OnBuild),
      Shell: listOrNil(config.Shell),
    },
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "OnBuild",
    "Shell",
  );
}

/** A set, as Go writes one in JSON: a map to nothing. */
export function setOf(names: readonly string[]): Dictionary<object> {
  return new Dictionary(
    names.map((name) => [name, {}] as const),
    {},
  );
}

/** Times are in nanoseconds. */
export function healthcheckDocument(healthcheck: ImageConfigExecution["Healthcheck"]) {
  if (healthcheck === undefined) return null;
  const { Test = [], Interval = 0, Timeout = 0, StartPeriod = 0, StartInterval = 0, Retries = 0 } = healthcheck;
  const document = { Test, Interval, Timeout, StartPeriod, StartInterval, Retries };
  return omitEmpty(document, "Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries");
}
