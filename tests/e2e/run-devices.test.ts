import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { hasPodman, PodmanRunner } from "../helpers/podman-runner.ts";
import { createRunner, type Outcome, type Runner, success } from "../helpers/runner.ts";

/** A device that every machine has, that no container has by itself, and that opens without a capability. */
const device = "/dev/loop-control";
const canTest = canRunCorpus && existsSync(device);
if (!canTest) console.warn(`devices of containers are not tested: that needs root, the corpus and ${device}`);

/** What a container sees of a device, and which of the ways to use it are open. */
const look = (path: string) => `stat -c '%F %a %t:%T' ${path}
(: <${path}) 2>/dev/null && echo readable; (: >>${path}) 2>/dev/null && echo writable; true`;

describe.skipIf(!canTest)("devices and settings of the kernel", () => {
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

  /** What a script prints, which is the same in podman's container. */
  const both = async (flags: readonly string[], script: string): Promise<Outcome> => {
    const words = ["--network", "none", ...flags, image, "sh", "-c", script];
    const ours = await runner.run(words);
    const limits = ["--ulimit", "nofile=500:1000", "--ulimit", "nproc=5000:5000"];
    if (podman !== undefined) expect(await podman.run("runc", [...limits, ...words])).toEqual(ours);
    return ours;
  };

  describe("--device", () => {
    test("gives the device, to be read and written", async () => {
      expect(await both(["--device", device], look(device))).toEqual(
        success("character special file 600 a:ed\nreadable\nwritable\n"),
      );
    });

    test("at another place, to be read alone", async () => {
      expect(await both(["--device", `${device}:/dev/own/loop:r`], look("/dev/own/loop"))).toEqual(
        success("character special file 600 a:ed\nreadable\n"),
      );
    });

    test("of a directory gives all below", async () => {
      const { stdout, exitCode } = await both(["--device", "/dev/net:/dev/mine"], "find /dev/mine -type c");
      expect({ stdout, exitCode }).toEqual({ stdout: "/dev/mine/tun\n", exitCode: 0 });
    });

    test("without it a node can be made and not be used", async () => {
      const script = `mknod /node c 10 237 && ${look("/node")}`;
      expect(await both([], script)).toEqual(success("character special file 644 a:ed\n"));
    });

    test("--device-cgroup-rule lets a node be used", async () => {
      const script = `mknod /node c 10 237 && ${look("/node")}`;
      expect(await both(["--device-cgroup-rule", "c 10:* r"], script)).toEqual(
        success("character special file 644 a:ed\nreadable\n"),
      );
    });

    test("takes the place of the same one of a privileged container", async () => {
      const flags = ["--privileged", "--device", `/dev/full:${device}`];
      const { stdout } = await runner.run([...flags, image, "stat", "-c", "%t:%T", device]);
      expect(stdout).toBe("1:7\n");
    });

    test("that is none is refused, and nothing is left", async () => {
      const missing = await runner.run(["--device", "/dev/none-such", image, "true"]);
      expect(missing).toEqual({
        stdout: "",
        stderr: "gocker: cannot give the container the device /dev/none-such: the host has no such device\n",
        exitCode: 125,
      });
      const file = await runner.run(["--device", "/etc/passwd", image, "true"]);
      expect(file.stderr).toContain("/etc/passwd: it is no device, and none is below it");
      expect(runner.leftovers()).toEqual([]);
    });
  });

  describe("--sysctl", () => {
    test("changes the container's own settings alone", async () => {
      const flags = [
        "--sysctl",
        "net.ipv4.ip_forward=1",
        "--sysctl",
        "kernel.shmmax=4242",
        "--sysctl=kernel.sem=1 2 3 4",
      ];
      const script = "cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmax kernel/sem";
      expect(await both(flags, script)).toEqual(success("1\n4242\n1\t2\t3\t4\n"));
      expect(await Bun.file("/proc/sys/kernel/shmmax").text()).not.toBe("4242\n");
    });

    test("wins over what gocker sets", async () => {
      const flags = ["--network", "none", "--sysctl", "net.ipv4.ip_unprivileged_port_start=99"];
      expect(await runner.run([...flags, image, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"])).toEqual(
        success("99\n"),
      );
    });

    test.each([
      [["--network", "host", "--sysctl", "net.ipv4.ip_forward=1"], "cannot be set on the host's network"],
      [["--sysctl", "kernel.panic=1"], "it is the whole host's, and not a container's"],
      [["--ipc", "host", "--sysctl", "kernel.shmmax=1"], "it would change the host"],
    ])("%j is refused", async (flags, message) => {
      const { stderr, exitCode } = await runner.run([...flags, image, "true"]);
      expect({ exitCode, isTold: stderr.includes(message) }).toEqual({ exitCode: 125, isTold: true });
    });
  });

  test("--security-opt systempaths=unconfined covers nothing", async () => {
    const script = "grep -c ' /proc/' /proc/self/mountinfo; : >/proc/sys/kernel/domainname && echo written";
    const flags = ["--network", "none", "--security-opt", "systempaths=unconfined"];
    const { stdout } = await runner.run([...flags, image, "sh", "-c", script]);
    expect(stdout).toBe("0\nwritten\n");
  });

  test("--label-file and --annotation are kept", async () => {
    const file = join(runner.sandbox.directory, "labels");
    await Bun.write(file, "# comment\nfrom.file=a b\nbare\nboth=file\n");
    const flags = ["--name", "labelled", "--label-file", file, "-l", "both=flag", "--annotation", "org.example.x=y"];
    expect(await runner.gocker(["run", ...flags, image, "true"])).toEqual(success(""));
    const listed = await runner.gocker(["ps", "-a", "--format", "{{.Labels}}"]);
    expect(listed.stdout.trim().split(",").toSorted()).toEqual(["bare=", "both=flag", "from.file=a b"]);
    const id = (await runner.gocker(["ps", "-aq", "--no-trunc"])).stdout.trim();
    const spec = (await Bun.file(`${runner.sandbox.root}/containers/${id}/config.json`).json()) as {
      annotations: Record<string, string>;
    };
    expect(spec.annotations).toMatchObject({ "org.example.x": "y" });
    await runner.gocker(["rm", "labelled"]);
  });

  test.each([
    ["--gpus", "all", "--device gives the device files alone"],
    ["--runtime", "runc", "gocker is the runtime"],
    ["--link", "db", "--network container:NAME"],
  ])("%s says why it is refused", async (flag, value, reason) => {
    const { stderr, exitCode } = await runner.run([flag, value, image, "true"]);
    expect(exitCode).toBe(125);
    expect(stderr).toStartWith(`gocker: run: ${flag} is a flag of Docker's that gocker does not take: `);
    expect(stderr).toContain(reason);
  });

  test("an AppArmor profile that cannot be set is no reason to run without it", async () => {
    const profile = "gocker-test-none-such";
    const { stderr, exitCode } = await runner.run(["--security-opt", `apparmor=${profile}`, image, "true"]);
    expect(exitCode).toBeGreaterThan(0);
    expect(stderr).toContain(profile);
    expect(runner.leftovers()).toEqual([]);
  });
});
