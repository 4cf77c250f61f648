import { afterEach, describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLOSE_RANGE_CLOEXEC } from "../../../../src/linux/constants.ts";
import { errnos } from "../../../../src/linux/errno.ts";
import { createPipe, duplicate, readSome, writeAll } from "../../../../src/linux/fd.ts";
import { launch, type LaunchedProcess, type LaunchRequest } from "../../../../src/linux/launch/launch.ts";
import {
  besideStatus,
  pauseSteps,
  signOfLife,
  slot,
  statusDescriptor,
  type Step,
  words,
} from "../../../../src/linux/launch/plan.ts";
import { exitCodeOf, processEnded, reap, sendSignal } from "../../../../src/linux/process.ts";
import { SystemCallError } from "../../../../src/util/errors.ts";

function step(syscall: Step["syscall"], args: Step["args"], rest: Partial<Step> = {}): Step {
  return { label: `${syscall} it`, group: "process", syscall, args, ...rest };
}

const closeOthers = step("close_range", [3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC]);

function shell(script: string): Step[] {
  const argv = words("sh", "-c", script, 0);
  return [closeOthers, step("execve", ["/bin/sh", argv, words("PATH=/usr/bin:/bin", 0)])];
}

const running: LaunchedProcess[] = [];

/** Ends with the test. */
function launched(request: Partial<LaunchRequest>): LaunchedProcess {
  const process = launch({ namespaces: 0, steps: [], stdio: [0, 1, 2], ...request });
  running.push(process);
  return process;
}

afterEach(() => {
  for (const process of running.splice(0)) {
    if (sendSignal(process.pidfd, 9)) reap(process.pid);
    process[Symbol.dispose]();
  }
});

async function exitCode(process: LaunchedProcess): Promise<number> {
  await processEnded(process.pidfd);
  return exitCodeOf(reap(process.pid));
}

/** What a plan writes to its standard output. */
async function outputOf(steps: readonly Step[], request: Partial<LaunchRequest> = {}): Promise<string> {
  using pipe = createPipe();
  const process = launched({ steps, stdio: [0, pipe.writer.number, 2], ...request });
  pipe.writer.close();
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = readSome(pipe.reader.number, new Uint8Array(4096));
    if (chunk.length === 0) break;
    chunks.push(Buffer.from(chunk));
  }
  expect(await exitCode(process)).toBe(0);
  return Buffer.concat(chunks).toString();
}

/** The numbers of this process's open files; reading them opens one more. */
function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

