import { expect, test } from "bun:test";
import { constants } from "node:os";
import { OwnedFd } from "../../../src/linux/fd.ts";
import { openPidfd } from "../../../src/linux/process.ts";
import { ProxiedSignals } from "../../../src/container/signal-proxy.ts";

const { SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1 } = constants.signals;

/** Sends this process signals, one after the other, and returns what was passed on. */
async function passedOn(...signals: number[]): Promise<number[]> {
  const passed: number[] = [];
  let next = Promise.withResolvers<void>();
  using _signals = new ProxiedSignals((signal) => {
    passed.push(signal);
    next.resolve();
  });
  for (const signal of signals) {
    next = Promise.withResolvers<void>();
    process.kill(process.pid, signal);
    await next.promise;
  }
  return passed;
}

test("signals are told of as they come", async () => {
  expect(await passedOn(SIGHUP, SIGUSR1, SIGTERM, SIGINT)).toEqual([SIGHUP, SIGUSR1, SIGTERM, SIGINT]);
});

test("the third request to end is a kill", async () => {
  expect(await passedOn(SIGINT, SIGUSR1, SIGTERM, SIGINT)).toEqual([SIGINT, SIGUSR1, SIGTERM, SIGKILL]);
});

test("nothing is left of it afterwards", async () => {
  const before = process.listenerCount("SIGTERM");
  await passedOn(SIGTERM);
  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("a process that is still to come gets those that came before it, too", async () => {
  const early: number[] = [];
  let next = Promise.withResolvers<void>();
  using signals = new ProxiedSignals((signal) => {
    early.push(signal);
    next.resolve();
  });
  for (const signal of [SIGUSR1, SIGHUP]) {
    next = Promise.withResolvers<void>();
    process.kill(process.pid, signal);
    await next.promise;
  }
  const script = `trap "echo one" USR1; trap "echo two" HUP; trap "echo three; exit 3" TERM; echo ready; while :; do sleep 0.01; done`;
  const child = Bun.spawn(["sh", "-c", script], { stdout: "pipe" });
  const output = child.stdout.getReader();
  const line = async () => Buffer.from((await output.read()).value ?? []).toString();
  expect(await line()).toBe("ready\n");
  using pidfd = new OwnedFd(openPidfd(child.pid) as number);
  signals.passTo(pidfd);
  let shown = "";
  while (!/one/.test(shown) || !/two/.test(shown)) shown += await line();
  process.kill(process.pid, SIGTERM);
  expect(await child.exited).toBe(3);
  expect(early).toEqual([SIGUSR1, SIGHUP]);
});
