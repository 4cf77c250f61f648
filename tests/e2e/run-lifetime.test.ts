import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { isSlow, patience } from "../helpers/patience.ts";
import { containerCgroups, createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunCorpus)("the container's life", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** A container whose script says what it has told when it is ready. */
  const startScript = async (flags: readonly string[], script: string) => {
    const child = runner.start(["run", "--rm", "-i", ...flags, image, "sh", "-c", script]);
    const { id, pid = 0 } = await runner.untilRunning();
    const marker = `${runner.sandbox.root}/containers/${id}/upper/ready`;
    await until("the script is ready", () => existsSync(marker));
    return { child, id, pid };
  };

  describe("signals", () => {
    test.each(["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "CONT"] as const)(
      "SIG%s reaches process 1",
      async (signal) => {
        const script = `trap 'echo got ${signal}; exit 5' ${signal}; touch /ready; while :; do sleep 0.01; done`;
        const { child } = await startScript([], script);
        child.kill(`SIG${signal}`);
        expect(await outcomeOf(child)).toEqual({ stdout: `got ${signal}\n`, stderr: "", exitCode: 5 });
      },
    );

    test("with --init they reach the command, which ends by them", async () => {
      const { child } = await startScript(["--init"], "touch /ready; exec sleep 1000");
      child.kill("SIGTERM");
      expect(await outcomeOf(child)).toEqual({ stdout: "", stderr: "", exitCode: 143 });
    });

    test("process 1 without a handler is not ended by SIGTERM; the third one means it", async () => {
      const { child, pid } = await startScript([], "touch /ready; exec sleep 1000");
      for (let count = 0; count < 2; count++) {
        child.kill("SIGTERM");
        await untilHandled(child.pid);
        expect(isAlive(pid)).toBe(true);
      }
      child.kill("SIGTERM");
      expect(await outcomeOf(child)).toEqual({ stdout: "", stderr: "", exitCode: 137 });
    });

    test("a pull that is interrupted leaves a store that works", async () => {
      await runner.registry.pushImage("slow:1", { layers: [alpineLayer, new Uint8Array(30_000_000)] });
      const child = runner.start(["run", "--rm", runner.image("slow:1"), "true"]);
      const temporary = `${runner.sandbox.root}/tmp`;
      await until("the pull has begun", () => existsSync(temporary) && readdirSync(temporary).length > 0);
      child.kill("SIGTERM");
      expect((await outcomeOf(child)).exitCode).toBe(143);
      expect(await runner.run(["-q", runner.image("slow:1"), "echo", "x"])).toEqual(success("x\n"));
    });
  });

  describe("SIGKILL of gocker", () => {
    test.each([
      ["a plain program", "touch /ready; exec sleep 1000"],
      ["one that has given up its user, as servers do", "touch /ready; exec su -s /bin/sleep nobody -- 1000"],
      [
        "one with children, in sessions of their own",
        "for i in 1 2 3; do setsid sleep 1000 & done; touch /ready; wait",
      ],
    ])("ends %s at once", async (_, script) => {
      const { child, id, pid } = await startScript([], script);
      // Where the shell has become another program with another user, the kernel forgets to kill it with gocker.
      if (script.includes("su -s")) await until("it is nobody", () => /^Uid:\t65534/m.test(statusOf(pid)));
      const inside = processesOf(id);
      expect(inside.length).toBeGreaterThan(0);
      child.kill("SIGKILL");
      await child.exited;
      await until("its processes are gone", () => !inside.some(isAlive), 1000);
      await runner.gocker(["ps", "-a"]);
      expect(runner.leftovers()).toEqual([]);
      expect(containerCgroups(new Set([id]))).toEqual([]);
    });

    test("at any moment, twenty times: nothing is left after the next command", async () => {
      const seen = new Set<string>();
      const counts = { before: 0, during: 0, after: 0 };
      for (let round = 0; round < 20; round++) {
        // From before the container exists to after its end: a run takes some 60 ms.
        const wait = patience((round * 5) % 100);
        const init = round % 2 === 0 ? ["--init"] : [];
        const words = ["run", "--rm", ...init, "-v", "/anonymous", "--tmpfs", "/t", image, "sh", "-c", "sleep 0.02"];
        const child = runner.start(words);
        await Bun.sleep(wait);
        for (const id of idsIn(runner)) seen.add(id);
        child.kill("SIGKILL");
        await child.exited;
        if (child.signalCode === null) counts.after++;
        else if (idsIn(runner).length > 0) counts.during++;
        else counts.before++;
        expect(await runner.gocker(["ps", "-a", "-q"])).toEqual(success(""));
        expect(runner.leftovers()).toEqual([]);
        expect(containerCgroups(seen)).toEqual([]);
        expect(volumesIn(runner)).toEqual([]);
      }
      expect(counts.before + counts.during + counts.after).toBe(20);
      expect(counts.during).toBeGreaterThan(0);
      expect(await runner.run([image, "echo", "x"])).toEqual(success("x\n"));
    });

    test("a container without --rm that dies so stays, and says that it does not run", async () => {
      const child = runner.start(["run", "--name", "orphan", image, "sleep", "1000"]);
      const { pid = 0 } = await runner.untilRunning();
      // It is looked after by its monitor, and goes on without the command.
      const monitor = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
      process.kill(monitor, "SIGKILL");
      await until("its process is gone", () => !isAlive(pid), 1000);
      expect(await outcomeOf(child)).toMatchObject({ stdout: "", exitCode: 125 });
      const { stdout } = await runner.gocker(["ps", "-a", "--format", "json"]);
      expect(JSON.parse(stdout)).toMatchObject({ Names: "orphan", State: "exited" });
      expect(await runner.gocker(["rm", "orphan"])).toEqual(success("orphan\n"));
      expect(runner.leftovers()).toEqual([]);
    });
  });

  test("many runs leave no cgroup, mount, directory, interface or process", async () => {
    const temporary = `${runner.sandbox.directory}/temporary`;
    mkdirSync(temporary);
    const seen = new Set<string>();
    const before = filesIn(runner.sandbox.directory);
    const rounds = isSlow ? 20 : 200;
    for (let round = 0; round < rounds; round++) {
      const words = ["--network", round % 2 === 0 ? "host" : "none", "--cidfile", `${temporary}/id`, image, "true"];
      const { exitCode, stderr } = await runner.run(words, { env: { TMPDIR: temporary } });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      seen.add(readFileSync(`${temporary}/id`, "utf8"));
      rmSync(`${temporary}/id`);
    }
    expect(seen.size).toBe(rounds);
    expect(runner.leftovers()).toEqual([]);
    expect(containerCgroups(seen)).toEqual([]);
    expect(filesIn(runner.sandbox.directory)).toEqual(before);
  }, 90_000);

  test("twenty at once get names, networks and files of their own", async () => {
    const script = "hostname; echo $N >/n; sleep 0.1; cat /n";
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        runner.run(["--network", "none", "-e", `N=${index}`, image, "sh", "-c", script]),
      ),
    );
    const names = new Set<string>();
    for (const [index, { stdout, stderr, exitCode }] of outcomes.entries()) {
      const [name = "", number] = stdout.split("\n");
      names.add(name);
      expect({ number, stderr, exitCode }).toEqual({ number: String(index), stderr: "", exitCode: 0 });
    }
    expect(names.size).toBe(20);
    expect(runner.leftovers()).toEqual([]);
  });

  test("eight at once of an image that is not there yet: its layer is fetched once", async () => {
    const layer = new Uint8Array(2048);
    await runner.registry.pushImage("once:1", { layers: [alpineLayer, layer] });
    const reference = runner.image("once:1");
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => runner.run(["-q", reference, "echo", "x"], { timeout: 60_000 })),
    );
    for (const outcome of outcomes) expect(outcome).toEqual(success("x\n"));
    // Each asks what the image is; one of them takes the layer.
    const digest = new Bun.CryptoHasher("sha256").update(layer).digest("hex");
    expect(runner.registry.log().split(`"GET /v2/once/blobs/sha256:${digest} HTTP/1.1" 200`)).toHaveLength(2);
  });
});