describe("a launch", () => {
  test("ends in the program that the plan executes", async () => {
    const process = launched({ steps: shell("exit 7") });
    expect(await process.status.outcome()).toEqual({ reported: [] });
    expect(await exitCode(process)).toBe(7);
  });

  test("tells which step ended it, and what was tolerated before", async () => {
    const tolerated = step("chdir", ["/does/not/exist"], { onError: { tolerate: ["ENOENT"], report: true } });
    const fatal = step("chdir", ["/dev/null"]);
    const process = launched({ steps: [tolerated, fatal, ...shell("exit 0")] });
    expect(await process.status.outcome()).toEqual({
      reported: [{ step: tolerated, errno: errnos.ENOENT }],
      fatal: { step: fatal, errno: errnos.ENOTDIR },
    });
    expect(await exitCode(process)).toBe(127);
  });

  test("tells the attempts to execute that failed", async () => {
    const attempt = (path: string, rest: Partial<Step> = {}) => step("execve", [path, words("x", 0), words(0)], rest);
    const first = attempt("/does/not/exist", { onError: { tolerate: "any", report: true } });
    const last = attempt("/dev/null");
    const { reported, fatal } = await launched({ steps: [closeOthers, first, last] }).status.outcome();
    expect(reported).toEqual([{ step: first, errno: errnos.ENOENT }]);
    expect(fatal).toEqual({ step: last, errno: errnos.EACCES });
  });

  test("takes the time of each step", async () => {
    const process = launched({
      timed: true,
      steps: [
        step("chdir", ["/does/not/exist"], { onError: { tolerate: ["ENOENT"], skip: 1 } }),
        step("getpid", [], { label: "left out" }),
        step("umask", [0o22]),
        ...shell("exit 0"),
      ],
    });
    const { times = [] } = await process.status.outcome();
    const [first = 0n, leftOut, third = 0n, fourth = 0n, execution] = times;
    expect(times).toHaveLength(5);
    expect([leftOut, execution]).toEqual([0n, 0n]);
    expect(first).toBeGreaterThan(0n);
    expect(third).toBeGreaterThan(first);
    expect(fourth).toBeGreaterThan(third);
    expect(await exitCode(process)).toBe(0);
  });

  test("gives the process gocker's environment and files only as far as it is told to", async () => {
    using extra = createPipe();
    const numbers = Array.from({ length: openFiles() + 10 }, (_, number) => number).join(" ");
    const list = `for fd in ${numbers}; do test -e /proc/$$/fd/$fd && echo $fd; done; echo "$HOME"`;
    expect(process.env["HOME"]).not.toBeEmpty();
    expect(await outputOf(shell(list))).toBe("0\n1\n2\n\n");
    // Named ones are open under their numbers until something closes them.
    const { number } = extra.reader;
    const argv = words("sh", "-c", `test -e /proc/$$/fd/${number} && echo open`, 0);
    const steps = [step("execve", ["/bin/sh", argv, words(0)])];
    expect(await outputOf(steps, { descriptors: [number] })).toBe("open\n");
  });

  test("connects the standard descriptors with others", async () => {
    using input = createPipe();
    using errors = createPipe();
    const process = launched({
      steps: shell("cat >&2"),
      stdio: [input.reader.number, errors.writer.number, errors.writer.number],
    });
    input.reader.close();
    errors.writer.close();
    writeAll(input.writer.number, Buffer.from("through"));
    input.writer.close();
    expect(Buffer.from(readSome(errors.reader.number, new Uint8Array(100))).toString()).toBe("through");
    expect(await exitCode(process)).toBe(0);
  });

  test("runs its plan in a process that holds nothing of gocker's", async () => {
    using go = createPipe();
    const process = launched({
      steps: [step("read", [go.reader.number, new Uint8Array(1), 1])],
      descriptors: [go.reader.number],
    });
    expect(readlinkSync(`/proc/${process.pid}/exe`)).toBe("/memfd:gocker (deleted)");
    const open = readdirSync(`/proc/${process.pid}/fd`).map(Number);
    expect(open).toHaveLength(5);
    expect(open).toEqual(expect.arrayContaining([0, 1, 2, go.reader.number]));
    const maps = await Bun.file(`/proc/${process.pid}/maps`).text();
    expect(maps).not.toContain("bun");
    writeAll(go.writer.number, new Uint8Array(1));
    expect(await exitCode(process)).toBe(0);
  });

  test("makes process 1 of a new pid namespace, with a reaper when the plan wants one", async () => {
    const namespaces = CLONE_NEWUSER | CLONE_NEWPID;
    const result = slot("pid");
    expect(await outputOf(shell("echo $$"), { namespaces })).toBe("1\n");
    const reaping = [
      step("rt_sigprocmask", [2, new Uint8Array(8).fill(0xff), 0, 8]),
      step("clone", [17, 0, 0, 0, 0], { onSuccess: { parent: "reaps" }, result }),
      step("rt_sigprocmask", [2, new Uint8Array(8), 0, 8]),
    ];
    // The orphan's end must be noticed, or it would be there as a zombie.
    const script = "echo $$; (sleep 0.01 & echo $! >&3) 3>/proc/self/fd/1; exit 0";
    expect(await outputOf([...reaping, ...shell(script)], { namespaces })).toMatch(/^2\n\d+\n$/);
  });
});

