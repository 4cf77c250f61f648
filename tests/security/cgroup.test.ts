import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultDeviceRules } from "../../src/container/linux-defaults.ts";
import { CLOSE_RANGE_CLOEXEC, PR_SET_PDEATHSIG, SIGKILL } from "../../src/linux/constants.ts";
import { createPipe, readSome } from "../../src/linux/fd.ts";
import { launch, type LaunchedProcess } from "../../src/linux/launch/launch.ts";
import { words } from "../../src/linux/launch/plan.ts";
import { type ExitStatus, exitCodeOf, reap } from "../../src/linux/process.ts";
import type { DeviceCgroupRule } from "../../src/oci/runtime-spec.ts";
import type { Cgroup } from "../../src/runtime/cgroup/cgroup.ts";
import { type CgroupHost, detectCgroups, parseProcCgroup } from "../../src/runtime/cgroup/detect.ts";
import { CgroupError } from "../../src/runtime/cgroup/errors.ts";
import { killListed } from "../../src/runtime/cgroup/kill.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { fewDescriptors } from "../helpers/few-descriptors.ts";
import { patience } from "../helpers/patience.ts";

/*
 * On the real hierarchies of this host, in a cgroup of these tests' own. On a hybrid host both versions are tested
 * alone too, as they are on hosts that have only one.
 */

const parent = `/gocker-test-${process.pid}`;
const real = detectCgroups();
const mountPoints = [...real.v1.map(({ mountPoint }) => mountPoint), ...(real.v2 === undefined ? [] : [real.v2])];
const usable = process.getuid?.() === 0 && mountPoints.length > 0;
if (!usable) console.warn("skipped: the tests of cgroups need root and a host that has some mounted");

const hosts: [name: string, host: CgroupHost][] = [["this host's cgroups", real]];
if (real.v1.length > 0 && real.v2 !== undefined) {
  hosts.push(["version 1 alone", { v1: real.v1, v2: undefined }], ["version 2 alone", { v1: [], v2: real.v2 }]);
}

const scratch = mkdtempSync(join(tmpdir(), "gocker-cgroup-"));
const nothing = openSync("/dev/null", "r+");

afterAll(() => {
  rmSync(scratch, { recursive: true });
  for (const directory of directoriesOf(parent)) rmdirSync(directory);
});

/** The directories of a cgroup that exist, in all hierarchies. */
function directoriesOf(path: string): string[] {
  return mountPoints.map((mountPoint) => mountPoint + path).filter((directory) => existsSync(directory));
}

/** Gives a cpuset and those above it what the one at a path has, without which no process can be in it. */
function inherit(directory: string, path: string, file: string): void {
  const from = directory.slice(0, directory.indexOf(path) + path.length);
  if (!existsSync(`${from}/${file}`)) return;
  const names = directory.slice(from.length + 1).split("/");
  const value = readFileSync(`${from}/${file}`, "utf8");
  if (value.trim() === "") return;
  names.forEach((_, index) => writeFileSync(`${from}/${names.slice(0, index + 1).join("/")}/${file}`, value));
}

let count = 0;

function newCgroup(host: CgroupHost): Cgroup {
  return openCgroup(`${parent}/${++count}`, host);
}

/** A process that is reaped once. */
class Child implements Disposable {
  readonly #process: LaunchedProcess;
  #status: ExitStatus | undefined;

