import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";

import type { ContainerState } from "../../src/container/record.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { has, hasV1, host, valueOf } from "../helpers/cgroups.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { hasPodman, PodmanRunner } from "../helpers/podman-runner.ts";
import { containerCgroups, createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

/*
 * What the kernel's files say of a container's cgroup is what these are about, on whichever version of cgroups this host
 * has.
 */

const mebibyte = 2 ** 20;
const hasLimits = ["memory", "cpu", "cpuset", "pids"].every(has);
if (canRunCorpus && !hasLimits) console.warn("limits: skipped, this host has not all controllers");

/** A disk of this host, such as /dev/vda. */
const disk = readdirSync("/sys/block")
  .filter((name) => !/^(loop|zram|ram|sr|fd|dm-)/.test(name))
  .map((name) => `/dev/${name}`)
  .find((path) => existsSync(path));

/** The files that tell a limit: of version 1, or of version 2. */
const inForce = {
  memory: hasV1("memory")
    ? ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    : ["memory.max", "memory.swap.max"],
  reservation: hasV1("memory") ? ["memory.soft_limit_in_bytes"] : ["memory.low"],
  processors: hasV1("cpu") ? ["cpu.cfs_quota_us", "cpu.cfs_period_us"] : ["cpu.max"],
  shares: hasV1("cpu") ? ["cpu.shares"] : ["cpu.weight"],
  cpuset: ["cpuset.cpus", "cpuset.mems"],
  processes: ["pids.max"],
};

describe.skipIf(!canRunCorpus || !hasLimits)("limits", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());
  afterEach(() => expect(runner.leftovers()).toEqual([]));

  /** Runs something while a container with these flags sleeps. */
  const whileRunning = async (
    flags: readonly string[],
    look: (id: string) => void | Promise<void>,
    path = "/gocker",
  ) => {
    const child = runner.start(["run", "--rm", ...flags, image, "sleep", "1000"]);
    const { id } = await runner.untilRunning();
    try {
      await look(`${path}/${id}`);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
      expect(await runner.gocker(["ps", "-aq"])).toEqual(success(""));
      expect(containerCgroups(new Set([id]))).toEqual([]);
    }
  };

  const limitsIn = (path: string, names: readonly (keyof typeof inForce)[]) => {
    using cgroup = openCgroup(path);
    return names.flatMap((name) => inForce[name].map((file) => valueOf(cgroup, file)));
  };

  test("of everything are in force before the program begins", async () => {
    const flags = "-m 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 -c 512 --cpuset-cpus 0 --cpuset-mems 0";
    await whileRunning([...flags.split(" "), "--pids-limit", "50"], (path) => {
      expect(limitsIn(path, ["memory", "reservation", "processors", "shares", "cpuset", "processes"])).toEqual([
        String(64 * mebibyte),
        String((hasV1("memory") ? 96 : 32) * mebibyte),
        String(32 * mebibyte),
        ...(hasV1("cpu") ? ["50000", "100000", "512"] : ["50000 100000", "59"]),
        "0",
        "0",
        "50",
      ]);
    });
  });

  test("memory alone allows as much swap; none is none", async () => {
    await whileRunning(["-m", "64m"], (path) => {
      const both = String((hasV1("memory") ? 128 : 64) * mebibyte);
      expect(limitsIn(path, ["memory"])).toEqual([String(64 * mebibyte), both]);
    });
    await whileRunning(["-m", "64m", "--memory-swap", "64m"], (path) => {
      expect(limitsIn(path, ["memory"])[1]).toBe(hasV1("memory") ? String(64 * mebibyte) : "0");
    });
  });

  test("no limit of processes", async () => {
    await whileRunning(["--pids-limit", "0"], (path) => expect(limitsIn(path, ["processes"])).toEqual(["max"]));
  });

  test.skipIf(disk === undefined || !hasV1("blkio"))("of a disk", async () => {
    const rates = ["read-bps", "write-bps"].flatMap((name) => [`--device-${name}`, `${disk}:1m`]);
    const flags = [...rates, "--device-read-iops", `${disk}:100`, "--blkio-weight", "300"];
    await whileRunning(flags, (path) => {
      using cgroup = openCgroup(path);
      expect(valueOf(cgroup, "blkio.throttle.read_bps_device")).toMatch(/^\d+:\d+ 1048576$/);
      expect(valueOf(cgroup, "blkio.throttle.write_bps_device")).toMatch(/^\d+:\d+ 1048576$/);
      expect(valueOf(cgroup, "blkio.throttle.read_iops_device")).toMatch(/^\d+:\d+ 100$/);
    });
  });

  test.skipIf(!hasV1("memory"))("of version 1 alone", async () => {
    await whileRunning(["-m", "64m", "--memory-swappiness", "10", "--oom-kill-disable"], (path) => {
      using cgroup = openCgroup(path);
      expect(valueOf(cgroup, "memory.swappiness")).toBe("10");
      expect(valueOf(cgroup, "memory.oom_control")).toContain("oom_kill_disable 1\n");
    });
  });

  test("the score for the machine's lack of memory, and the size of /dev/shm", async () => {
    const script = "cat /proc/self/oom_score_adj; df -k /dev/shm | tail -1 | awk '{print $2}'";
    const flags = ["--oom-score-adj", "321", "--shm-size", "2m"];
    expect(await runner.run([...flags, image, "sh", "-c", script])).toEqual(success("321\n2048\n"));
  });

  test("a cgroup below another one, which the next command finds when gocker is killed", async () => {
    const parent = `/gocker-parent-test-${process.pid}`;
    const mountPoints = [...host.v1.map(({ mountPoint }) => mountPoint), ...(host.v2 === undefined ? [] : [host.v2])];
    try {
      await whileRunning(
        ["--cgroup-parent", `${parent}/in`, "--pids-limit", "5"],
        (path) => expect(limitsIn(path, ["processes"])).toEqual(["5"]),
        `${parent}/in`,
      );
      expect(mountPoints.flatMap((point) => readdirSync(`${point}${parent}/in`, { withFileTypes: true }))).not.toEqual(
        [],
      );
      for (const point of mountPoints) rmdirSync(`${point}${parent}/in`);
    } finally {
      for (const point of mountPoints) if (existsSync(point + parent)) rmdirSync(point + parent);
    }
  });

  describe("a lack of memory", () => {
    /** The state of a container that has run; it is removed. */
    const stateAfter = async (flags: readonly string[], words: readonly string[]) => {
      const outcome = await runner.gocker(["run", "--name", "limited", ...flags, image, ...words]);
      const { root } = runner.sandbox;
      const id = readdirSync(`${root}/containers`).find((name) => /^[0-9a-f]{64}$/.test(name)) ?? "";
      const state = JSON.parse(readFileSync(`${root}/containers/${id}/exited.json`, "utf8")) as ContainerState;
      expect(await runner.gocker(["rm", "limited"])).toEqual(success("limited\n"));
      return { outcome, state };
    };

    test("kills the program", async () => {
      const { outcome, state } = await stateAfter(["-m", "16m"], ["tail", "/dev/zero"]);
      expect(outcome).toEqual({ stdout: "", stderr: "", exitCode: 137 });
      expect(state).toMatchObject({ status: "exited", exitCode: 137, oomKilled: true });
    });

    test("kills a process of a program that goes on", async () => {
      const { outcome, state } = await stateAfter(["-m", "16m"], ["sh", "-c", "tail /dev/zero; echo $?"]);
      expect(outcome.stdout).toBe("137\n");
      expect(state).toMatchObject({ exitCode: 0, oomKilled: true });
    });

    test("is told of a container in the background, before its end", async () => {
      const { stdout } = await runner.gocker([
        "run",
        "-d",
        "--name",
        "behind",
        "-m",
        "16m",
        image,
        "tail",
        "/dev/zero",
      ]);
      const id = stdout.trim();
      const path = `${runner.sandbox.root}/containers/${id}/exited.json`;
      await until("it has ended", () => existsSync(path));
      expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ exitCode: 137, oomKilled: true });
      const events = readFileSync(`${runner.sandbox.state}/events.jsonl`, "utf8").split("\n");
      const actions = events.filter((line) => line.includes(id)).map((line) => /"Action":"(\w+)"/.exec(line)?.[1]);
      expect(actions).toEqual(["create", "start", "oom", "die"]);
      expect(await runner.gocker(["rm", "-f", "behind"])).toEqual(success("behind\n"));
    });

    test("is told of a process while its container goes on, and of each once", async () => {
      const script = "trap 'tail /dev/zero' USR1; while :; do sleep 0.1; done";
      const words = ["-d", "--name", "on", "-m", "16m", "--restart", "always", image, "sh", "-c", script];
      expect((await runner.gocker(["run", ...words])).exitCode).toBe(0);
      const facts = async () => (await runner.gocker(["inspect", "-f", "{{.State.OOMKilled}} {{.Id}}", "on"])).stdout;
      const [, id = ""] = (await facts()).trim().split(" ");
      const actions = () => {
        const events = readFileSync(`${runner.sandbox.state}/events.jsonl`, "utf8").split("\n");
        return events.filter((line) => line.includes(id)).map((line) => /"Action":"(\w+)"/.exec(line)?.[1]);
      };
      const ooms = () => actions().filter((action) => action === "oom").length;
      expect(await facts()).toBe(`false ${id}\n`);
      for (const count of [1, 2]) {
        await runner.gocker(["kill", "-s", "USR1", "on"]);
        await until("it is told", () => ooms() === count);
        expect(await facts()).toBe(`true ${id}\n`);
      }
      // A new start knows nothing of that, and what happens then is told, too.
      await runner.gocker(["restart", "-t", "0", "on"]);
      expect(await facts()).toBe(`false ${id}\n`);
      await runner.gocker(["kill", "-s", "USR1", "on"]);
      await until("it is told after the restart", () => ooms() === 3);
      await runner.gocker(["stop", "-t", "0", "on"]);
      expect(ooms()).toBe(3);
      expect(actions().at(-1)).toBe("stop");
      expect(await facts()).toBe(`true ${id}\n`);
      await runner.gocker(["rm", "-f", "on"]);
    });

    test("is nothing that other ends are taken for", async () => {
      const killed = await stateAfter(["-m", "16m"], ["sh", "-c", "sleep 1000 & kill -9 $!; wait $!"]);
      expect(killed.state).toMatchObject({ status: "exited", exitCode: 137 });
      expect(killed.state).not.toHaveProperty("oomKilled");
      expect((await stateAfter([], ["true"])).state).not.toHaveProperty("oomKilled");
    });
  });

  test("a fork bomb gets no further than the limit of processes, and ends with its container", async () => {
    // A shell that is refused a process ends: not the first one of the container.
    const bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null & exec sleep 1000";
    const child = runner.start(["run", "--rm", "--pids-limit", "20", image, "sh", "-c", bomb]);
    const { id } = await runner.untilRunning();
    using cgroup = openCgroup(`/gocker/${id}`);
    const refusals = () => Number(/^max (\d+)/m.exec(valueOf(cgroup, "pids.events"))?.[1]);
    let most = 0;
    await until("processes are refused", () => {
      // `pids.current` counts those for a moment, too, that are just being refused.
      most = Math.max(most, cgroup.processes().length);
      return refusals() > 0;
    });
    expect(most).toBeLessThanOrEqual(20);
    child.kill("SIGKILL");
    await outcomeOf(child);
    expect(await runner.gocker(["ps", "-aq"])).toEqual(success(""));
    expect(containerCgroups(new Set([id]))).toEqual([]);
  });

  test("a program that never rests gets its share of a processor", async () => {
    const child = runner.start(["run", "--rm", "--cpus", "0.2", image, "sh", "-c", "while :; do :; done"]);
    const { id } = await runner.untilRunning();
    using cgroup = openCgroup(`/gocker/${id}`);
    const count = (name: string) => Number(new RegExp(`^${name} (\\d+)`, "m").exec(valueOf(cgroup, "cpu.stat"))?.[1]);
    await until("it has been held back", () => count("nr_throttled") >= 5);
    const [before, start] = [cpuTime(cgroup), performance.now()];
    const throttled = count("nr_throttled");
    await until("it has been held back further", () => count("nr_throttled") >= throttled + 5);
    const share = (cpuTime(cgroup) - before) / (performance.now() - start);
    expect(share).toBeLessThan(0.3);
    child.kill("SIGKILL");
    await outcomeOf(child);
    expect(await runner.gocker(["ps", "-aq"])).toEqual(success(""));
  });

  describe("that cannot be had", () => {
    test("are told by flag and controller, and nothing is left", async () => {
      // More than its period, which the kernel refuses where it has realtime for cgroups at all.
      const idFile = `${runner.sandbox.directory}/id`;
      const flags = ["--cidfile", idFile, "--pids-limit", "7", "--cpu-rt-runtime", "5000000"];
      const outcome = await runner.run([...flags, image, "true"]);
      expect(outcome).toMatchObject({ stdout: "", exitCode: 125 });
      expect(outcome.stderr).toMatch(/^gocker: (invalid configuration: )?--cpu-rt-runtime .*\bcpu\b/);
      expect(outcome.stderr).not.toContain("linux.resources");
      expect(containerCgroups(new Set([readFileSync(idFile, "utf8")]))).toEqual([]);
    });

    test("leave a container that says why it did not run", async () => {
      const words = ["run", "--name", "refused", "--cpu-rt-runtime", "5000000", image, "true"];
      expect((await runner.gocker(words)).exitCode).toBe(125);
      const format = "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}";
      const { stdout } = await runner.gocker(["inspect", "-f", format, "refused"]);
      expect(stdout).toMatch(/^created 125 .*cpu-rt-runtime/);
      const id = readdirSync(`${runner.sandbox.root}/containers`).find((name) => /^[0-9a-f]{64}$/.test(name)) ?? "";
      expect(containerCgroups(new Set([id]))).toEqual([]);
      expect(await runner.gocker(["rm", "refused"])).toEqual(success("refused\n"));
    });

    test.skipIf(!hasV1("memory", "cpu", "pids"))(
      "are told where cgroups of version 2 have not their controllers",
      async () => {
        const inVersion2 = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$0" "$@"';
        const run = async (...flags: string[]) => {
          const words = [gockerBinary(), "run", "--rm", ...flags, image, "echo", "x"];
          const child = Bun.spawn(["unshare", "--mount", "sh", "-c", inVersion2, ...words], {
            env: { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment },
            stdin: "pipe",
            stdout: "pipe",
            stderr: "pipe",
          });
          return await outcomeOf(child);
        };
        expect(await run()).toEqual(success("x\n"));
        for (const [flag, value, controller] of [
          ["--memory", "64m", "memory"],
          ["--cpus", "0.5", "cpu"],
          ["--cpuset-cpus", "0", "cpuset"],
          ["--pids-limit", "10", "pids"],
          ["--blkio-weight", "100", "io"],
        ] as const) {
          const { stdout, stderr, exitCode } = await run(flag, value);
          expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
          expect(stderr).toStartWith(`gocker: ${flag} `);
          expect(stderr).toContain(` needs the ${controller} controller, which this host does not offer`);
        }
        const { stderr, exitCode } = await run("--oom-kill-disable");
        expect({ stderr, exitCode }).toMatchObject({
          stderr: expect.stringContaining("--oom-kill-disable exists in cgroups of version 1 only"),
          exitCode: 125,
        });
      },
    );

    test("leave nothing of a container in the background", async () => {
      const idFile = `${runner.sandbox.directory}/behind`;
      const flags = ["--cidfile", idFile, "--pids-limit", "7", "--cpu-rt-runtime", "5000000"];
      const outcome = await runner.gocker(["run", "-d", "--rm", ...flags, image, "sleep", "1000"]);
      expect(outcome).toMatchObject({ stdout: "", exitCode: 125 });
      expect(outcome.stderr).toMatch(/^gocker: (invalid configuration: )?--cpu-rt-runtime .*\bcpu\b/);
      expect(containerCgroups(new Set([readFileSync(idFile, "utf8")]))).toEqual([]);
    });

    test.each([
      [["--cpus", "1000"], /^gocker: --cpus must be from 0\.01 to \d+, not 1000\n/],
      [["--cpuset-cpus", "5000"], /^gocker: --cpuset-cpus 5000 names what this machine does not have/],
      [["--device-read-bps", "/dev/null:1m"], /^gocker: --device-read-bps: \/dev\/null is no block device\n/],
      [["-m", "5m"], /^gocker: --memory \(5242880 bytes\) is too little: the minimum is 6m\n/],
      [["--kernel-memory", "64m"], /^gocker: --kernel-memory cannot be granted/],
    ])("%j is refused before anything is made", async (flags, message) => {
      const { stdout, stderr, exitCode } = await runner.gocker(["run", ...flags, image, "true"]);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
      expect(stderr).toMatch(message);
    });
  });

  test.skipIf(!hasPodman || !hasV1("memory", "cpu", "cpuset", "pids"))(
    "are those that podman gives for the same flags",
    async () => {
      await using podman = await PodmanRunner.create();
      await podman.pull(image);
      // Those that podman sets itself may be more than it may set here.
      const ulimits = ["--ulimit", "nofile=500:1000", "--ulimit", "nproc=5000:5000"];
      const files = Object.values(inForce).flat();
      const own = files.map((file) => `/sys/fs/cgroup/${file.slice(0, file.indexOf("."))}/${file}`);
      const script = `cat ${own.join(" ")} /proc/self/oom_score_adj; df -k /dev/shm | tail -1 | awk '{print $2}'`;
      for (const line of [
        "-m 64m --cpus 1.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 50 --oom-score-adj 100 --shm-size 1m",
        "-m 64m --memory-swap 80m --memory-reservation 32m --cpu-quota 20000 --cpu-period 50000 --pids-limit -1 --shm-size 64m",
        "--memory 64m --memory-swap -1 --cpuset-mems 0 --pids-limit 9 --memory-swappiness 20 --shm-size 0.5m",
      ]) {
        const words = [...ulimits, ...line.split(" "), image, "sh", "-c", script];
        const theirs = await podman.run("runc", words);
        expect(theirs).toMatchObject({ stderr: "", exitCode: 0 });
        expect(await runner.run(words)).toEqual(theirs);
      }
    },
    60_000,
  );
});

/** What a cgroup has used of the processors, in milliseconds. */
function cpuTime(cgroup: ReturnType<typeof openCgroup>): number {
  if (hasV1("cpuacct")) return Number(valueOf(cgroup, "cpuacct.usage")) / 1e6;
  return Number(/^usage_usec (\d+)/m.exec(valueOf(cgroup, "cpu.stat"))?.[1]) / 1000;
}
