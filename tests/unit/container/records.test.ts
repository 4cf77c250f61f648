import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import type { ClaimedContainer } from "../../../src/container/claim.ts";
import { DamagedRecordError } from "../../../src/container/damaged-record.ts";
import { deadContainers } from "../../../src/container/dead.ts";
import { newContainerId } from "../../../src/util/ids.ts";
import { reconcileContainers } from "../../../src/container/reconcile.ts";
import { ContainerStore } from "../../../src/container/records.ts";
import { VolumeStore } from "../../../src/container/volumes.ts";
import { FileLock } from "../../../src/linux/lock.ts";
import { ConflictError, InvalidDocumentError, NotFoundError, UsageError } from "../../../src/util/errors.ts";
import { newContainer } from "../../helpers/container.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let directory: TemporaryDirectory;
let containers: ContainerStore;

beforeEach(() => {
  directory = new TemporaryDirectory("records");
  containers = ContainerStore.open(directory.path);
});
afterEach(() => directory[Symbol.dispose]());

const inContainers = (path: string) => `${directory.path}/containers/${path}`;
const everything = () => readdirSync(inContainers("")).filter((name) => name !== "names" && name !== "active");
const nothingLeft = () => {
  expect(everything()).toEqual([]);
  expect(readdirSync(inContainers("names"))).toEqual([]);
  expect(readdirSync(inContainers("active"))).toEqual([]);
};

/** Leaves the container as a gocker that is killed at this moment would: the kernel lets go of the lock. */
function kill(claim: ClaimedContainer): void {
  // Only a claim whose record says "running" keeps its file in `active` when it is given up.
  const path = containers.lockPath(claim.id);
  renameSync(path, `${path}.kept`);
  claim[Symbol.dispose]();
  renameSync(`${path}.kept`, path);
}

describe("rename", () => {
  const names = () =>
    Object.fromEntries(readdirSync(inContainers("names")).map((name) => [name, containers.holderOf(name)]));

  test("the new name leads to the container, the old one is free, whoever has the container", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    const { record, oldName } = await containers.rename(claim.id, "/front");
    expect(oldName).toBe("web");
    expect(record).toEqual(containers.read(claim.id));
    expect(record.name).toBe("front");
    expect(names()).toEqual({ front: claim.id });
    // Its own gocker still knows it by the old name.
    claim.remove();
    nothingLeft();
  });

  test("a name that is taken, its own, or none changes nothing", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    using other = containers.create(newContainer({ name: "other" }));
    await expect(containers.rename(claim.id, "other")).rejects.toThrow(ConflictError);
    await expect(containers.rename(claim.id, "web")).rejects.toThrow(ConflictError);
    await expect(containers.rename(claim.id, "?")).rejects.toThrow(UsageError);
    expect(names()).toEqual({ web: claim.id, other: other.id });
    expect(containers.read(claim.id).name).toBe("web");
  });

  test("one that was interrupted can be done again", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    symlinkSync(claim.id, inContainers("names/front"));
    await containers.rename(claim.id, "front");
    expect(names()).toEqual({ front: claim.id });
    await Promise.all(["a1", "b1", "c1"].map((name) => containers.rename(claim.id, name)));
    expect(names()).toEqual({ [containers.read(claim.id).name]: claim.id });
  });

  test("of a container that is removed meanwhile leaves no name", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    let renaming: Promise<unknown>;
    {
      using _lock = FileLock.tryAcquire(inContainers(`${claim.id}/record.lock`), "exclusive");
      renaming = containers.rename(claim.id, "front");
      claim.remove();
    }
    await expect(renaming).rejects.toThrow(NotFoundError);
    nothingLeft();
  });
});

