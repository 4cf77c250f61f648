import { expect, test } from "bun:test";
import { constants } from "node:os";
import { proxySignals } from "../../../src/container/signal-proxy.ts";

const { SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1 } = constants.signals;

/** Sends this process signals, one after the other, and returns what was passed on. */
async function passedOn(...signals: number[]): Promise<number[]> {
  const passed: number[] = [];
  let next = Promise.withResolvers<void>();
  using _proxy = proxySignals((signal) => {
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

test("signals are passed on as they come", async () => {
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
