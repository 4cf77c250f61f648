import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { recordEvent } from "../../../src/engine/record-event.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const event = { type: "volume", action: "create", id: "data", attributes: {} } as const;

test("writes the event", () => {
  using state = new TemporaryDirectory("events");
  const told: string[] = [];
  recordEvent({ state: state.path, debug: (line) => told.push(line) }, event);
  expect(readFileSync(`${state.path}/events.jsonl`, "utf8")).toContain('"Action":"create"');
  expect(told).toEqual([]);
});

test("only the debug log tells of one that cannot be written", () => {
  using state = new TemporaryDirectory("events");
  mkdirSync(`${state.path}/events.jsonl`);
  const told: string[] = [];
  recordEvent({ state: state.path, debug: (line) => told.push(line) }, event);
  expect(told).toEqual([expect.stringMatching(/^the event volume create is lost: .*EISDIR/)]);
  expect(() => recordEvent({ state: `${state.path}/none`, debug: undefined }, event)).not.toThrow();
});