describe("update", () => {
  test("changes exclude each other, while somebody else has the container", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    const path = inContainers(`${claim.id}/record.lock`);
    let other: Promise<unknown>;
    {
      using _lock = FileLock.tryAcquire(path, "exclusive");
      other = containers.update(claim.id, (record) => ({ ...record, stopTimeout: (record.stopTimeout ?? 0) + 1 }));
      const between = { ...containers.read(claim.id), stopTimeout: 41 };
      containers.write(between);
    }
    expect(await other).toEqual(containers.read(claim.id));
    expect(containers.read(claim.id).stopTimeout).toBe(42);
  });

  test("what is not there is told, and not made", async () => {
    const id = newContainerId();
    await expect(containers.update(id, (record) => record)).rejects.toThrow(NotFoundError);
    expect(existsSync(inContainers(id))).toBe(false);
  });
});

describe("create", () => {
  test("writes a record and holds the container until it is disposed of", () => {
    const claim = containers.create(newContainer({ name: "web" }));
    expect(containers.activeIds()).toEqual([claim.id]);
    expect(containers.claim(claim.id)).toBeUndefined();
    expect(containers.read(containers.resolve("web"))).toEqual(claim.record);
    expect(claim.record).toMatchObject({ version: 1, name: "web", state: { status: "created" } });
    claim[Symbol.dispose]();
    expect(containers.activeIds()).toEqual([]);
    using again = containers.claim(claim.id);
    expect(again?.record.name).toBe("web");
  });

  test("a name has one owner", () => {
    using one = containers.create(newContainer({ name: "web" }));
    expect(() => containers.create(newContainer({ name: "/web" }))).toThrow(ConflictError);
    expect(everything()).toEqual([one.id]);
    expect(containers.activeIds()).toEqual([one.id]);
    one.remove();
    nothingLeft();
    using two = containers.create(newContainer({ name: "web" }));
    expect(containers.resolve("web")).toBe(two.id);
  });

  test("a name whose container is gone is free, one that is just being made is not", () => {
    const holder = newContainerId();
    symlinkSync(holder, inContainers("names/web"));
    using lock = FileLock.tryAcquire(containers.lockPath(holder), "exclusive");
    expect(() => containers.create(newContainer({ name: "web" }))).toThrow(ConflictError);
    lock?.removeAndRelease();
    using claim = containers.create(newContainer({ name: "web" }));
    expect(containers.resolve("web")).toBe(claim.id);
  });

  test("a bad name makes nothing", () => {
    expect(() => containers.create(newContainer({ name: "../x" }))).toThrow(UsageError);
    nothingLeft();
  });

  test("random names differ", () => {
    const claims = Array.from({ length: 30 }, () => containers.create(newContainer()));
    expect(new Set(claims.map(({ record }) => record.name)).size).toBe(30);
    for (const claim of claims) claim.remove();
    nothingLeft();
  });
});

