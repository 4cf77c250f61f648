import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, rmSync, statfsSync } from "node:fs";

import { readState } from "../../src/container/state-files.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunCorpus)("a disk that is full", () => {
  let runner: Runner;
  let image: string;
  let containers: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    containers = `${runner.sandbox.root}/containers`;
    mkdirSync(containers, { recursive: true });
    await Bun.$`mount -t tmpfs -o size=4m,mode=700 tmpfs ${containers}`.quiet();
  });
  afterEach(async () => {
    rmSync(filler(), { force: true });
    await runner.gocker(["rm", "-f", "full"]);
  });
  afterAll(async () => {
    if (containers !== undefined) await Bun.$`umount ${containers}`.quiet();
    await runner?.[Symbol.asyncDispose]();
  });

  const filler = () => `${containers}/.filler`;
  /** What a file says that is there already may be all that there is room for. */
  const stateOf = (id: string) => readState(`${containers}/${id}`);

  /** Takes what room there is, to the last page. */
  function fill(): void {
    for (;;) {
      try {
        appendFileSync(filler(), Buffer.alloc(4096, "x"));
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
        return;
      }
    }
  }

  const shown = async () => (await runner.gocker(["ps", "-a", "--format", "{{.Names}} {{.Status}}"])).stdout;

  test("what floods its log is stopped, and that is what is told of it", async () => {
    const { stdout } = await runner.gocker(["run", "-d", "--name", "full", image, "yes"]);
    await until("the disk is full", () => statfsSync(containers).bavail === 0);
    fill();
    expect(await runner.gocker(["stop", "-t", "0", "full"])).toEqual(success("full\n"));
    expect(await shown()).toMatch(/^full Exited \(137\) /);
    const { status, finishedAt } = stateOf(stdout.trim());
    expect({ status, finishedAt }).toEqual({ status: "exited", finishedAt: expect.any(String) as string });
    const told = await runner.gocker(["inspect", "-f", "{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}", "full"]);
    expect(told).toEqual(success("exited 0 137\n"));
  });

  test("it is started and ends again, and its last end is known meanwhile", async () => {
    const { stdout } = await runner.gocker(["run", "-d", "--name", "full", image, "cat", "/dev/zero"]);
    const id = stdout.trim();
    await until("the disk is full", () => statfsSync(containers).bavail === 0);
    fill();
    expect(await runner.gocker(["stop", "-t", "0", "full"])).toEqual(success("full\n"));
    const { finishedAt } = stateOf(id);
    expect(await runner.gocker(["start", "full"])).toEqual(success("full\n"));
    expect(await shown()).toMatch(/^full Up /);
    expect(await runner.gocker(["inspect", "-f", "{{.State.FinishedAt}}", "full"])).toEqual(success(`${finishedAt}\n`));
    expect(await runner.gocker(["kill", "full"])).toEqual(success("full\n"));
    await until("it has ended", async () => (await shown()).startsWith("full Exited (137) "));
  });
});