test("the status descriptor is above all others, with room on either side", async () => {
  using high = duplicate(0, 500);
  const steps = [
    step("close_range", [3, high.number - 1, 0]),
    step("close_range", [high.number + 1, besideStatus.below, 0]),
    step("close_range", [besideStatus.above, 0xffff_ffff, 0]),
    step("fcntl", [high.number, 1, 0]),
    step("close", [high.number]),
    step("chdir", ["/dev/null"]),
  ];
  const process = launched({ steps, descriptors: [high.number] });
  expect(await process.status.outcome()).toMatchObject({ reported: [], fatal: { errno: errnos.ENOTDIR } });
});

describe("a sign of life", () => {
  const sign = step("write", [statusDescriptor, signOfLife, signOfLife.length]);

  test("tells nothing while somebody reads", async () => {
    const process = launched({ steps: [sign, step("chdir", ["/dev/null"])] });
    expect(await process.status.outcome()).toMatchObject({ reported: [], fatal: { errno: errnos.ENOTDIR } });
  });

  test("ends a process whose launcher has gone", async () => {
    using go = createPipe();
    const process = launched({
      steps: [step("read", [go.reader.number, new Uint8Array(1), 1]), sign, ...shell("exit 0")],
      descriptors: [go.reader.number],
    });
    process.status[Symbol.dispose]();
    writeAll(go.writer.number, new Uint8Array(1));
    // By the error or by the signal: which signals are blocked is decided by who launches.
    expect([127, 128 + constants.signals.SIGPIPE]).toContain(await exitCode(process));
  });
});

describe("a launch that cannot be", () => {
  test("throws the kernel's reason and leaves no descriptor open", () => {
    const before = openFiles();
    const CLONE_FS = 0x200;
    const attempt = (request: Partial<LaunchRequest>) => () => launched({ steps: shell("exit 0"), ...request });
    expect(attempt({ namespaces: CLONE_NEWNS | CLONE_FS })).toThrow(SystemCallError);
    expect(attempt({ namespaces: CLONE_NEWNS | CLONE_FS })).toThrow(/clone3: invalid argument \(EINVAL\)/);
    expect(attempt({ intoCgroup: 999_999 })).toThrow(/clone3: bad file descriptor \(EBADF\)/);
    expect(attempt({ stdio: [1, 0, 2] })).toThrow("standard descriptors cannot change places");
    expect(attempt({ steps: [step("close", [1, 2, 3, 4, 5, 6, 7])] })).toThrow(RangeError);
    expect(openFiles()).toBe(before);
  });

  test("is told of when a descriptor that it needs is not open", async () => {
    const process = launched({ steps: shell("exit 0"), descriptors: [999] });
    const { fatal } = await process.status.outcome();
    expect(fatal?.step.label).toBe("Keep descriptor 999");
    expect(fatal?.errno).toBe(errnos.EBADF);
    expect(await exitCode(process)).toBe(127);
  });

  test("leaves no descriptor open when the process is disposed of", async () => {
    const before = openFiles();
    const process = launch({ namespaces: 0, steps: shell("exit 0"), stdio: [0, 1, 2] });
    await process.status.outcome();
    await processEnded(process.pidfd);
    reap(process.pid);
    process[Symbol.dispose]();
    expect(openFiles()).toBe(before);
  });
});

describe("signals", () => {
  const fixture = join(import.meta.dir, "launch-fixture.ts");

  test("that whoever started gocker ignores are at their defaults, and children can be waited for", async () => {
    const ignored = "HUP INT QUIT USR1 PIPE TERM CHLD TSTP TTIN TTOU XFSZ RTMIN";
    const script = `trap '' ${ignored}; exec "$0" "$1"`;
    const child = Bun.spawn(["bash", "-c", script, process.execPath, fixture], { stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ stdout, stderr, exitCode: await child.exited }).toEqual({
      stdout: "SigIgn:\t0000000000000000\nexit 5\n",
      stderr: "",
      exitCode: 0,
    });
  });

  test("that come while a plan runs do not disturb the wait for it", async () => {
    using go = createPipe();
    const launchedProcess = launched({
      steps: [step("read", [go.reader.number, new Uint8Array(1), 1]), ...shell("exit 3")],
      descriptors: [go.reader.number],
    });
    const outcome = launchedProcess.status.outcome();
    process.kill(process.pid, "SIGWINCH");
    writeAll(go.writer.number, new Uint8Array(1));
    expect(await outcome).toEqual({ reported: [] });
    expect(await exitCode(launchedProcess)).toBe(3);
  });
});

