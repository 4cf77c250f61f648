import { describe, expect, spyOn, test } from "bun:test";
import { HealthCheck, type RunningProbe } from "../../../../src/container/monitor/health.ts";
import type { Waiting } from "../../../../src/linux/waiting.ts";
import type { ContainerHealth } from "../../../../src/container/record.ts";
import { createPipe, openNull } from "../../../../src/linux/fd.ts";
import { launch } from "../../../../src/linux/launch/launch.ts";
import { words } from "../../../../src/linux/launch/plan.ts";
import { pollAll, pollEvent } from "../../../../src/linux/poll.ts";

const millisecond = 1e6;
const start = Date.parse("2026-01-01T00:00:00Z");

/** A child of this process, as a probe in a container is. */
function shell(script: string): RunningProbe {
  const pipe = createPipe();
  using nothing = openNull();
  const argv = words("sh", "-c", script, 0);
  const child = launch({
    namespaces: 0,
    steps: [{ label: "execute", group: "process", syscall: "execve", args: ["/bin/sh", argv, words(0)] }],
    stdio: [nothing.number, pipe.writer.number, pipe.writer.number],
  });
  pipe.writer.close();
  const dispose = () => {
    child[Symbol.dispose]();
    pipe.reader.close();
  };
  return { pid: child.pid, pidfd: child.pidfd, output: pipe.reader, [Symbol.dispose]: dispose };
}

interface Setting {
  readonly script: () => string | undefined;
  readonly retries?: number;
  readonly startPeriod?: number;
  readonly timeout?: number;
}

/** A health check whose clock the test turns; all probes come to their end as they do. */
function checkWith({ script, retries = 3, startPeriod = 0, timeout = 30_000 }: Setting) {
  const told: (readonly [status: string, streak: number, changed: boolean])[] = [];
  let last: ContainerHealth | undefined;
  const probe = {
    args: [],
    interval: 1000 * millisecond,
    timeout: timeout * millisecond,
    startPeriod: startPeriod * millisecond,
    startInterval: 100 * millisecond,
    retries,
  };
  const duties = {
    startProbe: async () => {
      const text = script();
      if (text === "fail") throw new Error("cannot run it");
      return text === undefined ? undefined : shell(text);
    },
    onHealth: (health: ContainerHealth, { changed }: { readonly changed: boolean }) => {
      last = health;
      told.push([health.status, health.failingStreak, changed]);
    },
  };
  const check = new HealthCheck(probe, duties, start, {});
  return {
    check,
    told,
    health: () => last as ContainerHealth,
    /** A probe that begins at this time, to its end. */
    at: async (time: number): Promise<void> => {
      await check.act(start + time);
      while (check.isBusy) {
        const waiting = [...check.waiting()];
        const ready = pollAll(waiting, 5000);
        for (const [index, one] of waiting.entries()) if (ready[index] !== 0) one.serve(ready[index] as number);
        await check.act(start + time);
      }
    },
  };
}

describe("a health check", () => {
  test("is healthy by the first success, and unhealthy by failures in a row", async () => {
    const results = ["exit 1", "exit 0", "exit 1", "exit 1", "exit 1", "exit 1", "exit 0"];
    const { told, at } = checkWith({ script: () => results.shift() });
    for (let time = 1000; time <= 7000; time += 1000) await at(time);
    expect(told).toEqual([
      ["starting", 0, false],
      ["starting", 1, false],
      ["healthy", 0, true],
      ["healthy", 1, false],
      ["healthy", 2, false],
      ["unhealthy", 3, true],
      ["unhealthy", 4, false],
      ["healthy", 0, true],
    ]);
  });

  test("makes no probe before it is due, and tells when that is", async () => {
    const { check, told, at } = checkWith({ script: () => "exit 0" });
    expect(check.timeLeft(start + 400)).toBe(600);
    await at(999);
    expect(told).toHaveLength(1);
    await at(1200);
    expect(told).toHaveLength(2);
    expect(check.nextAt).toBe(start + 2200);
  });

  test("keeps the last five results, with the beginning of what they wrote", async () => {
    const { health, at } = checkWith({ script: () => "echo out; echo err >&2; head -c 9999 /dev/zero | tr '\\0' x" });
    for (let time = 1000; time <= 7000; time += 1000) await at(time);
    expect(health().log).toHaveLength(5);
    const [first] = health().log;
    expect(first).toMatchObject({ start: "2026-01-01T00:00:03.000Z", exitCode: 0 });
    expect(first?.output).toStartWith("out\nerr\nxxx");
    expect(first?.output).toHaveLength(4096);
  });

  test("holds nothing of what a probe writes beyond what is kept", async () => {
    const { at } = checkWith({ script: () => "dd if=/dev/zero bs=64k count=6000 2> /dev/null" });
    const concat = spyOn(Buffer, "concat");
    await at(1000);
    const chunks = concat.mock.calls.flatMap(([list]) => list);
    concat.mockRestore();
    expect(chunks.length).toBeLessThan(100);
  });

  test("failures while a container is starting do not count, and are more frequent", async () => {
    const { check, told, at } = checkWith({ script: () => "exit 1", startPeriod: 500, retries: 1 });
    expect(check.nextAt).toBe(start + 100);
    await at(100);
    await at(499);
    expect(told.at(-1)).toEqual(["starting", 0, false]);
    await at(1500);
    expect(told.at(-1)).toEqual(["unhealthy", 1, true]);
  });

  test("a probe that takes too long is killed", async () => {
    const { check, health } = checkWith({ script: () => "exec sleep 1000", timeout: 50 });
    await check.act(start + 1000);
    expect(check.timeLeft(start + 1010)).toBe(40);
    await check.act(start + 1050);
    // Nothing waits for its end alone, which is long in coming where the container is paused.
    expect({ isBusy: check.isBusy, timeLeft: check.timeLeft(start + 1050) }).toEqual({
      isBusy: true,
      timeLeft: Infinity,
    });
    const [end, ...others] = [...check.waiting()];
    expect(pollAll([end as Waiting], 10_000)).toEqual([pollEvent.readable]);
    end?.serve(pollEvent.readable);
    expect(others.length).toBeLessThan(2);
    await check.act(start + 1060);
    expect(check.isBusy).toBe(false);
    expect(health().log).toMatchObject([{ exitCode: -1, output: "Health check exceeded timeout (0.05s)" }]);
  });

  test("one that cannot be started fails, one of a paused container does not", async () => {
    const results = ["fail", undefined];
    const { told, health, at } = checkWith({ script: () => results.shift() });
    await at(1000);
    await at(2000);
    expect(told).toEqual([
      ["starting", 0, false],
      ["starting", 1, false],
    ]);
    expect(health().log).toMatchObject([{ exitCode: -1, output: "cannot run it" }]);
  });
});
