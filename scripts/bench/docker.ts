import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Runner } from "./runner.ts";
import type { Setting } from "./setting.ts";
import type { WarmImage } from "./warm.ts";

/** Docker as long as it is measured: with a daemon of the benchmarks' own, which `await using` ends. */
export interface Docker extends AsyncDisposable {
  readonly runner: Runner;
  /** The words before the verb. */
  readonly words: readonly string[];
  /** Gives it an image of one layer. @param root its files, in a directory */
  importImage(root: string, reference: string): Promise<void>;
}

/** What the daemon has of networks. */
export interface DockerNetwork {
  readonly name: string;
  /** How a program begins that is in the namespace where the daemon is. */
  readonly by: readonly string[];
  readonly options: Readonly<Record<string, string>>;
}

/** A namespace without a way out, where the daemon makes no bridge and no rule of the firewall. */
const noNetwork: DockerNetwork = {
  name: "none",
  by: ["unshare", "--net"],
  options: { bridge: "none", iptables: "false", ip6tables: "false", "ip-forward": "false", "ip-masq": "false" },
};

/** Seconds that the daemon has to come up, and to end. */
const patience = 30;

/**
 * Starts Docker's daemon with everything that it has in the store, and gives it the image.
 * @param network its bridge and its rules are in there, so that nothing of the machine's own is changed
 * @returns undefined where no daemon is installed
 * @throws Error it does not come up
 */
export async function startDocker(
  setting: Setting,
  image: WarmImage,
  network: DockerNetwork = noNetwork,
): Promise<Docker | undefined> {
  if (Bun.which("dockerd") === null || Bun.which("docker") === null) return undefined;
  const runner = setting.peers;
  const at = (name: string) => join(image.store, `docker-${network.name}-${name}`);
  const words = ["docker", "--host", `unix://${at("socket")}`];
  const options = {
    host: `unix://${at("socket")}`,
    pidfile: at("pid"),
    "data-root": at("data"),
    "exec-root": at("exec"),
    "exec-opt": "native.cgroupdriver=cgroupfs",
    "cgroup-parent": setting.cgroupParent,
    // It wants another one, which takes CAP_SYS_RESOURCE.
    "oom-score-adjust": "0",
    ...network.options,
  };
  const daemon = [...network.by, "dockerd", ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)];
  const shell = (script: string, ...operands: readonly string[]) =>
    runner.run({ words: ["sh", "-c", script, ...operands] }, { memory: false });
  const importImage = async (root: string, reference: string) => {
    await shell('tar -C "$1" -c . | "$2" "$3" "$4" import - "$5"', "sh", root, ...words, reference);
  };
  const log = join(setting.directory, `docker-${network.name}-log`);
  try {
    await shell('log=$1; shift; setsid "$@" >"$log" 2>&1 </dev/null &', "sh", log, ...daemon);
    const waiting = `for i in $(seq ${patience * 10}); do "$@" info >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1`;
    await shell(waiting, "sh", ...words);
    await importImage(image.rootDirectory, image.reference);
  } catch (error) {
    const last = readFileSync(log, "utf8").trim().split("\n").slice(-3).join(" | ");
    throw new Error(`docker's daemon does not come up: ${last}`, { cause: error });
  }
  return {
    runner,
    words,
    importImage,
    async [Symbol.asyncDispose]() {
      const ending = `pid=$(cat "$1") && kill "$pid"
        for i in $(seq ${patience * 10}); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done; exit 1`;
      await shell(ending, "sh", at("pid"));
    },
  };
}