describe("the life of a container", () => {
  test("the health of one that has just been started is not known yet", () => {
    const healthcheck = { test: ["CMD", "true"] };
    using claim = containers.create(newContainer({ healthcheck }));
    claim.markRunning(process.pid);
    expect(containers.read(claim.id).state.health).toEqual({ status: "starting", failingStreak: 0, log: [] });
    using plain = containers.create(newContainer({ healthcheck: { test: ["NONE"] } }));
    plain.markRunning(process.pid);
    expect(containers.read(plain.id).state).not.toHaveProperty("health");
  });

  test("running, exited, removed", () => {
    using claim = containers.create(newContainer());
    claim.markRunning(process.pid);
    expect(containers.read(claim.id).state).toMatchObject({ status: "running", pid: process.pid });
    expect(containers.read(claim.id).state.pidStartTime).toBeGreaterThan(0);
    claim.markExited({ exitCode: 3 });
    const { state } = containers.read(claim.id);
    expect(state).toEqual({
      status: "exited",
      startedAt: expect.any(String),
      finishedAt: expect.any(String),
      exitCode: 3,
    });
    claim.remove();
    nothingLeft();
    expect(() => containers.read(claim.id)).toThrow(NotFoundError);
  });

  test("a container that runs again is running, and one that is made anew is created", () => {
    using claim = containers.create(newContainer());
    claim.markExited({ exitCode: 1 });
    claim.markRunning(process.pid);
    expect(containers.read(claim.id).state.status).toBe("running");
    containers.writeState(claim.id, { status: "created" });
    expect(containers.read(claim.id).state).toEqual({ status: "created" });
  });

  test("the end of a container with --rm is not written down", () => {
    using claim = containers.create(newContainer({ remove: true }));
    claim.markExited({ exitCode: 1 });
    expect(claim.record.state.status).toBe("exited");
    expect(containers.read(claim.id).state.status).toBe("created");
  });

  test("but of one that is about to be started again it is", () => {
    using claim = containers.create(newContainer({ remove: true }));
    containers.markStopped(claim.id);
    containers.markKept(claim.id);
    claim.markExited({ exitCode: 1 });
    expect(containers.read(claim.id).state.status).toBe("exited");
    containers.clearMarks(claim.id);
    expect([containers.isKept(claim.id), containers.wasStopped(claim.id)]).toEqual([false, false]);
  });

  test.each(["", "{", "[]", undefined])("a record that is no longer whole: %j", (text) => {
    const damage = (path: string) => (text === undefined ? rmSync(path) : writeFileSync(path, text));
    const claim = containers.create(newContainer({ name: "web" }));
    // While it is being made it may be empty, or not there.
    if (text === undefined || text === "") {
      damage(`${claim.directory}/container.json`);
      expect(() => containers.read(claim.id)).toThrow(NotFoundError);
      containers.write(claim.record);
    }
    claim[Symbol.dispose]();
    damage(`${claim.directory}/container.json`);
    expect(() => containers.read(claim.id)).toThrow(DamagedRecordError);
    expect(() => containers.claim(claim.id)).toThrow(DamagedRecordError);
    expect(containers.activeIds()).toEqual([]);
    const broken = new Map<string, unknown>();
    expect(containers.list((id, error) => broken.set(id, error))).toEqual([]);
    const created = expect.stringMatching(/^\d{4}-.*Z$/) as string;
    expect(deadContainers(containers, broken)).toEqual([{ id: claim.id, name: "web", created, labels: {} }]);
    using removal = containers.claimForRemoval(claim.id);
    expect(removal?.hasRecord).toBe(false);
    removal?.remove();
    nothingLeft();
    expect(() => containers.claimForRemoval(claim.id)).toThrow(NotFoundError);
  });

  test("an end that a loss of power has taken", () => {
    const claim = containers.create(newContainer({ name: "web" }));
    claim.markRunning(process.pid);
    const { startedAt } = claim.record.state;
    claim.markExited({ exitCode: 0 });
    claim[Symbol.dispose]();
    const path = `${claim.directory}/exited.json`;
    writeFileSync(path, "");
    utimesSync(path, 1_800_000_000, 1_800_000_000);
    const lost = { status: "exited", exitCode: 255, startedAt, error: expect.any(String) as string };
    expect(containers.read(claim.id).state).toEqual({ ...lost, finishedAt: "2027-01-15T08:00:00.000Z" } as never);
    rmSync(path);
    expect(containers.read(claim.id).state).toEqual({ ...lost, finishedAt: startedAt } as never);
    // It can be started again.
    using again = containers.claim(claim.id);
    again?.markRunning(process.pid);
    expect(containers.read(claim.id).state.status).toBe("running");
    again?.markExited({ exitCode: 3 });
    expect(containers.read(claim.id).state.exitCode).toBe(3);
  });

  test("its last end is known while it runs again", () => {
    using claim = containers.create(newContainer());
    claim.markRunning(process.pid);
    const finishedAt = "2026-03-01T12:30:00.000Z";
    claim.adopt({ ...claim.record, state: { status: "restarting", restartCount: 1, exitCode: 1, finishedAt } });
    claim.markRunning(process.pid);
    expect(containers.read(claim.id).state).toMatchObject({ status: "running", restartCount: 1, finishedAt });
    claim.markExited({ exitCode: 0 });
    expect(containers.read(claim.id).state.finishedAt).not.toBe(finishedAt);
  });

  test("list: the newest first, broken ones are told of", () => {
    using one = containers.create(newContainer());
    using two = containers.create(newContainer());
    containers.write({ ...one.record, created: "2024-01-01T00:00:00.000Z" });
    containers.write({ ...two.record, created: "2025-01-01T00:00:00.000Z" });
    using broken = containers.create(newContainer());
    writeFileSync(`${broken.directory}/container.json`, "{");
    using newer = containers.create(newContainer());
    writeFileSync(`${newer.directory}/container.json`, JSON.stringify({ ...newer.record, version: 2 }));
    const told: unknown[] = [];
    expect(containers.list((_, error) => told.push(error)).map(({ id }) => id)).toEqual([two.id, one.id]);
    expect(told).toEqual([expect.any(InvalidDocumentError), expect.any(InvalidDocumentError)]);
  });
});