/** Whether a process has not ended; what nobody has waited for yet, the host's process 1 being slow, has. */
function isAlive(pid: number): boolean {
  return /^State:\t[^ZX]/m.test(statusOf(pid));
}

function statusOf(pid: number): string {
  return existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/status`, "latin1") : "";
}

/** The processes in a container's cgroup, by the host's numbers. */
function processesOf(id: string): number[] {
  const lists = containerCgroups(new Set([id])).map((path) => readFileSync(`${path}/cgroup.procs`, "latin1"));
  return [...new Set(lists.flatMap((list) => list.split("\n").filter((line) => line !== "")))].map(Number);
}

function idsIn(runner: Runner): string[] {
  return readdirSync(`${runner.sandbox.root}/containers`).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

function volumesIn(runner: Runner): string[] {
  const directory = `${runner.sandbox.root}/volumes`;
  return existsSync(directory) ? readdirSync(directory).filter((name) => name !== ".lock") : [];
}

/** Waits until a process has taken every signal that was sent to it. */
async function untilHandled(pid: number): Promise<void> {
  await until("the signal is taken", () => /^ShdPnd:\t0+$/m.test(statusOf(pid)));
}

/** The names of all files of the store, without those of the layers. */
function filesIn(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true }).map(String);
  return names.filter((name) => !/^root\/layers\/.*\//.test(name)).toSorted();
}
