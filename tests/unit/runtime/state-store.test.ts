import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { processState } from "../../../src/linux/process-state.ts";
import { ociState } from "../../../src/runtime/oci-state.ts";
import type { ContainerState } from "../../../src/runtime/runtime-container.ts";
import { parseContainerId, StateStore } from "../../../src/runtime/state-store.ts";
import { ConflictError, InvalidDocumentError, NotFoundError, UsageError } from "../../../src/util/errors.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

function stateOf(id: string, change: Partial<ContainerState> = {}): ContainerState {
  return {
    version: 1,
    ociVersion: "1.2.0",
    id,
    bundle: "/b",
    rootfs: "/b/rootfs",
    pid: 0,
    pidStartTime: 0,
    created: "2026-01-02T03:04:05.678Z",
    owner: 0,
    cgroupsPath: `/gocker-test/${id}`,
    ownPidNamespace: true,
    annotations: {},
    ...change,
  };
}

const ownStart = processState(process.pid)?.startTime ?? 0;

test.each(["a", "A-1_b+c.d", "..a", "x".repeat(255)])("the ID %p", (id) => expect(parseContainerId(id)).toBe(id));

test.each(["", ".", "..", "a/b", "../x", "a b", "a\0", "é", "x".repeat(256)])("%p is no ID", (id) => {
  expect(() => parseContainerId(id)).toThrow(UsageError);
});

test("an ID is one container's, until that is forgotten", async () => {
  using directory = new TemporaryDirectory("state");
  const store = new StateStore(`${directory.path}/new`);
  const container = store.reserve("one");
  container.writeState(stateOf("one"));
  expect(() => store.reserve("one")).toThrow(ConflictError);
  expect(store.ids()).toEqual(["one"]);
  expect(store.open("one").state.bundle).toBe("/b");
  container.forget();
  expect(store.ids()).toEqual([]);
  expect(() => store.open("one")).toThrow("the container one does not exist");
  expect(store.lock("one")).rejects.toThrow(NotFoundError);
  store.reserve("one").forget();
});

test("one that gets its process after somebody has read its state has not ended", () => {
  using directory = new TemporaryDirectory("state");
  const store = new StateStore(directory.path);
  const container = store.reserve("soon");
  container.writeState(stateOf("soon"));
  const seen = store.open("soon");
  expect(seen.status()).toBe("creating");
  container.writeState(stateOf("soon", { pid: process.pid, pidStartTime: ownStart, withoutCgroup: "a test" }));
  container.unlock();
  expect(seen.status()).toBe("running");
  // Whoever was to make it has died.
  const other = store.reserve("never");
  other.writeState(stateOf("never"));
  other.unlock();
  expect(store.open("never").status()).toBe("stopped");
});

test("what has no state is swept, unless somebody is at work on it or it is not gocker's", () => {
  using directory = new TemporaryDirectory("state");
  const store = new StateStore(directory.path);
  store.sweep("nosuch");
  mkdirSync(`${directory.path}/empty`);
  store.sweep("empty");
  const own = `${directory.path}/own`;
  mkdirSync(own);
  for (const name of ["lock", "config.json", "exec.fifo", ".1-0-abcdef01.new"]) writeFileSync(`${own}/${name}`, "");
  store.sweep("own");
  expect(readdirSync(directory.path)).toEqual([]);

  const atWork = store.reserve("one");
  store.sweep("one");
  expect(readdirSync(`${directory.path}/one`)).toEqual(["lock"]);
  atWork.writeState(stateOf("one"));
  atWork.unlock();
  store.sweep("one");
  expect(store.ids()).toEqual(["one"]);

  // As crun keeps it.
  mkdirSync(`${directory.path}/foreign`);
  for (const name of ["status", "config.json"]) writeFileSync(`${directory.path}/foreign/${name}`, "");
  store.sweep("foreign");
  expect(readdirSync(`${directory.path}/foreign`).toSorted()).toEqual(["config.json", "status"]);
  expect(() => store.reserve("foreign")).toThrow(ConflictError);
  expect(readdirSync(`${directory.path}/foreign`)).toHaveLength(2);
  // As a bundle is.
  mkdirSync(`${directory.path}/bundle`);
  writeFileSync(`${directory.path}/bundle/config.json`, "{}");
  store.sweep("bundle");
  expect(readdirSync(`${directory.path}/bundle`)).toEqual(["config.json"]);
});

test("a state that cannot be read is told as that", () => {
  using directory = new TemporaryDirectory("state");
  const store = new StateStore(directory.path);
  for (const text of ["{", "{}", '{"version":2,"pid":1,"cgroupsPath":"/x"}']) {
    mkdirSync(`${directory.path}/broken`, { recursive: true });
    writeFileSync(`${directory.path}/broken/state.json`, text);
    expect(() => store.open("broken")).toThrow(InvalidDocumentError);
  }
});

describe("the status", () => {
  function status(change: Partial<ContainerState>, options: { readonly fifo?: boolean } = {}) {
    using directory = new TemporaryDirectory("state");
    const store = new StateStore(directory.path);
    using made = store.reserve("c");
    made.writeState(stateOf("c", change));
    made.unlock();
    if (options.fifo === true) writeFileSync(made.startFifo, "");
    return store.open("c").status();
  }

  test("is read off the first process", () => {
    const own = { pid: process.pid, pidStartTime: ownStart };
    expect(status(own, { fifo: true })).toBe("created");
    expect(status(own)).toBe("running");
    expect(status({ pid: process.pid, pidStartTime: ownStart + 1 })).toBe("stopped");
    expect(status({ pid: 2 ** 22 + 1, pidStartTime: 1 })).toBe("stopped");
  });

  test("without one it is being made as long as somebody works on it", () => {
    using directory = new TemporaryDirectory("state");
    const store = new StateStore(directory.path);
    using made = store.reserve("c");
    made.writeState(stateOf("c"));
    expect(store.open("c").status()).toBe("creating");
    made.unlock();
    expect(store.open("c").status()).toBe("stopped");
  });
});

test("the specification's form of the state has no process when it has stopped, and annotations only when there are any", () => {
  const state = stateOf("c", { pid: 5, annotations: { a: "b" } });
  expect(ociState(state, "running")).toEqual({
    ociVersion: "1.2.0",
    id: "c",
    status: "running",
    pid: 5,
    bundle: "/b",
    annotations: { a: "b" },
  });
  expect(ociState(stateOf("c", { pid: 5 }), "stopped")).toEqual({
    ociVersion: "1.2.0",
    id: "c",
    status: "stopped",
    pid: 0,
    bundle: "/b",
  });
});
