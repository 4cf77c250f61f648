import { expect, test } from "bun:test";

import { isAlive, openKnownProcess } from "../../../src/linux/known-process.ts";
import { sendSignal } from "../../../src/linux/process.ts";
import { processState } from "../../../src/linux/process-state.ts";
import { until } from "../../helpers/until.ts";

const startOf = (pid: number) => processState(pid)?.startTime ?? 0;

test("a process is known by its number and the time of its start", async () => {
  const child = Bun.spawn(["sleep", "1000"]);
  const known = { pid: child.pid, startTime: startOf(child.pid) };
  expect(isAlive(known)).toBe(true);
  for (const other of [
    { ...known, startTime: known.startTime - 1 },
    { ...known, pid: process.pid },
  ]) {
    expect(isAlive(other)).toBe(false);
    expect(openKnownProcess(other)).toBeUndefined();
  }
  using pidfd = openKnownProcess(known);
  expect(pidfd).toBeDefined();
  if (pidfd !== undefined) expect(sendSignal(pidfd, 9)).toBe(true);
  await child.exited;
  expect(isAlive(known)).toBe(false);
  expect(openKnownProcess(known)).toBeUndefined();
});

test("one that has ended and was not waited for is none", async () => {
  // The shell does not wait for its child once it is another program, which it is before that ends.
  const parent = Bun.spawn(["sh", "-c", "sleep 0.3 & echo $!; exec sleep 1000"], { stdout: "pipe" });
  const { value } = await parent.stdout.getReader().read();
  const pid = Number(Buffer.from(value ?? []).toString());
  const known = { pid, startTime: startOf(pid) };
  await until("it has ended", () => processState(pid)?.letter === "Z");
  expect(isAlive(known)).toBe(false);
  expect(openKnownProcess(known)).toBeUndefined();
  parent.kill();
  await parent.exited;
});
