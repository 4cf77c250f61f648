import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";

import type { ContainerState } from "../../src/container/record.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { canMakeNetworks, NetworkNamespace } from "../helpers/network-namespace.ts";
import { hasPodman, PodmanRunner } from "../helpers/podman-runner.ts";
import { containerCgroups, createRunner, type Outcome, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

const namespaceOf = (name: string, pid: number | "self" = "self") => readlinkSync(`/proc/${pid}/ns/${name}`);
const own = (name: string) => `readlink /proc/self/ns/${name}`;

describe.skipIf(!canRunCorpus)("namespaces that are shared", () => {
  let runner: Runner;
  let podman: PodmanRunner | undefined;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    if (!hasPodman) return;
    podman = await PodmanRunner.create();
    await podman.pull(image);
  }, 30_000);
  afterAll(async () => {
    await podman?.[Symbol.asyncDispose]();
    await runner?.[Symbol.asyncDispose]();
  });

  const run = (flags: readonly string[], script: string) => runner.run([...flags, image, "sh", "-c", script]);
  /** What a script prints, which is the same in podman's container. */
  const both = async (flags: readonly string[], script: string): Promise<Outcome> => {
    const ours = await run(flags, script);
    const limits = ["--ulimit", "nofile=500:1000", "--ulimit", "nproc=5000:5000"];
    if (podman !== undefined) {
      expect(await podman.run("runc", [...limits, ...flags, image, "sh", "-c", script])).toEqual(ours);
    }
    return ours;
  };

  describe("with the host", () => {
    test("--pid host", async () => {
      expect(await both(["--pid", "host"], own("pid"))).toEqual(success(`${namespaceOf("pid")}\n`));
      const { stdout } = await run(["--pid", "host"], `grep -q . /proc/${process.pid}/status && echo seen`);
      expect(stdout).toBe("seen\n");
    });

    test("--ipc host, with the host's shared memory", async () => {
      const name = `gocker-test-${process.pid}`;
      writeFileSync(`/dev/shm/${name}`, "of the host");
      try {
        const script = `${own("ipc")}; cat /dev/shm/${name}; stat -f -c %T /dev/shm`;
        expect(await both(["--ipc", "host"], script)).toEqual(success(`${namespaceOf("ipc")}\nof the hosttmpfs\n`));
      } finally {
        await Bun.file(`/dev/shm/${name}`).unlink();
      }
    });

    test("--uts host, whose name is in /etc too", async () => {
      const name = hostname();
      expect(await both(["--uts", "host"], `${own("uts")}; hostname; echo $HOSTNAME`)).toEqual(
        success(`${namespaceOf("uts")}\n${name}\n${name}\n`),
      );
      expect(await run(["--uts", "host"], "cat /etc/hostname")).toEqual(success(`${name}\n`));
    });

    test("--cgroupns private and host", async () => {
      // Version 1 has a line for each hierarchy; all are at the root of a namespace of its own.
      const script =
        "cut -d : -f 3 /proc/self/cgroup | sort -u | sed -E 's/(libpod-)?[0-9a-f]{64}.*/ID/; s|/.*/ID|ID|'";
      expect(await both(["--cgroupns", "private"], script)).toEqual(success("/\n"));
      expect((await run(["--cgroupns", "host"], script)).stdout).toContain("ID\n");
      expect((await run(["--cgroupns", "host"], own("cgroup"))).stdout).toBe(`${namespaceOf("cgroup")}\n`);
      expect((await run(["--cgroupns", "private"], own("cgroup"))).stdout).not.toBe(`${namespaceOf("cgroup")}\n`);
    });
  });

  test("--ipc none has no /dev/shm", async () => {
    expect(await both(["--ipc", "none"], "[ -e /dev/shm ] || echo none")).toEqual(success("none\n"));
  });

  test("--domainname", async () => {
    const flags = ["-h", "web", "--domainname", "example.org"];
    expect(await run(flags, "hostname; cat /proc/sys/kernel/domainname; hostname -f")).toEqual(
      success("web\nexample.org\nweb.example.org\n"),
    );
  });

  test("--dns-search and --dns-option", async () => {
    const flags = [
      "--dns",
      "10.9.8.7",
      "--dns-search",
      "a.example",
      "--dns-search",
      "b.example",
      "--dns-option",
      "ndots:3",
    ];
    expect(await both(["--network", "host", ...flags], "sort /etc/resolv.conf")).toEqual(
      success("nameserver 10.9.8.7\noptions ndots:3\nsearch a.example b.example\n"),
    );
  });

  test.skipIf(!canMakeNetworks)("--network ns:PATH", async () => {
    await using namespace = await NetworkNamespace.create("link add one type veth peer name two");
    const script = `${own("net")}; ls /sys/class/net | tr '\\n' ' '`;
    const flags = ["--network", `ns:${namespace.path}`];
    const { stdout, exitCode } = await both(flags, script);
    expect({ stdout, exitCode }).toEqual({ stdout: `${readlinkSync(namespace.path)}\nlo one two `, exitCode: 0 });
    const missing = await run(["--network", "ns:/run/netns/none-such"], "true");
    expect({ exitCode: missing.exitCode, isTold: missing.stderr.includes("does not exist") }).toEqual({
      exitCode: 125,
      isTold: true,
    });
  });

  describe("when its processes are seen by others", () => {
    const background = "sleep 98765 & echo started";

    test("none outlives the first", async () => {
      const file = `${runner.sandbox.directory}/id`;
      expect(await run(["--pid", "host", "--cidfile", file], background)).toEqual(success("started\n"));
      expect(containerCgroups(new Set([readFileSync(file, "utf8")]))).toEqual([]);
      expect(runner.leftovers()).toEqual([]);
    });

    test("all are killed when gocker is", async () => {
      const child = runner.start([
        "run",
        "--rm",
        "--pid",
        "host",
        image,
        "sh",
        "-c",
        `${background}; sleep 98764; true`,
      ]);
      const { id } = await runner.untilRunning();
      const processes = () =>
        containerCgroups(new Set([id])).flatMap((path) =>
          readFileSync(`${path}/cgroup.procs`, "utf8").split("\n").filter(Boolean),
        );
      await until("all three run", () => new Set(processes()).size === 3);
      child.kill("SIGKILL");
      await child.exited;
      if (existsSync("/sys/fs/cgroup/unified") || existsSync("/sys/fs/cgroup/cgroup.controllers")) {
        await until("they have ended", () => processes().length === 0);
      }
      await runner.gocker(["ps", "-a"]);
      expect(containerCgroups(new Set([id]))).toEqual([]);
    });

    test("--init is refused", async () => {
      const { stderr, exitCode } = await run(["--init", "--pid", "host"], "true");
      expect({ stderr, exitCode }).toEqual({
        stderr: "gocker: --init conflicts with --pid: only in a pid namespace of its own an init is process 1\n",
        exitCode: 125,
      });
    });
  });

  describe("with another container", () => {
    /** A container that runs until its input ends. */
    const donor = async (flags: readonly string[]) => {
      const words = ["run", "--rm", "-i", "--name", "donor", "--network", "none", "-h", "donor-box", ...flags];
      const child = runner.start([
        ...words,
        image,
        "sh",
        "-c",
        "echo shared >/dev/shm/gocker-test-x; touch /ready; exec cat",
      ]);
      const state = await runner.untilRunning();
      await until("it is ready", () => existsSync(`${runner.sandbox.root}/containers/${state.id}/upper/ready`));
      return {
        ...state,
        pid: state.pid ?? 0,
        [Symbol.asyncDispose]: async () => {
          expect(await outcomeOf(child)).toEqual(success(""));
        },
      };
    };

    test("all that can be shared", async () => {
      await using other = await donor(["--ipc", "shareable"]);
      const joins = ["--network", "container:donor", "--ipc", `container:${other.id}`, "--pid", "container:donor"];
      const script =
        `${["net", "ipc", "pid"].map(own).join("; ")}; cat /dev/shm/gocker-test-x; echo back >/dev/shm/y; hostname; ` +
        "cat /etc/hostname; tr '\\0' ' ' </proc/1/cmdline; grep -c ' /dev/shm ' /proc/self/mountinfo";
      expect(await run(joins, script)).toEqual(
        success(
          ["net", "ipc", "pid"].map((name) => `${namespaceOf(name, other.pid)}\n`).join("") +
            "shared\ndonor-box\ndonor-box\ncat 1\n",
        ),
      );
      expect(readFileSync(`/proc/${other.pid}/root/dev/shm/y`, "utf8")).toBe("back\n");
      // The donor has its own others.
      expect((await run(joins, own("uts"))).stdout).not.toBe(`${namespaceOf("uts", other.pid)}\n`);
      expect((await run(["--network", "container:donor", "--uts", "host"], "hostname")).stdout).toBe(`${hostname()}\n`);
    });

    test("what the other one has of the host", async () => {
      await using _other = await donor(["--ipc", "host", "--pid", "host"]);
      try {
        const joins = ["--ipc", "container:donor", "--pid", "container:donor"];
        expect(await run(joins, `${own("ipc")}; ${own("pid")}; cat /dev/shm/gocker-test-x`)).toEqual(
          success(`${namespaceOf("ipc")}\n${namespaceOf("pid")}\nshared\n`),
        );
      } finally {
        await Bun.file("/dev/shm/gocker-test-x").unlink();
      }
    });

    test("the exit code and the processes of one in another's pid namespace", async () => {
      await using other = await donor([]);
      expect(await run(["--pid", "container:donor"], "sleep 98763 & exit 7")).toEqual({ ...success(""), exitCode: 7 });
      const killed = await run(["--pid", "container:donor"], "kill -9 $$");
      expect(killed.exitCode).toBe(137);
      expect(await run(["--pid", "container:donor"], "echo still; [ -d /proc/1 ]")).toEqual(success("still\n"));
      const notFound = await runner.run(["--pid", "container:donor", image, "none-such"]);
      expect(notFound.exitCode).toBe(127);
      expect(existsSync(`/proc/${other.pid}`)).toBe(true);
    });

    test("a private IPC namespace is refused", async () => {
      await using _other = await donor([]);
      expect(await run(["--ipc", "container:donor"], "true")).toEqual({
        stdout: "",
        stderr:
          "gocker: cannot join the IPC namespace of container donor: it is private\n" +
          "  hint: run donor with --ipc shareable\n",
        exitCode: 125,
      });
    });

    test("one that does not run, or that another process has the number of", async () => {
      await using other = await donor([]);
      const path = `${runner.sandbox.root}/containers/${other.id}/running.json`;
      const state = readFileSync(path, "utf8");
      writeFileSync(path, JSON.stringify({ ...(JSON.parse(state) as object), pid: process.pid }));
      const refused = {
        stdout: "",
        stderr:
          "gocker: cannot join the network namespace of container donor: it is not running\n  hint: start donor first\n",
        exitCode: 125,
      };
      expect(await run(["--network", "container:donor"], "true")).toEqual(refused);
      writeFileSync(path, JSON.stringify({ ...(JSON.parse(state) as object), pid: 0x3fffffff }));
      expect(await run(["--network", "container:donor"], "true")).toEqual(refused);
      writeFileSync(path, state);
      const unknown = await run(["--pid", "container:none-such"], "true");
      expect(unknown.stderr).toStartWith("gocker: no such container: none-such\n");
      expect(unknown.exitCode).toBe(125);
    });

    describe("with monitors", () => {
      const state = async (name: string) => {
        const { stdout } = await runner.gocker(["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}"]);
        const id =
          stdout
            .split("\n")
            .find((line) => line.startsWith(`${name} `))
            ?.split(" ")[1] ?? "";
        const directory = `${runner.sandbox.root}/containers/${id}`;
        const path = `${directory}/${existsSync(`${directory}/exited.json`) ? "exited" : "running"}.json`;
        return { directory, ...(JSON.parse(readFileSync(path, "utf8")) as ContainerState) };
      };
      const start = async (...words: string[]) => {
        const { stderr, exitCode } = await runner.gocker(words);
        expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      };
      const joins = ["net", "ipc", "pid"].flatMap((name) => [
        `--${name === "net" ? "network" : name}`,
        "container:giver",
      ]);
      const namespaces = (pid: number | undefined) => ["net", "ipc", "pid"].map((name) => namespaceOf(name, pid));
      afterEach(() => runner.gocker(["rm", "-f", "giver", "taker"]));

      test("each start joins what is there by then", async () => {
        const flags = ["--network", "none", "--ipc", "shareable"];
        await start("run", "-d", "--name", "giver", ...flags, image, "sleep", "1000");
        await start("run", "-d", "--name", "taker", ...joins, image, "sleep", "1000");
        const first = await state("giver");
        expect(namespaces((await state("taker")).pid)).toEqual(namespaces(first.pid));
        await start("kill", "giver");
        // Its pid namespace has ended with it, and all that was in there.
        await until("both have ended", async () =>
          (await Promise.all([state("giver"), state("taker")])).every(({ status }) => status === "exited"),
        );
        const refused = await runner.gocker(["start", "taker"]);
        expect(refused.exitCode).toBeGreaterThan(0);
        expect(refused.stderr).toContain("container giver: it is not running");
        await start("start", "giver");
        await start("start", "taker");
        expect(namespaces((await state("taker")).pid)).toEqual(namespaces((await state("giver")).pid));
        expect((await state("giver")).pid).not.toBe(first.pid);
      });

      test("a policy starts it there again, and its output comes", async () => {
        await start("run", "-d", "--name", "giver", "--network", "none", image, "sleep", "1000");
        const giver = await state("giver");
        const script = "readlink /proc/self/ns/pid >>/kept; exit 3";
        const flags = ["--name", "taker", "--restart", "on-failure:2", "--pid", "container:giver"];
        await start("run", "-d", ...flags, image, "sh", "-c", script);
        await until("it has ended for good", async () => (await state("taker")).status === "exited");
        const { directory, exitCode } = await state("taker");
        expect({ exitCode, kept: readFileSync(`${directory}/upper/kept`, "utf8") }).toEqual({
          exitCode: 3,
          kept: `${namespaceOf("pid", giver.pid)}\n`.repeat(3),
        });
      });

      test("the exit code of one that is not removed", async () => {
        await start("run", "-d", "--name", "giver", "--network", "none", image, "sleep", "1000");
        const words = ["run", "--name", "taker", "--pid", "container:giver", image, "sh", "-c", "echo said; exit 4"];
        expect(await runner.gocker(words)).toEqual({ stdout: "said\n", stderr: "", exitCode: 4 });
      });
    });

    test("names and servers come with the network", async () => {
      const { stderr, exitCode } = await run(["--network", "container:donor", "--dns", "1.1.1.1"], "true");
      expect({ stderr, exitCode }).toEqual({
        stderr: "gocker: --dns conflicts with --network container:…\n",
        exitCode: 125,
      });
    });
  });
});
