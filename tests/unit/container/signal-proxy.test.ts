import { expect, test } from "bun:test";
import { constants } from "node:os";
import { OwnedFd } from "../../../src/linux/fd.ts";
import { openPidfd } from "../../../src/linux/process.ts";
import { ProxiedSignals } from "../../../src/container/signal-proxy.ts";

const { SIGHUP, SIGINT, SIGTERM, SIGUSR1 } = constants.signals;

const nothing = { onImpatience() {}, onHangUp() {} };

/** Sends this process signals, one after the other, and returns what there would be to pass on, and what came of it. */
async function takenFrom(...signals: number[]): Promise<(number | "impatient")[]> {
  const taken: (number | "impatient")[] = [];
  let next = Promise.withResolvers<void>();
  using _signals = new ProxiedSignals({
    onEarly: (signal) => {
      taken.push(signal);
      next.resolve();
    },
    onImpatience: () => taken.push("impatient"),
    onHangUp() {},
  });
  for (const signal of signals) {
    next = Promise.withResolvers<void>();
    process.kill(process.pid, signal);
    await next.promise;
  }
  return taken;
}

test("signals are told of as they come", async () => {
  expect(await takenFrom(SIGHUP, SIGUSR1, SIGTERM, SIGINT)).toEqual([SIGHUP, SIGUSR1, SIGTERM, SIGINT]);
});

test("the third request to end is passed on, too, and told of", async () => {
  expect(await takenFrom(SIGINT, SIGUSR1, SIGTERM, SIGINT)).toEqual([SIGINT, SIGUSR1, SIGTERM, SIGINT, "impatient"]);
});

test("nothing is left of it afterwards", async () => {
  const before = process.listenerCount("SIGTERM");
  await takenFrom(SIGTERM);
  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("a process that is still to come gets those that came before it, too", async () => {
  const early: number[] = [];
  let next = Promise.withResolvers<void>();
  using signals = new ProxiedSignals({
    ...nothing,
    onEarly: (signal) => {
      early.push(signal);
      next.resolve();
    },
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
