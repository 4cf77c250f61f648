import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";

import type { ContainerState } from "../../src/container/record.ts";
import { shortId } from "../../src/util/ids.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { containerCgroups, createRunner, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

/** Whether a process has ended, if not yet been waited for. */
const isGone = (pid: number) => !existsSync(`/proc/${pid}/root/bin`);

describe.skipIf(!canRunCorpus)("containers that are out of order", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterEach(() => expect(runner.leftovers()).toEqual([]));
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const directory = (id: string) => `${runner.sandbox.root}/containers/${id}`;
  const recordOf = (id: string) => `${directory(id)}/container.json`;
  const stateOf = (id: string) => JSON.parse(readFileSync(`${directory(id)}/running.json`, "utf8")) as ContainerState;
  const parentOf = (pid: number) => Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
  const list = async (...words: string[]) => {
    const { stdout, stderr, exitCode } = await runner.gocker([
      "ps",
      "--format",
      "{{.ID}} {{.Names}} {{.State}}",
      ...words,
    ]);
    return { lines: stdout.split("\n").slice(0, -1), stderr, exitCode };
  };

  async function made(...words: string[]): Promise<string> {
    const { stdout, exitCode } = await runner.gocker(words);
    expect(exitCode).toBe(0);
    return stdout.trim();
  }

  /** A container that runs, with all processes of it. */
  async function running(
    name: string,
  ): Promise<{ readonly id: string; readonly monitor: number; readonly pids: number[] }> {
    const id = await made("run", "-d", "--name", name, image, "sleep", "1000");
    const pid = stateOf(id).pid as number;
    return { id, monitor: parentOf(pid), pids: [pid, parentOf(pid)] };
  }

  const damages: readonly (readonly [string, (path: string) => void])[] = [
    ["missing", (path) => rmSync(path)],
    ["empty", (path) => writeFileSync(path, "")],
    ["cut", (path) => truncateSync(path, 100)],
    ["another document", (path) => writeFileSync(path, "{}")],
  ];

  describe.each(damages)("a record that is %s", (_, damage) => {
    test("of one that does not run: it is listed as dead with one warning, and removed by name, ID and prefix", async () => {
      const byName = await made("create", "--name", "web1", image, "true");
      const byId = await made("create", "--name", "web2", image, "true");
      const byPrefix = await made("create", "--name", "web3", image, "true");
      const plainly = await made("create", "--name", "web4", image, "true");
      const all = [byName, byId, byPrefix, plainly];
      for (const id of all) for (const name of ["container", "config"]) damage(`${directory(id)}/${name}.json`);

      const { lines, stderr, exitCode } = await list("-a");
      expect(lines.toSorted()).toEqual(all.map((id, index) => `${shortId(id)} web${index + 1} dead`).toSorted());
      expect(stderr).toMatch(
        /^gocker: warning: the record of container [0-9a-f]{12} is damaged: [^\n]+, and 3 more: [^\n]+\n$/,
      );
      expect(exitCode).toBe(0);
      expect((await list("-a", "--filter", "status=dead")).lines).toHaveLength(4);
      expect((await list()).lines).toEqual([]);

      for (const words of [["start"], ["stop"], ["kill"], ["logs"], ["inspect"], ["wait"]]) {
        const refused = await runner.gocker([...words, "web1"]);
        expect(refused.stderr).toContain(`the record of container ${shortId(byName)} is damaged: `);
        expect(refused.stderr).toContain(`hint: gocker rm -f ${shortId(byName)} ends the container`);
        expect(refused.exitCode).not.toBe(0);
      }
      for (const reference of ["web1", byId, byPrefix.slice(0, 20)]) {
        expect(await runner.gocker(["rm", "-f", reference])).toEqual(success(`${reference}\n`));
      }
      expect(await runner.gocker(["rm", "web4"])).toEqual(success("web4\n"));
    });

    test("of one that has run and been stopped: prune removes it", async () => {
      const id = await made("run", "-d", "--name", "done", image, "true");
      await made("wait", "done");
      damage(recordOf(id));
      expect((await list("-a")).lines).toEqual([`${shortId(id)} done dead`]);
      expect((await runner.gocker(["container", "prune", "-f", "--filter", "label=x"])).stdout).not.toContain(id);
      expect((await runner.gocker(["container", "prune", "-f"])).stdout).toContain(`Deleted Containers:\n${id}\n`);
    });

    test("of one that runs: it is known as dead, and ended and removed by force", async () => {
      const { id, pids } = await running("alive");
      damage(recordOf(id));
      expect((await list("-a")).lines).toEqual([`${shortId(id)} alive dead`]);
      expect((await runner.gocker(["container", "prune", "-f"])).stdout).not.toContain(id);
      for (const words of [["stop"], ["kill"]]) {
        expect((await runner.gocker([...words, "alive"])).stderr).toContain(`gocker rm -f ${shortId(id)} ends`);
      }
      expect((await runner.gocker(["rm", "alive"])).exitCode).toBe(125);
      expect(await runner.gocker(["rm", "-f", "alive"])).toEqual(success("alive\n"));
      await until("all processes are gone", () => pids.every(isGone));
      expect(containerCgroups(new Set([id]))).toEqual([]);
    });

    test("of one whose monitor was killed: its processes are ended, its files stay", async () => {
      const { id, monitor, pids } = await running("orphan");
      damage(recordOf(id));
      process.kill(monitor, "SIGKILL");
      await until("all processes are gone", () => pids.every(isGone));
      expect((await list("-a")).lines).toEqual([`${shortId(id)} orphan dead`]);
      expect(containerCgroups(new Set([id]))).toEqual([]);
      expect(readdirSync(`${runner.sandbox.root}/containers/active`)).toEqual([]);
      expect(await runner.gocker(["rm", "-f", id.slice(0, 12)])).toEqual(success(`${id.slice(0, 12)}\n`));
    });
  });

  test("a monitor that hangs: stop says so in time, and rm -f ends it", async () => {
    const { id, monitor, pids } = await running("hung");
    process.kill(monitor, "SIGSTOP");
    const begin = performance.now();
    const stopped = await runner.gocker(["stop", "-t", "1", "hung"]);
    // Its own second, and ten.
    expect(performance.now() - begin).toBeWithin(10_000, 20_000);
    expect(stopped.stderr).toBe(
      `gocker: container ${shortId(id)} has ended, but that is not on record: whoever looks after it does not answer\n` +
        `  hint: gocker rm -f ${shortId(id)} removes the container all the same\n`,
    );
    expect(stopped.exitCode).toBe(125);
    expect(await runner.gocker(["rm", "-f", "hung"])).toEqual(success("hung\n"));
    await until("all processes are gone", () => pids.every(isGone));
    expect(containerCgroups(new Set([id]))).toEqual([]);
  }, 120_000);
});
