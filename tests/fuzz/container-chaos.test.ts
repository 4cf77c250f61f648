import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

import type { ContainerState } from "../../src/container/record.ts";
import { Semaphore } from "../../src/util/semaphore.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { containerCgroups, createRunner, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

/** `GOCKER_CHAOS_CONTAINERS=100` for a long run. */
const count = Number(process.env["GOCKER_CHAOS_CONTAINERS"] ?? 14);
/** Started at once: more makes each start slower, and no other order of events. */
const atOnce = 8;

const idle = "while :; do echo tick; sleep 0.2; done";

/** What a container is like, and what becomes of it when something of it is killed. */
interface Kind {
  readonly flags: readonly string[];
  /** The command stays, and is a process to be killed. */
  readonly foreground?: true;
  /** What is done to it when it runs. */
  readonly verbs?: readonly string[];
  /** What is killed, and the status that follows; undefined: it is gone. */
  readonly ends: Readonly<Record<string, "running" | "exited" | undefined>>;
}

const exits = { process: "exited", monitor: "exited" } as const;
const kinds: readonly Kind[] = [
  { flags: ["-d"], ends: exits },
  { flags: ["-d", "-v", "shared:/data", "-v", "/own", "--tmpfs", "/tmp"], ends: exits },
  { flags: ["-d", "--rm", "-v", "/own"], ends: { process: undefined, monitor: undefined } },
  { flags: ["-d", "--restart", "always"], ends: { process: "running", monitor: "exited" } },
  { flags: ["-d", "-v", "memory:/data", "--restart", "on-failure"], ends: { process: "running", monitor: "exited" } },
  { flags: ["-d", "--init", "--health-cmd", "true", "--health-interval", "200ms"], ends: exits },
  { flags: ["-d"], verbs: ["pause"], ends: { process: "exited", monitor: "exited" } },
  { flags: ["--rm", "-v", "memory:/data"], foreground: true, ends: { process: undefined, command: undefined } },
  { flags: [], foreground: true, ends: { ...exits, command: "running" } },
  { flags: ["-t"], foreground: true, ends: { ...exits, command: "running" } },
];

/** One that was started, and what was done to it. */
interface Started {
  readonly name: string;
  readonly kind: Kind;
  readonly id: string;
  readonly command: ReturnType<Runner["start"]>;
  readonly state: ContainerState & { readonly pid: number };
  /** The process that looks after it. */
  readonly keeper: number;
  killed?: string;
}