test("many launches one after the other succeed", async () => {
  const nothing = openSync("/dev/null", "r+");
  for (let count = 0; count < 200; count++) {
    const process = launched({ steps: shell(`exit ${count % 7}`), stdio: [nothing, nothing, nothing] });
    expect(await process.status.outcome()).toEqual({ reported: [] });
    expect(exitCodeOf(reap(process.pid))).toBe(count % 7);
    running.pop();
    process[Symbol.dispose]();
  }
  closeSync(nothing);
});

describe("pauses", () => {
  test("the plan stands still until it is released", async () => {
    using release = createPipe();
    using output = createPipe();
    const process = launched({
      steps: [...pauseSteps("Wait", 7, release.reader.number), step("write", [1, "released", 8])],
      stdio: [0, output.writer.number, 2],
      descriptors: [release.reader.number],
    });
    output.writer.close();
    expect(await process.status.reaches(7)).toBe(true);
    // Asked again it is known already.
    expect(await process.status.reaches(7)).toBe(true);
    writeAll(release.writer.number, new Uint8Array(1));
    expect(Buffer.from(readSome(output.reader.number, new Uint8Array(16))).toString()).toBe("released");
    expect(await process.status.outcome()).toEqual({ reported: [] });
    expect(await exitCode(process)).toBe(0);
  });

  test("a launch that ends before does not come to it", async () => {
    using release = createPipe();
    const failing = step("close", [-1]);
    const process = launched({
      steps: [failing, ...pauseSteps("Wait", 1, release.reader.number)],
      descriptors: [release.reader.number],
    });
    expect(await process.status.reaches(1)).toBe(false);
    expect(await process.status.outcome()).toMatchObject({ fatal: { step: failing, errno: errnos.EBADF } });
    expect(await exitCode(process)).toBe(127);
  });
});

describe("a child that goes on with the plan", () => {
  const cloneParent = 0x8000;
  const makeChild = step("clone", [cloneParent | 17, 0, 0, 0, 0], { onSuccess: { parent: "tells" } });

  test("is told of, and is a child of the launcher's", async () => {
    const first = launched({ steps: [makeChild, step("exit_group", [42])] });
    const child = await first.status.childTold();
    expect(child).toBeGreaterThan(1);
    expect(await first.status.outcome()).toEqual({ reported: [], child: child as number });
    expect(exitCodeOf(reap(child as number))).toBe(42);
    expect(await exitCode(first)).toBe(0);
  });

  test("is told of once: a number that comes later is another's", async () => {
    using release = createPipe();
    const forged = new Uint8Array(new BigUint64Array([0x2000_0000n, 1n]).buffer);
    const first = launched({
      steps: [
        makeChild,
        ...pauseSteps("Wait", 1, release.reader.number),
        step("write", [statusDescriptor, forged, forged.length]),
        step("exit_group", [42]),
      ],
      descriptors: [release.reader.number],
    });
    const child = await first.status.childTold();
    writeAll(release.writer.number, new Uint8Array(1));
    expect(await first.status.outcome()).toEqual({ reported: [], child: child as number });
    expect(exitCodeOf(reap(child as number))).toBe(42);
    expect(await exitCode(first)).toBe(0);
  });

  test("is not told of when there is none", async () => {
    const first = launched({ steps: [step("close", [-1]), makeChild] });
    expect(await first.status.childTold()).toBeUndefined();
    expect(await exitCode(first)).toBe(127);
  });
});
