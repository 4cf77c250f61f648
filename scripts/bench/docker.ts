import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { LifeEngine } from "./life.ts";
import type { Setting } from "./setting.ts";
import type { WarmImage } from "./warm.ts";

/** Docker as long as it is measured: with a daemon of the benchmarks' own, which `await using` ends. */
export interface Docker extends AsyncDisposable {
  readonly engine: LifeEngine;
}

/** Seconds that the daemon has to come up, and to end. */
const patience = 30;

/**
 * Starts Docker's daemon with everything that it has in the store, and in a network namespace without a way out: it makes
 * no bridge and no rule of the firewall. The image is given to it.
 * @returns undefined where no daemon is installed
 * @throws Error it does not come up
 */
export async function startDocker(setting: Setting, image: WarmImage): Promise<Docker | undefined> {
  if (Bun.which("dockerd") === null || Bun.which("docker") === null) return undefined;
  const runner = setting.peers;
  const at = (name: string) => join(image.store, `docker-${name}`);
  const words = ["docker", "--host", `unix://${at("socket")}`];
  const options = {
    host: `unix://${at("socket")}`,
    pidfile: at("pid"),
    "data-root": at("data"),
    "exec-root": at("exec"),
    "exec-opt": "native.cgroupdriver=cgroupfs",
    "cgroup-parent": setting.cgroupParent,
    // Nothing of the host's network is changed.
    bridge: "none",
    iptables: "false",
    ip6tables: "false",
    "ip-forward": "false",
    "ip-masq": "false",
    // It wants another one, which takes CAP_SYS_RESOURCE.
    "oom-score-adjust": "0",
  };
  const daemon = [
    "unshare",
    "--net",
    "dockerd",
    ...Object.entries(options).map(([name, value]) => `--${name}=${value}`),
  ];
  const shell = (script: string, ...operands: readonly string[]) =>
    runner.run({ words: ["sh", "-c", script, ...operands] }, { memory: false });
  const log = join(setting.directory, "docker-log");
  try {
    await shell('log=$1; shift; setsid "$@" >"$log" 2>&1 </dev/null &', "sh", log, ...daemon);
    const waiting = `for i in $(seq ${patience * 10}); do "$@" info >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1`;
    await shell(waiting, "sh", ...words);
    await shell(
      'tar -C "$1" -c . | "$2" "$3" "$4" import - "$5"',
      "sh",
      image.rootDirectory,
      ...words,
      image.reference,
    );
  } catch (error) {
    const last = readFileSync(log, "utf8").trim().split("\n").slice(-3).join(" | ");
    throw new Error(`docker's daemon does not come up: ${last}`, { cause: error });
  }
  const engine = { name: "docker", runner, words, flags: ["--network", "none"], waitFlags: [], removeFlags: ["-f"] };
  return {
    engine,
    async [Symbol.asyncDispose]() {
      const ending = `pid=$(cat "$1") && kill "$pid"
        for i in $(seq ${patience * 10}); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done; exit 1`;
      await shell(ending, "sh", at("pid"));
    },
  };
}
