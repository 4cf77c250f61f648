import { expect, test } from "bun:test";
import { type EndOfRun, isRestarted, pauseBeforeRestart } from "../../../../src/container/monitor/restart.ts";

const end = (change: Partial<EndOfRun>): EndOfRun => ({
  policy: undefined,
  exitCode: 0,
  wasStopped: false,
  restarts: 0,
  ...change,
});

test.each<[expected: boolean, Partial<EndOfRun>]>([
  [false, { exitCode: 1 }],
  [true, { policy: { name: "always" } }],
  [true, { policy: { name: "unless-stopped" }, exitCode: 137, restarts: 1000 }],
  [false, { policy: { name: "always" }, wasStopped: true }],
  [false, { policy: { name: "on-failure" } }],
  [true, { policy: { name: "on-failure" }, exitCode: 1, restarts: 1000 }],
  [true, { policy: { name: "on-failure", maximumRetries: 2 }, exitCode: 1, restarts: 1 }],
  [false, { policy: { name: "on-failure", maximumRetries: 2 }, exitCode: 1, restarts: 2 }],
  [false, { policy: { name: "on-failure" }, exitCode: 1, wasStopped: true }],
])("%p after %p", (expected, change) => {
  expect(isRestarted(end(change))).toBe(expected);
});

test("each pause is twice as long as the one before, up to a minute, and short again after a long run", () => {
  const pauses: number[] = [];
  for (let last: number | undefined; pauses.length < 12;) pauses.push((last = pauseBeforeRestart(last, 50)));
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
  expect(pauseBeforeRestart(60_000, 10_000)).toBe(100);
  expect(pauseBeforeRestart(60_000, 9_999)).toBe(60_000);
});
