import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Contender } from "./alternate.ts";
import type { Docker } from "./docker.ts";
import type { Runner } from "./runner.ts";
import { gockerWords, podmanWords, type Setting } from "./setting.ts";
import { ownLimits, type WarmImage } from "./warm.ts";

/** How many containers are started at once, and how many a list has. */
const burst = 50;
const listed = 100;

/** Of a container's output, in bytes: what is kept of it, without what the log adds. */
export const floodBytes = 200_000_000;

/** An engine whose containers outlive the command that starts them. */
export interface LifeEngine {
  readonly name: string;
  readonly runner: Runner;
  /** The words before the verb. */
  readonly words: readonly string[];
  /** The words after the verb of whatever makes a container. */
  readonly flags: readonly string[];
  /** The flags with which `wait` looks often enough. */
  readonly waitFlags: readonly string[];
  /** The flags of `rm` that remove a running container at once. */
  readonly removeFlags: readonly string[];
}

/** gocker first. @param docker undefined where it is not installed */
export function lifeEngines(setting: Setting, { store }: WarmImage, docker: Docker | undefined): LifeEngine[] {
  const flags = ["--network", "none"];
  return [
    {
      name: "gocker",
      runner: setting.host,
      words: gockerWords(setting, store),
      flags,
      waitFlags: [],
      removeFlags: ["-f"],
    },
    {
      name: "podman",
      runner: setting.peers,
      words: podmanWords(store),
      flags: [...flags, "--cgroup-parent", setting.cgroupParent, "--log-driver", "k8s-file", ...ownLimits()],
      // It asks again and again: four times a second otherwise.
      waitFlags: ["--interval", "10ms"],
      // It waits ten seconds for the end of what does not listen to SIGTERM, where gocker and docker kill.
      removeFlags: ["-f", "-t", "0"],
    },
    ...(docker === undefined
      ? []
      : [{ name: "docker", runner: docker.runner, words: docker.words, flags, waitFlags: [], removeFlags: ["-f"] }]),
  ];
}

/** `run -d` of a container that stays. */
export function detachedContenders(engines: readonly LifeEngine[], image: WarmImage): Contender[] {
  return engines.map((engine) => ({
    name: `${engine.name} run -d`,
    runner: engine.runner,
    words: startIdle(engine, image, "bench-run"),
    after: remove(engine, "bench-run"),
  }));
}

/** `stop` of a container that does not listen to SIGTERM. */
export function stopContenders(engines: readonly LifeEngine[], image: WarmImage): Contender[] {
  return engines.map((engine) => ({
    name: `${engine.name} stop -t 0`,
    runner: engine.runner,
    before: startIdle(engine, image, "bench-stop"),
    words: [...engine.words, "stop", "-t", "0", "bench-stop"],
    after: remove(engine, "bench-stop"),
  }));
}

/** `rm -f` of a container that runs. */
export function removeContenders(engines: readonly LifeEngine[], image: WarmImage): Contender[] {
  return engines.map((engine) => ({
    name: `${engine.name} rm -f`,
    runner: engine.runner,
    before: startIdle(engine, image, "bench-remove"),
    words: remove(engine, "bench-remove"),
  }));
}

/** Many `run -d` at once: the time until the last has returned. One that fails fails the run. */
export function detachedBurstContenders(engines: readonly LifeEngine[], image: WarmImage): Contender[] {
  // A plain `wait` would forget who failed.
  const script = `pids=; i=0; while [ $i -lt ${burst} ]; do "$@" & pids="$pids $!"; i=$((i+1)); done
    for pid in $pids; do wait $pid || failed=1; done; exit \${failed:-0}`;
  return engines.map((engine) => ({
    name: `${burst} x ${engine.name} run -d`,
    runner: engine.runner,
    words: ["sh", "-c", script, "sh", ...startIdle(engine, image)],
    after: removeAll(engine),
  }));
}

