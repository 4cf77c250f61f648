import { describe, expect, test } from "bun:test";
import type { EventType } from "../../../../src/container/events.ts";
import { eventFilters } from "../../../../src/cli/output/event-filter.ts";
import { parseFilters } from "../../../../src/cli/output/filter.ts";

const event = (Type: EventType, Action: string, ID: string, Attributes: Record<string, string>) => ({
  Type,
  Action,
  Actor: { ID, Attributes },
  scope: "local",
  time: 0,
  timeNano: 0n,
});

const events = {
  start: event("container", "start", "c0ffee", { name: "web", image: "alpine:3.19", tier: "front" }),
  exec: event("container", "exec_create: sh -c true", "c0ffee", { name: "web", image: "alpine:3.19" }),
  pull: event("image", "pull", "alpine:3.19", { name: "alpine" }),
  other: event("image", "pull", "registry.test:5000/app", { name: "registry.test:5000/app" }),
  volume: event("volume", "create", "data", { driver: "local" }),
};

describe("filters of events", () => {
  test.each([
    [["container=web"], ["start", "exec"]],
    [["container=c0ff"], ["start", "exec"]],
    [["container=eb"], []],
    [["event=exec_create"], ["exec"]],
    [["event=exec_create: sh -c true"], ["exec"]],
    [["event=exec"], []],
    [
      ["event=start", "event=pull"],
      ["start", "pull", "other"],
    ],
    [["event=start", "type=image"], []],
    [["image=alpine"], ["start", "exec", "pull"]],
    [["image=alpine:3.19"], ["start", "exec", "pull"]],
    [["image=registry.test:5000/app"], ["other"]],
    [["image=registry.test"], []],
    [["type=volume"], ["volume"]],
    [["volume=data"], ["volume"]],
    [["volume=dat"], []],
    [["label=tier"], ["start"]],
    [["label=tier=back"], []],
    [["scope=local", "type=volume"], ["volume"]],
  ])("%j", (texts, expected) => {
    const filter = parseFilters(texts, eventFilters);
    const found = Object.entries(events).filter(([, one]) => filter(one));
    expect(found.map(([name]) => name)).toEqual(expected);
  });
});
