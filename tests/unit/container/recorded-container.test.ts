import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";

import type { ContainerRecord, ContainerState } from "../../../src/container/record.ts";
import { RecordedContainer } from "../../../src/container/recorded-container.ts";
import { serialiseSpec } from "../../../src/container/serialise-spec.ts";
import { launch } from "../../../src/linux/launch/launch.ts";
import { openNull } from "../../../src/linux/fd.ts";
import { processEnded, reap, sendSignal } from "../../../src/linux/process.ts";
import { processState } from "../../../src/linux/process-state.ts";
import { NotFoundError } from "../../../src/util/errors.ts";
import { newContainer } from "../../helpers/container.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let directory: TemporaryDirectory;
beforeAll(() => {
  directory = new TemporaryDirectory("recorded-container");
  mkdirSync(`${directory.path}/empty`);
  const spec = {
    ociVersion: "1.1.0",
    root: { path: "rootfs" },
    annotations: { a: "b" },
    linux: { cgroupsPath: "/gocker/x" },
  };
  writeFileSync(`${directory.path}/config.json`, serialiseSpec(spec));
});
afterAll(() => directory[Symbol.dispose]());

function container(state: ContainerState, path = directory.path): RecordedContainer {
  const { name: _, ...details } = newContainer();
  const record: ContainerRecord = { ...details, version: 1, id: "c0ffee", name: "web", created: "", state };
  return new RecordedContainer(record, path);
}

const startTime = (pid: number) => processState(pid)?.startTime ?? 0;

test.each<ContainerState>([
  { status: "created" },
  { status: "exited", exitCode: 0 },
  { status: "restarting" },
  { status: "running", pid: process.pid },
  { status: "running", pid: process.pid, pidStartTime: 1 },
  { status: "exited", pid: process.pid, pidStartTime: startTime(process.pid) },
])("%j is not running", (state) => {
  const stopped = container(state);
  expect(stopped.status()).toBe("stopped");
  expect(stopped.openProcess()).toBeUndefined();
  expect(stopped.ociState()).toMatchObject({ id: "c0ffee", status: "stopped", pid: 0, annotations: { a: "b" } });
});

test("the first process is the one that the record names", () => {
  const running = container({ status: "running", pid: process.pid, pidStartTime: startTime(process.pid) });
  expect(running.pid).toBe(process.pid);
  using pidfd = running.openProcess();
  expect(pidfd).toBeDefined();
});

test("a first process that works on its plan is still being made", async () => {
  using nothing = openNull();
  const stdio = [nothing.number, nothing.number, nothing.number] as const;
  const wait = { label: "Wait", group: "process", syscall: "ppoll", args: [0, 0, 0, 0, 8] } as const;
  using plan = launch({ namespaces: 0, steps: [wait], stdio });
  try {
    const started = container({ status: "running", pid: plan.pid, pidStartTime: startTime(plan.pid) });
    expect(started.status()).toBe("creating");
  } finally {
    sendSignal(plan.pidfd, 9);
    await processEnded(plan.pidfd);
    reap(plan.pid);
  }
});

test("a container without its specification is damaged", () => {
  expect(() => container({ status: "created" }, `${directory.path}/empty`).readSpec()).toThrow(NotFoundError);
});
