import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";

import type { ContainerRecord } from "../../src/container/record.ts";
import type { Resources, RuntimeSpec } from "../../src/oci/runtime-spec.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { has, hasV1, valueOf } from "../helpers/cgroups.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";

const mebibyte = 2 ** 20;
const hasLimits = ["memory", "cpu", "cpuset", "pids"].every(has);
if (canRunCorpus && !hasLimits) console.warn("changes of limits: skipped, this host has not all controllers");

describe.skipIf(!canRunCorpus || !hasLimits)("gocker update", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const update = (...words: string[]) => runner.gocker(["update", ...words]);
  const directoryOf = (id: string) => `${runner.sandbox.root}/containers/${id}`;
  const recordOf = (id: string) =>
    JSON.parse(readFileSync(`${directoryOf(id)}/container.json`, "utf8")) as ContainerRecord;
  /** What the specification has, without the rules for devices. */
  const stored = (id: string): Resources => {
    const { linux } = JSON.parse(readFileSync(`${directoryOf(id)}/config.json`, "utf8")) as RuntimeSpec;
    const { devices, ...limits } = linux?.resources ?? {};
    expect(devices?.length).toBeGreaterThan(5);
    return limits;
  };
  /** What the kernel has. */
  const inForce = (id: string) => {
    using cgroup = openCgroup(`/gocker/${id}`);
    const [memory, swap] = hasV1("memory")
      ? (["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] as const)
      : (["memory.max", "memory.swap.max"] as const);
    return {
      memory: Number(valueOf(cgroup, memory)),
      /** Memory and swap together. */
      swap: Number(valueOf(cgroup, swap)) + (hasV1("memory") ? 0 : Number(valueOf(cgroup, "memory.max"))),
      processors: hasV1("cpu")
        ? `${valueOf(cgroup, "cpu.cfs_quota_us")} ${valueOf(cgroup, "cpu.cfs_period_us")}`
        : valueOf(cgroup, "cpu.max"),
      cpuset: valueOf(cgroup, "cpuset.cpus"),
      processes: valueOf(cgroup, "pids.max"),
    };
  };

  /** Looks at a container of this name that runs, and removes it. */
  const withRunning = async (name: string, flags: readonly string[], look: (id: string) => Promise<void>) => {
    const child = runner.start(["run", "--name", name, ...flags, image, "sleep", "1000"]);
    const { id } = await runner.untilRunning();
    try {
      await look(id);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
      // With --rm this command finds it gone.
      expect((await runner.gocker(["rm", "-f", name])).exitCode).toBe(0);
      expect(runner.leftovers()).toEqual([]);
    }
  };

  /** A container that has ended. */
  const withEnded = async (name: string, flags: readonly string[], look: (id: string) => Promise<void>) => {
    expect(await runner.gocker(["run", "--name", name, ...flags, image, "true"])).toEqual(success(""));
    const id = readdirSync(`${runner.sandbox.root}/containers`).find((entry) => /^[0-9a-f]{64}$/.test(entry)) ?? "";
    try {
      await look(id);
    } finally {
      expect(await runner.gocker(["rm", name])).toEqual(success(`${name}\n`));
    }
  };

  test("changes what is given, in force and for the next start, and leaves the rest", async () => {
    await withRunning("web", ["-m", "64m", "--cpus", "0.5", "--pids-limit", "50"], async (id) => {
      const cpu = { period: 100_000, quota: 50_000 };
      const before = inForce(id);
      expect(before).toMatchObject({ memory: 64 * mebibyte, swap: 128 * mebibyte, processors: "50000 100000" });

      expect(await update("-m", "32m", "--pids-limit", "0", "web")).toEqual(success("web\n"));
      expect(inForce(id)).toEqual({ ...before, memory: 32 * mebibyte, processes: "max" });
      expect(stored(id)).toEqual({ memory: { limit: 32 * mebibyte, swap: 128 * mebibyte }, cpu });

      const words = ["--memory", "256m", "--memory-swap", "512m", "--cpus", "1", "--cpuset-cpus", "0"];
      expect(await update(...words, id.slice(0, 12))).toEqual(success(`${id.slice(0, 12)}\n`));
      expect(inForce(id)).toEqual({
        memory: 256 * mebibyte,
        swap: 512 * mebibyte,
        processors: "100000 100000",
        cpuset: "0",
        processes: "max",
      });
      expect(stored(id)).toEqual({
        memory: { limit: 256 * mebibyte, swap: 512 * mebibyte },
        cpu: { ...cpu, quota: 100_000, cpus: "0" },
      });
    });
  });

  test("gives limits to a container that has none, and takes a quota away", async () => {
    await withRunning("free", [], async (id) => {
      expect(stored(id)).toEqual({});
      expect(await update("-m", "64m", "--cpu-quota", "50000", "free")).toEqual(success("free\n"));
      expect(inForce(id)).toMatchObject({ memory: 64 * mebibyte, swap: 128 * mebibyte, processors: "50000 100000" });
      expect(await update("--cpu-quota", "-1", "free")).toEqual(success("free\n"));
      expect(inForce(id).processors).toBe(hasV1("cpu") ? "-1 100000" : "max 100000");
    });
  });

  test("changes limits of a container that stands still", async () => {
    await withRunning("still", [], async (id) => {
      using cgroup = openCgroup(`/gocker/${id}`);
      cgroup.freeze();
      expect(await update("--pids-limit", "9", "still")).toEqual(success("still\n"));
      expect(inForce(id).processes).toBe("9");
      expect(cgroup.isFrozen()).toBe(true);
      cgroup.thaw();
    });
  });

  test("changes nothing when a part of it is refused", async () => {
    await withRunning("kept", ["-m", "64m", "--pids-limit", "50"], async (id) => {
      const [limits, files] = [inForce(id), stored(id)];
      for (const [words, message] of [
        [["-m", "65m", "--memory-swap", "64m"], /^gocker: --memory-swap .* is less than --memory /],
        [["-m", "129m"], /^gocker: --memory-swap \(134217728 bytes\) is less than --memory \(135266304 bytes\)\n/],
        // The kernel's own word, after others have been written.
        [["--pids-limit", "5", "--cpu-rt-runtime", "5000000"], /^gocker: .*--cpu-rt-runtime .*\bcpu\b/],
        [["--pids-limit", "5", "--cpuset-cpus", "5000"], /^gocker: --cpuset-cpus 5000 names what this machine/],
      ] as const) {
        const { stdout, stderr, exitCode } = await update("--restart", "always", ...words, "kept");
        expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
        expect(stderr).toMatch(message);
        expect(inForce(id)).toEqual(limits);
        expect(stored(id)).toEqual(files);
        expect(recordOf(id)).not.toHaveProperty("restart");
      }
    });
  });

  test("changes what a container that has ended will have", async () => {
    await withEnded("done", ["-m", "64m"], async (id) => {
      expect(await update("--memory-swap", "-1", "--blkio-weight", "500", "done")).toEqual(success("done\n"));
      expect(stored(id)).toEqual({ memory: { limit: 64 * mebibyte, swap: -1 }, blockIO: { weight: 500 } });
      expect(await update("--memory-swap", "32m", "done")).toMatchObject({ stdout: "", exitCode: 125 });
      expect(stored(id)).toEqual({ memory: { limit: 64 * mebibyte, swap: -1 }, blockIO: { weight: 500 } });
      expect(openCgroup(`/gocker/${id}`).exists()).toBe(false);
    });
  });

  test("a container has its new limits also when it is started again", async () => {
    const { stdout } = await runner.gocker(["create", "--name", "later", "-m", "64m", image, "sleep", "1000"]);
    const id = stdout.trim();
    try {
      expect(await update("-m", "32m", "--pids-limit", "9", "later")).toEqual(success("later\n"));
      expect(await runner.gocker(["start", "later"])).toEqual(success("later\n"));
      expect(inForce(id)).toMatchObject({ memory: 32 * mebibyte, swap: 128 * mebibyte, processes: "9" });
      expect(await update("--pids-limit", "11", "later")).toEqual(success("later\n"));
      expect(await runner.gocker(["restart", "-t", "0", "later"])).toEqual(success("later\n"));
      expect(inForce(id)).toMatchObject({ memory: 32 * mebibyte, swap: 128 * mebibyte, processes: "11" });
    } finally {
      expect(await runner.gocker(["rm", "-f", "later"])).toEqual(success("later\n"));
    }
  });

  test("changes the restart policy", async () => {
    await withEnded("again", [], async (id) => {
      expect(await update("--restart", "on-failure:3", "again")).toEqual(success("again\n"));
      expect(recordOf(id).restart).toEqual({ name: "on-failure", maximumRetries: 3 });
      expect(await update("--restart", "", "-m", "0", "again")).toEqual(success("again\n"));
      expect(recordOf(id).restart).toEqual({ name: "on-failure", maximumRetries: 3 });
      expect(await update("--restart", "no", "again")).toEqual(success("again\n"));
      expect(recordOf(id)).not.toHaveProperty("restart");
      expect(await update("--restart", "sometimes", "again")).toMatchObject({ stdout: "", exitCode: 125 });
      expect(stored(id)).toEqual({});
    });
  });

  test("gives no restart policy to a container that is removed when it ends", async () => {
    await withRunning("once", ["--rm"], async (id) => {
      expect(await update("--restart", "always", "--pids-limit", "5", "once")).toMatchObject({
        stdout: "",
        stderr: expect.stringContaining("container once cannot have a restart policy: it is removed when it has ended"),
        exitCode: 125,
      });
      expect(inForce(id).processes).toBe("max");
      expect(await update("--restart", "no", "once")).toEqual(success("once\n"));
    });
  });

  test("goes on with the others when one is not there", async () => {
    await withEnded("here", [], async (id) => {
      expect(await update("--pids-limit", "7", "nowhere", "here")).toMatchObject({
        stdout: "here\n",
        stderr: expect.stringMatching(/^gocker: no such container: nowhere\n/),
        exitCode: 125,
      });
      expect(stored(id)).toEqual({ pids: { limit: 7 } });
    });
  });

  test("many at once lose none of them", async () => {
    await withRunning("busy", [], async (id) => {
      const changes = ["--pids-limit 70", "-m 64m", "--cpus 0.5", "-c 300", "--cpuset-cpus 0", "--restart always"];
      const outcomes = await Promise.all(changes.map((change) => update(...change.split(" "), "busy")));
      for (const outcome of outcomes) expect(outcome).toEqual(success("busy\n"));
      expect(stored(id)).toEqual({
        memory: { limit: 64 * mebibyte, swap: 128 * mebibyte },
        cpu: { period: 100_000, quota: 50_000, shares: 300, cpus: "0" },
        pids: { limit: 70 },
      });
      expect(recordOf(id).restart).toEqual({ name: "always" });
      expect(inForce(id)).toMatchObject({ memory: 64 * mebibyte, processors: "50000 100000", processes: "70" });
    });
  });

  test.each([
    [["x"], "gocker: update: there is nothing to change\n"],
    [["-m", "64m"], "gocker: update needs at least 1 argument, and got none\n"],
    [["--memory-swappiness", "5", "x"], "gocker: update: unknown flag --memory-swappiness\n"],
    [["-m", "5m", "x"], "gocker: --memory (5242880 bytes) is too little: the minimum is 6m\n"],
  ])("%j is refused", async (words, message) => {
    const { stdout, stderr, exitCode } = await update(...words);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    expect(stderr).toStartWith(message);
  });
});