describe("resolve", () => {
  const make = (id: string) => {
    mkdirSync(inContainers(id));
    return id;
  };

  test("whole IDs, names and prefixes; a name wins over a prefix", () => {
    const one = make(`abc1${"0".repeat(60)}`);
    const two = make(`abc2${"0".repeat(60)}`);
    symlinkSync(two, inContainers("names/abc1"));
    expect(containers.resolve(one)).toBe(one);
    expect(containers.resolve("abc1")).toBe(two);
    expect(containers.resolve("/abc1")).toBe(two);
    expect(containers.resolve("abc10")).toBe(one);
    expect(() => containers.resolve("abc")).toThrow(UsageError);
    expect(() => containers.resolve("abc")).toThrow(/2 containers have an ID that begins with abc/);
  });

  test.each(["none", "", "..", "active", "../x", "a/b", "0".repeat(64), "f"])("no such container: %j", (reference) => {
    expect(() => containers.resolve(reference)).toThrow(NotFoundError);
  });
});

describe("reconcile", () => {
  const killed: string[] = [];
  const errors: unknown[] = [];
  const told: string[] = [];
  const reconcile = (fail = false) => {
    killed.length = 0;
    told.length = 0;
    errors.length = 0;
    return reconcileContainers({
      containers,
      volumes: VolumeStore.open(directory.path),
      kill: (id) => {
        killed.push(id);
        if (fail) throw new Error("still there");
      },
      onEnd: ({ id }, { exitCode }) => told.push(`end ${id} ${exitCode}`),
      onRemoved: ({ id }) => told.push(`removed ${id}`),
      onError: (_, error) => errors.push(error),
    });
  };

  test("leaves alone what is at rest and what runs", async () => {
    containers.create(newContainer({ name: "resting" }))[Symbol.dispose]();
    using running = containers.create(newContainer({ remove: true }));
    running.markRunning(process.pid);
    expect(await reconcile()).toEqual([]);
    expect(containers.list()).toHaveLength(2);
  });

  test("a container whose gocker died is marked", async () => {
    const claim = containers.create(newContainer());
    claim.markRunning(process.pid);
    claim[Symbol.dispose]();
    expect(await reconcile()).toEqual([claim.id]);
    expect(killed).toEqual([claim.id]);
    expect(containers.read(claim.id).state).toMatchObject({
      status: "exited",
      exitCode: 137,
      error: "gocker was killed",
    });
    expect(told).toEqual([`end ${claim.id} 137`]);
    expect(await reconcile()).toEqual([]);
    expect(told).toEqual([]);
  });

  test("one with --rm is removed, at whatever moment its gocker died", async () => {
    const running = containers.create(newContainer({ remove: true }));
    running.markRunning(process.pid);
    const created = containers.create(newContainer({ remove: true }));
    const exited = containers.create(newContainer({ remove: true }));
    exited.markExited({ exitCode: 0 });
    for (const claim of [running, created, exited]) kill(claim);
    expect((await reconcile()).toSorted()).toEqual([running.id, created.id, exited.id].toSorted());
    const removed = [running, created, exited].map(({ id }) => `removed ${id}`);
    expect(told.toSorted()).toEqual([`end ${running.id} 137`, ...removed].toSorted());
    nothingLeft();
  });

  test("half-made and half-removed ones go", async () => {
    const made = containers.create(newContainer({ name: "made" }));
    kill(made);
    writeFileSync(`${made.directory}/container.json`, "");
    const noDirectory = newContainerId();
    writeFileSync(containers.lockPath(noDirectory), "");
    symlinkSync(noDirectory, inContainers("names/lost"));
    const leaving = containers.create(newContainer({ name: "leaving" }));
    kill(leaving);
    renameSync(leaving.directory, inContainers(`.removing-${leaving.id}`));
    expect(await reconcile()).toHaveLength(3);
    nothingLeft();
  });

  test("a removal that fails is tried again", async () => {
    const claim = containers.create(newContainer({ name: "web" }));
    const removeFiles = spyOn(containers, "removeFiles").mockImplementation(() => {
      throw new Error("busy");
    });
    expect(() => claim.remove()).toThrow("busy");
    claim[Symbol.dispose]();
    removeFiles.mockRestore();
    expect(containers.activeIds()).toEqual([claim.id]);
    // As it is after the first step of a removal.
    renameSync(claim.directory, inContainers(`.removing-${claim.id}`));
    expect(await reconcile()).toEqual([claim.id]);
    nothingLeft();
  });

  test("a created container stays, without what was there already when it was being started", async () => {
    const claim = containers.create(newContainer({ name: "kept" }));
    kill(claim);
    await reconcile();
    expect(killed).toEqual([claim.id]);
    expect(containers.read(containers.resolve("kept")).state.status).toBe("created");
    expect(containers.activeIds()).toEqual([]);
  });

  test("one that ran and has lost its record is ended, and stays", async () => {
    const claim = containers.create(newContainer({ name: "web", remove: true }));
    claim.markRunning(process.pid);
    kill(claim);
    writeFileSync(`${claim.directory}/container.json`, "");
    expect(await reconcile()).toEqual([claim.id]);
    expect(killed).toEqual([claim.id]);
    expect(existsSync(claim.directory)).toBe(true);
    expect(containers.activeIds()).toEqual([]);
    expect(() => containers.read(claim.id)).toThrow(DamagedRecordError);
  });

  test("an end that cannot be written down is told all the same, and tried again", async () => {
    const claim = containers.create(newContainer());
    claim.markRunning(process.pid);
    kill(claim);
    const writeState = spyOn(containers, "writeState").mockImplementation(() => {
      throw new Error("the disk is full");
    });
    expect(await reconcile()).toEqual([]);
    writeState.mockRestore();
    expect(errors).toEqual([new Error("the disk is full")]);
    expect(containers.read(claim.id).state).toMatchObject({ status: "exited", exitCode: 137 });
    expect(ContainerStore.open(directory.path).read(claim.id).state.status).toBe("running");
    // What the disk says from now on counts.
    containers.writeState(claim.id, { status: "exited", exitCode: 3 });
    expect(containers.read(claim.id).state).toEqual({ status: "exited", exitCode: 3 });
    await reconcile();
    expect(containers.activeIds()).toEqual([]);
  });

  test("what cannot be put in order is told and tried again", async () => {
    const claim = containers.create(newContainer({ remove: true }));
    claim.markRunning(process.pid);
    kill(claim);
    const newer = containers.create(newContainer());
    kill(newer);
    writeFileSync(`${newer.directory}/container.json`, JSON.stringify({ version: 2 }));
    expect(await reconcile(true)).toEqual([]);
    expect(errors).toHaveLength(2);
    expect(existsSync(claim.directory)).toBe(true);
    expect(await reconcile()).toEqual([claim.id]);
    // What a newer gocker wrote is not ours to remove.
    expect(existsSync(newer.directory)).toBe(true);
    expect(errors).toEqual([expect.any(InvalidDocumentError)]);
  });
});