describe.skipIf(!canRunCorpus)("many containers of which half lose a process", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    const volume = ["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"];
    expect(await runner.gocker(volume)).toEqual(success("memory\n"));
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const directory = (id: string) => `${runner.sandbox.root}/containers/${id}`;
  const hasLock = (id: string) => existsSync(`${runner.sandbox.root}/containers/active/${id}`);

  function stateOf(id: string): ContainerState | undefined {
    if (!existsSync(directory(id))) return undefined;
    const path = ["exited", "running"].map((name) => `${directory(id)}/${name}.json`).find((name) => existsSync(name));
    return path === undefined ? { status: "created" } : (JSON.parse(readFileSync(path, "utf8")) as ContainerState);
  }

  async function start(kind: Kind, name: string): Promise<Started> {
    const command = runner.start(["run", "--name", name, "-q", ...kind.flags, image, "sh", "-c", idle]);
    const link = `${runner.sandbox.root}/containers/names/${name}`;
    let state: ContainerState | undefined;
    let id = "";
    const isStarted = () => {
      if (!isLink(link)) return false;
      id = readlinkSync(link);
      state = stateOf(id);
      return state?.status === "running" && existsSync(`/proc/${state.pid}`);
    };
    await until(`${name} runs`, isStarted, 60_000);
    if (kind.foreground === undefined) expect(await command.exited).toBe(0);
    const running = state as Started["state"];
    for (const verb of kind.verbs ?? []) expect(await runner.gocker([verb, name])).toEqual(success(`${name}\n`));
    return { name, kind, id, command, state: running, keeper: parentOf(running.pid) };
  }

  function kill(container: Started, what: string): void {
    const { state, keeper, command } = container;
    process.kill({ process: state.pid, monitor: keeper, command: command.pid }[what] as number, "SIGKILL");
    container.killed = what;
  }

  /** What is not true of what is on record of a container; nothing when all is. */
  function lies({ id, killed, kind }: Started): string[] {
    const wanted = killed === undefined ? "running" : kind.ends[killed];
    const state = stateOf(id);
    if (state?.status !== wanted) return [`is ${state?.status}, not ${wanted}`];
    const cgroups = containerCgroups(new Set([id]));
    if (state?.status !== "running") {
      const known = killed === "monitor" ? 137 : state?.exitCode;
      return [
        ...(cgroups.length > 0 ? [`has cgroups: ${cgroups.join(", ")}`] : []),
        ...(hasLock(id) ? ["is still held by somebody"] : []),
        ...(state !== undefined && (known !== 137 || state.exitCode !== 137) ? [`ended with ${state.exitCode}`] : []),
      ];
    }
    const pid = state.pid as number;
    const members = cgroups.map((path) => readFileSync(`${path}/cgroup.procs`, "utf8").split("\n"));
    return [
      ...(existsSync(`/proc/${pid}`) ? [] : [`process ${pid} is not there`]),
      ...(members.every((pids) => pids.includes(String(pid))) && cgroups.length > 0 ? [] : ["is not in its cgroups"]),
      ...(hasLock(id) ? [] : ["is held by nobody"]),
    ];
  }

  const untilTrue = async (containers: readonly Started[]) => {
    const told = () => containers.flatMap((one) => lies(one).map((lie) => `${one.name} (${one.killed}) ${lie}`));
    try {
      await until("all records are true", () => told().length === 0, 20_000);
    } catch {
      expect(told()).toEqual([]);
    }
  };

  test(
    `${count} containers: the records are true, the others go on, and all can be removed`,
    async () => {
      const places = new Semaphore(atOnce);
      const containers = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          using _place = await places.enter();
          return await start(kinds[index % kinds.length] as Kind, `chaos-${index}`);
        }),
      );
      const ids = new Set(containers.map(({ id }) => id));

      // Commands that are killed somewhere in the making and starting of a container.
      const broken = Array.from({ length: Math.ceil(count / 4) }, async (_, index) => {
        using _place = await places.enter();
        const kind = kinds[index % kinds.length] as Kind;
        const command = runner.start(["run", "-q", ...kind.flags, image, "sleep", "1000"]);
        await Bun.sleep(Math.random() * 250);
        command.kill("SIGKILL");
        await command.exited;
      });

      for (const container of shuffled(containers).slice(0, count / 2)) {
        const [what] = shuffled(Object.keys(container.kind.ends));
        kill(container, what as string);
        // Some at once, and some while others are put in order.
        if (Math.random() < 0.3) await Bun.sleep(Math.random() * 50);
        if (Math.random() < 0.2) expect((await runner.gocker(["ps", "-aq"])).exitCode).toBe(0);
      }
      await Promise.all(broken);
      expect((await runner.gocker(["ps", "-a"])).stderr).toBe("");
      await untilTrue(containers);

      for (const { name, killed, kind } of containers.filter((_, index) => index % 7 === 0)) {
        if (killed !== undefined || kind.verbs !== undefined) continue;
        expect(await runner.gocker(["exec", name, "echo", "here"])).toEqual(success("here\n"));
        if (!kind.flags.includes("--rm")) expect((await runner.gocker(["logs", name])).stdout).toStartWith("tick");
      }
      for (const { keeper, killed, kind } of containers) {
        if (killed !== undefined || kind.foreground === true) continue;
        expect(readdirSync(`/proc/${keeper}/fd`).length).toBeLessThan(16);
      }

      const left = (await runner.gocker(["ps", "-aq"])).stdout.split("\n").filter((id) => id !== "");
      const removed = await runner.gocker(["rm", "-f", "-v", ...left], { timeout: 240_000 });
      expect(removed).toEqual(success(left.map((id) => `${id}\n`).join("")));
      await Promise.all(containers.map(({ command }) => command.exited));
      await runner.gocker(["ps"]);
      expect(runner.leftovers()).toEqual([]);
      expect(containerCgroups(ids)).toEqual([]);
      const { root, state } = runner.sandbox;
      expect(readdirSync(`${root}/containers`).toSorted()).toEqual([".mount-points", "active", "names"]);
      expect(readdirSync(`${root}/tmp`)).toEqual([]);
      expect(readdirSync(`${state}/monitors`)).toEqual([]);
      const volumes = await runner.gocker(["volume", "prune", "-af"]);
      expect({ exitCode: volumes.exitCode, stderr: volumes.stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(readdirSync(`${root}/volumes`)).toEqual([".lock"]);
      const volume = ["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"];
      expect(await runner.gocker(volume)).toEqual(success("memory\n"));
    },
    60_000 + count * 2000,
  );
});

function isLink(path: string): boolean {
  try {
    readlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