/** `exec true` in a container that runs, and nsenter(1) into gocker's as the floor. */
export async function execContenders(
  setting: Setting,
  engines: readonly LifeEngine[],
  image: WarmImage,
): Promise<Contender[]> {
  const pids = new Map<LifeEngine, number>();
  for (const engine of engines) {
    if (Bun.which(engine.words[0] ?? "") === null) continue;
    await engine.runner.run({ words: startIdle(engine, image, "bench-exec") }, { memory: false });
    pids.set(engine, await firstProcess(setting, engine, "bench-exec"));
  }
  const [gocker] = engines;
  const pid = gocker === undefined ? undefined : pids.get(gocker);
  return [
    ...engines.map((engine) => ({
      name: `${engine.name} exec true`,
      runner: engine.runner,
      words: [...engine.words, "exec", "bench-exec", "true"],
    })),
    {
      name: "nsenter true",
      runner: setting.host,
      words: ["nsenter", "--target", String(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "true"],
    },
  ];
}

/** `ps -a` with many containers that were never started. */
export async function listContenders(engines: readonly LifeEngine[], image: WarmImage): Promise<Contender[]> {
  const script = `i=0; while [ $i -lt ${listed} ]; do "$@" || exit; i=$((i+1)); done`;
  for (const { runner, words, flags } of engines) {
    if (Bun.which(words[0] ?? "") === null) continue;
    const create = [...words, "create", ...flags, image.reference, "true"];
    await runner.run({ words: ["sh", "-c", script, "sh", ...create] }, { memory: false });
  }
  return engines.map(({ name, runner, words }) => ({ name: `${name} ps -a`, runner, words: [...words, "ps", "-a"] }));
}

/** A container that writes lines as fast as it can, until its engine has kept them all and says that it has ended. */
export function floodContenders(engines: readonly LifeEngine[], image: WarmImage): Contender[] {
  const line = "x".repeat(99);
  const flood = ["sh", "-c", `yes ${line} | head -c ${floodBytes}`];
  return engines.map((engine) => {
    const name = "bench-flood";
    const start = [...engine.words, "run", "-d", "--name", name, ...engine.flags, image.reference, ...flood];
    const wait = [...engine.words, "wait", ...engine.waitFlags, name];
    const script = `${quoted(start)} && ${quoted(wait)}`;
    // Whoever drops lines is no contender.
    const check = `test "$(${quoted([...engine.words, "logs", name])} | wc -c)" -eq ${floodBytes}`;
    return {
      name: `${engine.name} run -d, wait`,
      runner: engine.runner,
      words: ["sh", "-c", script],
      after: ["sh", "-c", `${check}; kept=$?; ${quoted(remove(engine, name))} && exit $kept`],
    };
  });
}

/** Starts a container that does nothing. */
export function startIdle({ words, flags }: LifeEngine, { reference }: WarmImage, name?: string): string[] {
  return [...words, "run", "-d", ...(name === undefined ? [] : ["--name", name]), ...flags, reference, "sleep", "9999"];
}

/** Removes every container of an engine, those that run too. */
export function removeAll({ words, removeFlags }: LifeEngine): string[] {
  const script = `ids=$("$@" ps -aq) && { test -z "$ids" || "$@" rm ${removeFlags.join(" ")} $ids; }`;
  return ["sh", "-c", script, "sh", ...words];
}

/** The process ID of a running container's first process. */
export async function firstProcess(setting: Setting, engine: LifeEngine, name: string): Promise<number> {
  // Out of the store, which only the runner sees.
  const file = join(setting.directory, "pid");
  const inspect = [...engine.words, "inspect", "-f", "{{.State.Pid}}", name];
  await engine.runner.run({ words: ["sh", "-c", `${quoted(inspect)} > ${quoted([file])}`] }, { memory: false });
  const pid = Number(readFileSync(file, "utf8"));
  if (!Number.isInteger(pid) || pid < 1) throw new Error(`${engine.name} does not tell the process of ${name}`);
  return pid;
}

function remove({ words, removeFlags }: LifeEngine, name: string): string[] {
  return [...words, "rm", ...removeFlags, name];
}

/** Words for a shell. */
function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
}
