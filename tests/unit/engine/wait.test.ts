import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { appendEvent, containerEvent } from "../../../src/container/events.ts";
import { ContainerStore } from "../../../src/container/records.ts";
import { waitForContainer } from "../../../src/engine/wait.ts";
import { GockerError, NotFoundError } from "../../../src/util/errors.ts";
import { newContainer } from "../../helpers/container.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let directory: TemporaryDirectory;
let context: { root: string; state: string };
let containers: ContainerStore;

beforeEach(() => {
  directory = new TemporaryDirectory("wait");
  context = { root: directory.path, state: `${directory.path}/state` };
  mkdirSync(context.state);
  containers = ContainerStore.open(context.root);
});
afterEach(() => directory[Symbol.dispose]());

/** Whether the promise has been settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  return (await Promise.race([promise, Bun.sleep(20).then(() => pending)])) !== pending;
}

describe("waitForContainer", () => {
  test("one that does not run is not waited for", async () => {
    using created = containers.create(newContainer({ name: "created" }));
    created[Symbol.dispose]();
    expect(await waitForContainer(context, "created")).toBe(0);
    using exited = containers.create(newContainer({ name: "exited" }));
    exited.markExited({ exitCode: 3 });
    exited[Symbol.dispose]();
    expect(await waitForContainer(context, "exited")).toBe(3);
    await expect(waitForContainer(context, "none")).rejects.toThrow(NotFoundError);
  });

  test("until its process has ended, and nobody works on it", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    await using sleeper = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(sleeper.pid);
    const waiting = waitForContainer(context, "web");
    expect(await isSettled(waiting)).toBe(false);
    sleeper.kill("SIGKILL");
    await sleeper.exited;
    // Whoever runs it may start it again, or write how it ended.
    expect(await isSettled(waiting)).toBe(false);
    claim.markExited({ exitCode: 137 });
    expect(await isSettled(waiting)).toBe(false);
    claim[Symbol.dispose]();
    expect(await waiting).toBe(137);
  });

  test("one that is started again is waited for again", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    await using first = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(first.pid);
    const waiting = waitForContainer(context, "web");
    first.kill("SIGKILL");
    await first.exited;
    await using second = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(second.pid);
    expect(await isSettled(waiting)).toBe(false);
    second.kill("SIGKILL");
    await second.exited;
    claim.markExited({ exitCode: 5 });
    claim[Symbol.dispose]();
    expect(await waiting).toBe(5);
  });

  test("whose gocker was killed", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    await using sleeper = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(sleeper.pid);
    const waiting = waitForContainer(context, "web");
    sleeper.kill("SIGKILL");
    await sleeper.exited;
    // As the kernel lets go of the lock: the file stays.
    const path = containers.lockPath(claim.id);
    renameSync(path, `${path}.kept`);
    claim[Symbol.dispose]();
    renameSync(`${path}.kept`, path);
    expect(await waiting).toBe(137);
  });

  test("that is removed when it has ended: its events tell how", async () => {
    using claim = containers.create(newContainer({ name: "web", remove: true }));
    await using sleeper = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(sleeper.pid);
    const waiting = waitForContainer(context, "web");
    sleeper.kill("SIGKILL");
    await sleeper.exited;
    appendEvent(context.state, containerEvent({ ...claim.record, id: "0".repeat(64) }, "die", { exitCode: "1" }));
    for (const exitCode of ["2", "9"]) appendEvent(context.state, containerEvent(claim.record, "die", { exitCode }));
    appendEvent(context.state, containerEvent(claim.record, "destroy"));
    claim.remove();
    expect(await waiting).toBe(9);
  });

  test("whose events are gone too", async () => {
    using claim = containers.create(newContainer({ name: "web", remove: true }));
    await using sleeper = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(sleeper.pid);
    const waiting = waitForContainer(context, "web");
    rmSync(context.state, { recursive: true });
    sleeper.kill("SIGKILL");
    await sleeper.exited;
    claim.remove();
    await expect(waiting).rejects.toThrow(GockerError);
    await expect(waiting).rejects.toThrow("was removed, and how it ended is not known");
  });
});