  constructor(process: LaunchedProcess) {
    this.#process = process;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Waits for the end. */
  reap(): ExitStatus {
    return (this.#status ??= reap(this.pid));
  }

  [Symbol.dispose](): void {
    this.reap();
    this.#process[Symbol.dispose]();
  }
}

const children = new Map<Cgroup, Child[]>();

/** Ends and removes the cgroup at the end of the scope, whatever was started in it; comes before anything is. */
function cleanUp(cgroup: Cgroup): Disposable {
  children.set(cgroup, []);
  return {
    [Symbol.dispose]() {
      cgroup.kill();
      for (const child of children.get(cgroup) ?? []) child[Symbol.dispose]();
      children.delete(cgroup);
      cgroup.remove();
      cgroup[Symbol.dispose]();
    },
  };
}

/**
 * Starts a shell in the cgroup, as a container's first process is started, and waits until it runs. It dies with the
 * tests; what it starts itself has to end by itself within seconds, so that nothing stays if a test breaks off.
 */
async function startIn(cgroup: Cgroup, script: string, output = nothing): Promise<Child> {
  const joinSteps = cgroup.joinSteps();
  const started = launch({
    namespaces: 0,
    intoCgroup: cgroup.cloneInto,
    steps: [
      ...joinSteps,
      { label: "Die with the tests", group: "process", syscall: "prctl", args: [PR_SET_PDEATHSIG, SIGKILL] },
      {
        label: "Close the launch's own files when executing",
        group: "process",
        syscall: "close_range",
        args: [3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC],
      },
      {
        label: "Execute the shell",
        group: "process",
        syscall: "execve",
        args: ["/bin/sh", words("sh", "-c", script, 0), words("PATH=/usr/sbin:/usr/bin:/sbin:/bin", 0)],
      },
    ],
    descriptors: joinSteps.map(({ args }) => args[0] as number),
    stdio: [nothing, output, output],
  });
  const child = new Child(started);
  children.get(cgroup)?.push(child);
  const { fatal } = await started.status.outcome();
  if (fatal === undefined) return child;
  throw new Error(`${fatal.step.label} failed with error ${fatal.errno}`);
}

/** Runs a shell in the cgroup to its end. */
async function runIn(cgroup: Cgroup, script: string): Promise<{ output: string; code: number }> {
  using pipe = createPipe();
  using child = await startIn(cgroup, script, pipe.writer.number);
  pipe.writer.close();
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = readSome(pipe.reader.number, new Uint8Array(4096));
    if (chunk.length === 0) break;
    chunks.push(chunk);
  }
  return { output: Buffer.concat(chunks).toString(), code: exitCodeOf(child.reap()) };
}

/** Waits until a condition holds, at most five seconds of a usual machine. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + patience(5000);
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within five seconds: ${condition.toString()}`);
    await Bun.sleep(2);
  }
}

function stateOf(pid: number): string | undefined {
  return /^State:\t(.)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
}

describe.skipIf(!usable).each(hosts)("%s", (_, host) => {
  test("the process is in its cgroup in every hierarchy, and removing leaves nothing", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const { output, code } = await runIn(cgroup, "cat /proc/self/cgroup");
    expect(code).toBe(0);
    const memberships = parseProcCgroup(output);
    for (const { controllers, directory } of host.v1) {
      const name = controllers[0] ?? `name=${directory}`;
      expect(memberships.find(({ subsystems }) => subsystems.includes(name))?.path).toBe(cgroup.path);
    }
    if (host.v2 !== undefined) {
      expect(memberships.find(({ hierarchyId }) => hierarchyId === 0)?.path).toBe(cgroup.path);
    }
    expect(directoriesOf(cgroup.path)).toHaveLength(host.v1.length + (host.v2 === undefined ? 0 : 1));
    cgroup.remove();
    expect(directoriesOf(cgroup.path)).toEqual([]);
    cgroup.remove();
  });

  test("the view names the container's own cgroups", () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const view = cgroup.view();
    if (view?.type !== "v1") {
      expect(host.v1).toEqual([]);
      return;
    }
    expect(view.hierarchies.map(({ source }) => source).sort()).toEqual(
      host.v1.map(({ mountPoint }) => mountPoint + cgroup.path).sort(),
    );
    expect(view.hierarchies.every(({ source }) => existsSync(source))).toBeTrue();
  });

  test("devices that no rule allows can be made but not opened", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    cgroup.restrictDevices(defaultDeviceRules());
    const node = join(scratch, `kmsg-${count}`);
    const { output } = await runIn(
      cgroup,
      `dd if=/dev/zero bs=1 count=1 of=/dev/null 2>/dev/null && echo zero allowed
       mknod ${node} c 1 11 && echo made
       (: <${node}) && echo read
       (: >${node}) && echo written
       (: </dev/kmsg) && echo kmsg read
       true`,
    );
    expect(output).toContain("zero allowed\nmade\n");
    expect(output.match(/Operation not permitted/g)).toHaveLength(3);
    expect(output).not.toMatch(/^(read|written|kmsg read)$/m);
  });

  test("each access has its own rule", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const rules: DeviceCgroupRule[] = [
      { allow: false },
      { allow: true, type: "c", major: 1, minor: 3, access: "w" },
      { allow: true, type: "c", major: 1, minor: 5, access: "r" },
      { allow: true, type: "b", major: 7, access: "m" },
    ];
    cgroup.restrictDevices(rules);
    const node = join(scratch, `node-${count}`);
    const { output } = await runIn(
      cgroup,
      `: >/dev/null && echo 1 written
       (: <>/dev/null) 2>&1 || echo 1 not both
       (: </dev/zero) && echo 2 read
       (: >/dev/zero) 2>&1 || echo 2 not written
       mknod ${node}-b b 7 1 && echo 3 made
       mknod ${node}-c c 7 1 2>&1 || echo 3 not made`,
    );
    expect(output.split("\n").filter((line) => /^[123] /.test(line))).toEqual([
      "1 written",
      "1 not both",
      "2 read",
      "2 not written",
      "3 made",
      "3 not made",
    ]);
  });

  test("where everything is allowed nothing is restricted", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    cgroup.restrictDevices([{ allow: true }]);
    expect((await runIn(cgroup, ": </dev/kmsg && echo read")).output).toBe("read\n");
  });

  test("limits are in force, and one without its controller is refused", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const hasPids =
      host.v1.some(({ controllers }) => controllers.includes("pids")) ||
      (host.v2 !== undefined && readFileSync(`${host.v2}/cgroup.controllers`, "utf8").split(/\s/).includes("pids"));
    if (!hasPids) {
      await expect(cgroup.applyResources({ pids: { limit: 3 } })).rejects.toThrow("needs the pids controller");
      return;
    }
    await cgroup.applyResources({ pids: { limit: 3 } });
    const { output } = await runIn(cgroup, "sleep 0.1 & sleep 0.1 & sleep 0.1 & wait; echo not reached");
    expect(output).toMatch(/fork/i);
  });

  test("killing ends every process, also of cgroups below, before the cgroup is removed", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const child = await startIn(cgroup, "for i in 1 2 3 4 5; do sleep 20 & done; wait");
    await until(() => cgroup.processes().length === 6);
    expect(cgroup.processes()).toContain(child.pid);
    cgroup.kill();
    expect(child.reap()).toEqual({ signal: 9 });
    cgroup.remove();
    expect(cgroup.processes()).toEqual([]);
    expect(directoriesOf(cgroup.path)).toEqual([]);
  });

  test("processes that are made all the time are all ended", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const child = await startIn(cgroup, "i=0; while [ $i -lt 400 ]; do sleep 0.5 & i=$((i+1)); done; wait");
    await until(() => cgroup.processes().length > 5);
    cgroup.kill();
    expect(child.reap()).toEqual({ signal: 9 });
    cgroup.remove();
    expect(directoriesOf(cgroup.path)).toEqual([]);
  });

  test("cgroups that the container made are removed with it, whatever their names and depth", () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    for (const directory of directoriesOf(cgroup.path)) {
      let path = directory;
      for (let depth = 0; depth < 12; depth++) mkdirSync((path = `${path}/${"x".repeat(200)}`));
      mkdirSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.of(0xff, 0xfe, 0x20)]));
      mkdirSync(`${directory}/empty`);
    }
    cgroup.remove();
    expect(directoriesOf(cgroup.path)).toEqual([]);
  });

  test("cgroups however deep are listed and removed by a few descriptors", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    for (const directory of directoriesOf(cgroup.path)) {
      mkdirSync(`${directory}${"/x".repeat(40)}`, { recursive: true });
      mkdirSync(`${directory}/x/x/beside`);
    }
    const child = await startIn(cgroup, "exec sleep 20");
    const deepest = `${cgroup.path}${"/x".repeat(40)}`;
    for (const directory of directoriesOf(deepest)) {
      for (const file of ["cpuset.cpus", "cpuset.mems"]) inherit(directory, cgroup.path, file);
      writeFileSync(`${directory}/cgroup.procs`, String(child.pid));
    }
    {
      using _few = fewDescriptors(12);
      expect(cgroup.processes()).toEqual([child.pid]);
      cgroup.kill();
      child.reap();
      cgroup.remove();
    }
    expect(directoriesOf(cgroup.path)).toEqual([]);
  });

  test("a cgroup in use is not removed, and the error names who uses it", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const child = await startIn(cgroup, "exec sleep 20");
    expect(() => cgroup.remove(20)).toThrow(CgroupError);
    expect(() => cgroup.remove(0)).toThrow(`is still in use by the processes ${child.pid}`);
  });

  test("removing waits for processes that are just ending", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    await startIn(cgroup, "sleep 0.1");
    cgroup.remove();
    expect(directoriesOf(cgroup.path)).toEqual([]);
  });

  test("a path with processes in it is refused, one that is left over is made anew", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const child = await startIn(cgroup, "exec sleep 20");
    const second = openCgroup(cgroup.path, host);
    expect(() => second.create()).toThrow("has processes already");
    expect(cgroup.processes()).toEqual([child.pid]);
    cgroup.kill();
    child.reap();
    const third = openCgroup(cgroup.path, host);
    using _third = cleanUp(third);
    third.create();
    expect((await runIn(third, "echo here")).output).toBe("here\n");
  });

  test("frozen processes stand still until they are thawed, and can be killed", async () => {
    const cgroup = newCgroup(host);
    using _clean = cleanUp(cgroup);
    cgroup.create();
    const child = await startIn(cgroup, "i=0; while [ $i -lt 20000000 ]; do i=$((i+1)); done");
    const ticks = (): string => readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ")[13] ?? "";
    await until(() => stateOf(child.pid) === "R");
    cgroup.freeze();
    const before = ticks();
    await Bun.sleep(50);
    expect(ticks()).toBe(before);
    expect(stateOf(child.pid)).not.toBe("R");
    cgroup.thaw();
    await until(() => stateOf(child.pid) === "R");
    cgroup.freeze();
    cgroup.kill();
    expect(child.reap()).toEqual({ signal: 9 });
  });

  test("what a gocker that died has left is ended and removed by its path alone", async () => {
    const first = newCgroup(host);
    using _clean = cleanUp(first);
    first.create();
    const child = await startIn(first, "sleep 20 & wait");
    await until(() => first.processes().length === 2);
    const again = openCgroup(first.path, host);
    using _again = again;
    again.kill();
    child.reap();
    again.remove();
    expect(directoriesOf(first.path)).toEqual([]);
  });
});

describe.skipIf(!usable)("failures", () => {
  test("what was made is removed when a hierarchy fails", () => {
    const first = real.v1[0] ?? { controllers: [], directory: "none", mountPoint: real.v2 ?? "" };
    const missing = { controllers: ["none"], directory: "none", mountPoint: join(scratch, "not-there") };
    const cgroup = openCgroup(`${parent}-rollback/1`, { v1: [first, missing], v2: real.v2 });
    expect(() => cgroup.create()).toThrow(missing.mountPoint);
    expect(directoriesOf(`${parent}-rollback`)).toEqual([]);
  });

  test("read-only cgroups are said to be so", () => {
    const cgroup = openCgroup("/gocker/1", { v1: [], v2: "/sys" });
    expect(() => cgroup.create()).toThrow(CgroupError);
  });

  test("killing by list never hits a process that is listed once only", () => {
    const stranger = Bun.spawn(["sleep", "20"]);
    try {
      let calls = 0;
      killListed(() => (calls++ === 0 ? [stranger.pid] : []));
      expect(stranger.signalCode).toBeNull();
      expect(stateOf(stranger.pid)).not.toBe("Z");
    } finally {
      stranger.kill(9);
    }
  });
});

test("a host without cgroups is told so", () => {
  expect(() => openCgroup("/gocker/1", { v1: [], v2: undefined })).toThrow("no cgroup file system is mounted");
});
