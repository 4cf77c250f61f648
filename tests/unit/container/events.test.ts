import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync } from "node:fs";
import { appendEvent, containerEvent, eventLogPaths, formatEvent, putAside } from "../../../src/container/events.ts";
import { FileLock } from "../../../src/linux/lock.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let state: TemporaryDirectory;
beforeEach(() => void (state = new TemporaryDirectory("events")));
afterEach(() => state[Symbol.dispose]());

const volume = { type: "volume", action: "create", id: "data", attributes: { driver: "local" } } as const;
const lines = (path: string) => readFileSync(path, "utf8").split("\n");

describe("formatEvent", () => {
  test("of a container is Docker's, with the fields of old", () => {
    const record = {
      id: "f".repeat(64),
      name: "web",
      image: { reference: "alpine:3.19", id: "sha256:0" },
      labels: { tier: "front", name: "a label does not hide the name" },
    };
    const event = containerEvent(record, "die", { exitCode: "3" });
    expect(formatEvent(event, 1_700_000_000_123_456_789n)).toBe(
      `{"status":"die","id":"${record.id}","from":"alpine:3.19","Type":"container","Action":"die",` +
        `"Actor":{"ID":"${record.id}","Attributes":{"tier":"front","name":"web","exitCode":"3","image":"alpine:3.19"}},` +
        `"scope":"local","time":1700000000,"timeNano":1700000000123456789}`,
    );
  });

  test("images have no `from`, and others none of the old fields", () => {
    const image = { type: "image", action: "pull", id: "alpine", attributes: { name: "alpine" } } as const;
    expect(Object.keys(JSON.parse(formatEvent(image, 0n)) as object)).toEqual([
      "status",
      "id",
      "Type",
      "Action",
      "Actor",
      "scope",
      "time",
      "timeNano",
    ]);
    expect(Object.keys(JSON.parse(formatEvent(volume, 0n)) as object)[0]).toBe("Type");
  });
});

describe("appendEvent", () => {
  test("adds a line with the time of now", () => {
    const before = Date.now();
    appendEvent(state.path, volume);
    appendEvent(state.path, { ...volume, action: "destroy" });
    const { current } = eventLogPaths(state.path);
    const [first = "", second = "", end] = lines(current);
    expect(end).toBe("");
    const { timeNano, time } = JSON.parse(first) as { timeNano: number; time: number };
    expect(timeNano / 1e6).toBeGreaterThanOrEqual(before - 1);
    expect(timeNano / 1e6).toBeLessThanOrEqual(Date.now() + 1);
    expect(time).toBe(Math.floor(timeNano / 1e9));
    expect(JSON.parse(second)).toMatchObject({ Action: "destroy" });
    expect(statSync(current).mode & 0o777).toBe(0o600);
  });

  test("a line that was cut off spoils no other", () => {
    appendEvent(state.path, volume);
    const { current } = eventLogPaths(state.path);
    truncateSync(current, statSync(current).size - 9);
    appendEvent(state.path, { ...volume, action: "destroy" });
    expect(JSON.parse(lines(current)[1] ?? "")).toMatchObject({ Action: "destroy" });
  });

  test("a large log is put aside, in place of the one before", () => {
    const { current, previous } = eventLogPaths(state.path);
    appendEvent(state.path, volume);
    appendFileSync(current, `${" ".repeat(4 << 20)}\n`);
    appendEvent(state.path, { ...volume, action: "last" });
    expect(existsSync(current)).toBe(false);
    expect(lines(previous).at(-2)).toContain('"last"');
    appendEvent(state.path, { ...volume, action: "next" });
    expect(lines(current)).toHaveLength(2);
  });

  test("it is not put aside while somebody appends", () => {
    const { current } = eventLogPaths(state.path);
    appendEvent(state.path, volume);
    {
      using _writer = FileLock.tryAcquire(current, "shared");
      putAside(state.path, 1);
      expect(existsSync(current)).toBe(true);
      appendEvent(state.path, volume);
    }
    putAside(state.path, 1);
    expect(existsSync(current)).toBe(false);
  });
});
