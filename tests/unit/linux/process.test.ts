import { expect, test } from "bun:test";
import { OwnedFd } from "../../../src/linux/fd.ts";
import { launch, type LaunchedProcess } from "../../../src/linux/launch/launch.ts";
import type { Step } from "../../../src/linux/launch/plan.ts";
import { exitCodeOf, isChild, openPidfd, processEnded, reap, sendSignal } from "../../../src/linux/process.ts";
import { processOfPlan } from "../../../src/runtime/planned-process.ts";

function step(syscall: Step["syscall"], args: Step["args"]): Step {
  return { label: syscall, group: "process", syscall, args };
}

const forEver = step("ppoll", [0, 0, 0, 0, 0]);

function start(...steps: Step[]): LaunchedProcess {
  return launch({ namespaces: 0, steps, stdio: [0, 1, 2] });
}

test.each([0, 1, 255])("an exit with %d is told as such", async (code) => {
  using child = start(step("exit_group", [code]));
  await processEnded(child.pidfd);
  expect(reap(child.pid)).toEqual({ code });
  expect(exitCodeOf({ code })).toBe(code);
});

test("so is the signal that ended a process, as a shell shows it", async () => {
  using child = start(forEver);
  expect(sendSignal(child.pidfd, 15)).toBe(true);
  await processEnded(child.pidfd);
  const status = reap(child.pid);
  expect(status).toEqual({ signal: 15 });
  expect(exitCodeOf(status)).toBe(143);
});

test("a process that has ended is waited for at no cost, and cannot be mistaken for another", async () => {
  using child = start();
  await processEnded(child.pidfd);
  await processEnded(child.pidfd);
  reap(child.pid);
  await processEnded(child.pidfd);
  expect(sendSignal(child.pidfd, 9)).toBe(false);
  expect(() => reap(child.pid)).toThrow("ECHILD");
});

test("one process alone is reaped", async () => {
  using first = start(step("exit_group", [1]));
  using second = start(step("exit_group", [2]));
  await processEnded(first.pidfd);
  await processEnded(second.pidfd);
  expect([reap(second.pid), reap(first.pid)]).toEqual([{ code: 2 }, { code: 1 }]);
});

test("a process that is none of gocker's children is watched too", async () => {
  const stranger = Bun.spawn(["sleep", "60"]);
  using pidfd = new OwnedFd(openPidfd(stranger.pid) ?? -1);
  const ended = processEnded(pidfd);
  sendSignal(pidfd, 9);
  await ended;
  expect(await stranger.exited).toBe(137);
});

test("there is no descriptor of a process that does not exist", async () => {
  using child = start();
  await processEnded(child.pidfd);
  reap(child.pid);
  expect(openPidfd(child.pid)).toBeUndefined();
});

test("a child is told from others, and stays to be waited for", async () => {
  using child = start(step("exit_group", [7]));
  expect(isChild(child.pidfd)).toBe(true);
  await processEnded(child.pidfd);
  expect(isChild(child.pidfd)).toBe(true);
  using parent = new OwnedFd(openPidfd(process.ppid) as number);
  expect(isChild(parent)).toBe(false);
  // It has told another's number.
  expect(() => processOfPlan(child, process.ppid)).toThrow(`the process ${process.ppid} is not the one that was made`);
});
