import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileLock } from "../../src/linux/lock.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunBundles)("calls that come in each other's way, or end half-way", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  /** `gocker oci` that goes on beside the test. */
  function begin(...words: string[]) {
    return Bun.spawn([gockerBinary(), "oci", "--root", sandbox.stateRoot, ...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "" },
    });
  }

  async function outcomeOf(child: ReturnType<typeof begin>) {
    const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { stdout, stderr, exitCode };
  }

  test("what is left of a container does no harm to another one in a cgroup of the same path", async () => {
    const cgroupsPath = `/gocker-test-shared-${process.pid}`;
    const linux = { cgroupsPath, namespaces: [{ type: "mount" as const }, { type: "uts" as const }] };
    const first = await sandbox.runDetached("first", { linux });
    process.kill(first, "SIGKILL");
    await until("the first has ended", async () => (await sandbox.state("first")).status === "stopped");
    const second = await sandbox.runDetached("second", { linux });
    expect(await sandbox.oci(["ps", "--format", "json", "first"])).toEqual(success("[]\n"));
    expect(await sandbox.oci(["kill", "--all", "first", "KILL"])).toEqual(success(""));
    expect(await sandbox.oci(["kill", "first", "KILL"])).toEqual(success(""));
    expect(await sandbox.oci(["delete", "first"])).toEqual(success(""));
    expect(await sandbox.state("second")).toMatchObject({ status: "running", pid: second });
    expect(await sandbox.oci(["delete", "--force", "second"])).toEqual(success(""));
    expect(existsSync(`/proc/${second}/root/bin`)).toBe(false);
  });

  test("run does not delete a container that has got its ID meanwhile", async () => {
    const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] } });
    const run = begin("run", "--bundle", bundle, "contended");
    await until("it runs", () =>
      sandbox.state("contended").then(
        ({ status }) => status === "running",
        () => false,
      ),
    );
    await until("it has let go of the lock", () => {
      using lock = FileLock.tryAcquire(join(sandbox.stateRoot, "contended/lock"), "exclusive", "there");
      return lock !== undefined;
    });
    // gocker stands still, so that it cannot be the first to take the lock.
    run.kill("SIGSTOP");
    expect(await sandbox.oci(["delete", "--force", "contended"])).toEqual(success(""));
    const pid = await sandbox.runDetached("contended");
    run.kill("SIGCONT");
    expect(await outcomeOf(run)).toEqual({ stdout: "", stderr: "", exitCode: 137 });
    expect(await sandbox.state("contended")).toMatchObject({ status: "running", pid });
    await sandbox.oci(["delete", "--force", "contended"]);
  });

  test("many that delete the same container all succeed", async () => {
    await sandbox.runDetached("contended");
    const children = Array.from({ length: 8 }, () => begin("delete", "--force", "contended"));
    for (const child of children) expect(await outcomeOf(child)).toEqual(success(""));
    expect(readdirSync(sandbox.stateRoot)).toEqual([]);
  });

  test("of many that create a container of one ID one succeeds", async () => {
    const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] } });
    const file = join(sandbox.directory, "null");
    writeFileSync(file, "");
    const children = Array.from({ length: 6 }, () =>
      Bun.spawn(
        [gockerBinary(), "oci", "--root", sandbox.stateRoot, "run", "--detach", "--bundle", bundle, "contended"],
        {
          stdio: ["ignore", Bun.file(file), Bun.file(file)],
          env: {},
        },
      ),
    );
    const codes = await Promise.all(children.map((child) => child.exited));
    expect(codes.toSorted((one, other) => one - other)).toEqual([0, 1, 1, 1, 1, 1]);
    expect(await sandbox.state("contended")).toMatchObject({ status: "running" });
    await sandbox.oci(["delete", "--force", "contended"]);
  });

  test("an ID whose first owner was killed early can be used, and deleted", async () => {
    const directory = join(sandbox.stateRoot, "early");
    const bundle = sandbox.bundle({ process: { args: ["true"] } });
    // Before it wrote a state, and after.
    for (const file of ["lock", "config.json", ".1-0-abcdef01.new"]) {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, file), "");
    }
    expect(await sandbox.oci(["run", "--bundle", bundle, "early"])).toEqual(success(""));
    mkdirSync(directory);
    writeFileSync(join(directory, "lock"), "");
    const state = { version: 1, ociVersion: "1.2.0", id: "early", bundle, rootfs: "/", pid: 0, pidStartTime: 0 };
    const more = { created: "2026-01-02T03:04:05.678Z", owner: 0, cgroupsPath: "/gocker/early", annotations: {} };
    writeFileSync(join(directory, "state.json"), JSON.stringify({ ...state, ...more, ownPidNamespace: true }));
    expect(await sandbox.state("early")).toMatchObject({ status: "stopped", pid: 0 });
    expect(await sandbox.oci(["kill", "early", "KILL"])).toMatchObject({ exitCode: 1 });
    expect(await sandbox.oci(["delete", "early"])).toEqual(success(""));
    expect(existsSync(directory)).toBe(false);
    // A directory alone, which nobody lists.
    for (const files of [[], ["lock"], ["lock", "config.json"]]) {
      mkdirSync(directory);
      for (const file of files) writeFileSync(join(directory, file), "");
      expect(await sandbox.oci(["list"])).toMatchObject({ stderr: "", exitCode: 0 });
      expect(await sandbox.oci(["delete", "early"])).toMatchObject({
        stderr: "gocker: the container early does not exist\n",
        exitCode: 1,
      });
      expect(await sandbox.oci(["delete", "--force", "early"])).toEqual(success(""));
      expect(existsSync(directory)).toBe(false);
    }
  });

  test("what a call was killed over, before it noted the process, goes with the container", async () => {
    const pid = await sandbox.runDetached("unnoted");
    const file = join(sandbox.stateRoot, "unnoted/state.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), pid: 0, pidStartTime: 0 }));
    expect(await sandbox.state("unnoted")).toMatchObject({ status: "stopped", pid: 0 });
    expect(await sandbox.oci(["delete", "unnoted"])).toEqual(success(""));
    expect(existsSync(`/proc/${pid}/root/bin`)).toBe(false);
  });

  test("of two that are made in one cgroup at once, neither harms the other", async () => {
    const cgroupsPath = `/gocker-test-race-${process.pid}`;
    const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] }, linux: { cgroupsPath } });
    const output = Bun.file(join(sandbox.directory, "race"));
    for (let round = 0; round < 8; round++) {
      const ids = ["one", "other"];
      const codes = await Promise.all(
        ids.map((id) => {
          const words = ["--root", sandbox.stateRoot, "run", "--detach", "--bundle", bundle, id];
          return Bun.spawn([gockerBinary(), "oci", ...words], { stdio: ["ignore", output, output], env: {} }).exited;
        }),
      );
      for (const [index, id] of ids.entries()) {
        if (codes[index] === 0) expect(await sandbox.state(id)).toMatchObject({ status: "running" });
        expect(await sandbox.oci(["delete", "--force", id])).toEqual(success(""));
      }
    }
    // Where each has failed because of the other, nobody has taken the cgroup away: the next one has it, and does.
    await sandbox.runDetached("last", { linux: { cgroupsPath } });
    expect(await sandbox.oci(["delete", "--force", "last"])).toEqual(success(""));
  });

  test("delete --force does not wait for a hook in the container that does not end", async () => {
    const begun = join(sandbox.directory, "endless");
    const mounts = [{ destination: "/tmp", type: "bind", source: sandbox.directory, options: ["rbind"] }];
    const hook = { path: "/bin/sh", args: ["sh", "-c", "touch /tmp/endless; exec sleep 1000"], env: ["PATH=/bin"] };
    const bundle = sandbox.bundle({
      process: { args: ["true"] },
      spec: { hooks: { startContainer: [hook] }, mounts },
    });
    expect(await sandbox.oci(["create", "--bundle", bundle, "endless"])).toEqual(success(""));
    const start = begin("start", "endless");
    await until("the hook has begun", () => existsSync(begun));
    expect(await sandbox.oci(["delete", "--force", "endless"])).toEqual(success(""));
    expect(await outcomeOf(start)).toMatchObject({
      stderr: expect.stringContaining("error running startContainer hook #0: /bin/sh was ended by SIGKILL"),
      exitCode: 1,
    });
  });

  test("a container that was created can be paused, and is not started meanwhile", async () => {
    const bundle = sandbox.bundle({ process: { args: ["true"] } });
    expect(await sandbox.oci(["create", "--bundle", bundle, "contended"])).toEqual(success(""));
    expect(await sandbox.oci(["pause", "contended"])).toEqual(success(""));
    expect(await sandbox.state("contended")).toMatchObject({ status: "paused" });
    expect(await sandbox.oci(["start", "contended"])).toMatchObject({
      stderr: "gocker: the container contended is paused: only one that was created can be started\n",
      exitCode: 1,
    });
    expect(await sandbox.oci(["resume", "contended"])).toEqual(success(""));
    expect(await sandbox.state("contended")).toMatchObject({ status: "created" });
    expect(await sandbox.oci(["start", "contended"])).toEqual(success(""));
    await until("it has ended", async () => (await sandbox.state("contended")).status === "stopped");
    expect(await sandbox.oci(["delete", "contended"])).toEqual(success(""));
  });

  test("a pid file that cannot be written leaves neither a container nor a process", async () => {
    const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] } });
    const nowhere = join(sandbox.directory, "no/such/pid");
    for (const command of ["create", "run"]) {
      const words = [command, "--pid-file", nowhere, "--bundle", bundle, "contended"];
      expect(await sandbox.oci(words)).toMatchObject({ stderr: expect.stringContaining(nowhere), exitCode: 1 });
    }
    expect(readdirSync(sandbox.stateRoot)).toEqual([]);
    await sandbox.runDetached("contended");
    const { stderr, exitCode } = await sandbox.oci(["exec", "--pid-file", nowhere, "contended", "sleep", "1000"]);
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringContaining(nowhere), exitCode: 255 });
    expect(JSON.parse((await sandbox.oci(["ps", "--format", "json", "contended"])).stdout)).toHaveLength(1);
    await sandbox.oci(["delete", "--force", "contended"]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s ends run before the program begins, and leaves nothing", async (signal, exitCode) => {
    for (const kind of ["createRuntime", "startContainer", "poststart"] as const) {
      const begun = join(sandbox.directory, `${signal}-${kind}`);
      const path = kind === "startContainer" ? `/tmp/${signal}-${kind}` : begun;
      const hook = { path: "/bin/sh", args: ["sh", "-c", `touch ${path}; exec sleep 1000`], env: ["PATH=/bin"] };
      const mounts = [{ destination: "/tmp", type: "bind", source: sandbox.directory, options: ["rbind"] }];
      const bundle = sandbox.bundle({
        process: { args: ["sleep", "1000"] },
        spec: { hooks: { [kind]: [hook] }, mounts },
      });
      const run = begin("run", "--bundle", bundle, "contended");
      await until("the hook has begun", () => existsSync(begun));
      run.kill(signal);
      expect(await outcomeOf(run)).toEqual({ stdout: "", stderr: `gocker: ended by ${signal}\n`, exitCode });
      expect(readdirSync(sandbox.stateRoot)).toEqual([]);
    }
  });

  test("signals that do not end it wait for the program", async () => {
    const begun = join(sandbox.directory, "begun");
    const hook = { path: "/bin/sh", args: ["sh", "-c", `touch ${begun}; while test -e ${begun}; do sleep 0.01; done`] };
    const script = "trap 'echo got it; exit 3' USR1; while :; do sleep 0.01; done";
    const bundle = sandbox.bundle({
      process: { args: ["sh", "-c", script] },
      spec: { hooks: { poststart: [{ ...hook, env: ["PATH=/bin:/usr/bin"] }] } },
    });
    const run = begin("run", "--bundle", bundle, "contended");
    await until("the hook has begun", () => existsSync(begun));
    // Its handler is there: SIGUSR1 is among the caught ones (bit 9 of the mask).
    const caught = async () => {
      const { pid } = await sandbox.state("contended");
      const mask = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
      return (BigInt(`0x${mask}`) & (1n << 9n)) !== 0n;
    };
    await until("the program listens", caught);
    run.kill("SIGUSR1");
    Bun.spawnSync(["rm", begun]);
    expect(await outcomeOf(run)).toEqual({ stdout: "got it\n", stderr: "", exitCode: 3 });
  });
});
