import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, renameSync } from "node:fs";
import { type EventRange, followEvents, type LoggedEvent } from "../../../src/container/event-log.ts";
import { appendEvent, eventLogPaths } from "../../../src/container/events.ts";
import { nanosecondsNow } from "../../../src/linux/clock.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let state: TemporaryDirectory;
beforeEach(() => void (state = new TemporaryDirectory("events")));
afterEach(() => state[Symbol.dispose]());

const happen = (action: string) => appendEvent(state.path, { type: "volume", action, id: "data", attributes: {} });
const past = (): EventRange => ({ until: nanosecondsNow() });

async function actions(range: EventRange): Promise<string[]> {
  const found: string[] = [];
  for await (const { Action } of followEvents(state.path, range)) found.push(Action);
  return found;
}

/** Follows with a hand on each step. */
function follow(range: EventRange) {
  const events = followEvents(state.path, range);
  const next = async () => ((await events.next()).value as LoggedEvent).Action;
  return { next, [Symbol.asyncDispose]: async () => void (await events.return(undefined)) };
}

describe("what was before", () => {
  test("nothing, when nothing has ever happened", async () => {
    expect(await actions(past())).toEqual([]);
  });

  test("up to a time, and from a time on, both included", async () => {
    for (const action of ["first", "second", "third"]) happen(action);
    const events: LoggedEvent[] = [];
    for await (const event of followEvents(state.path, past())) events.push(event);
    expect(events.map(({ Action }) => Action)).toEqual(["first", "second", "third"]);
    const since = events[1]!.timeNano;
    expect(await actions({ since, until: nanosecondsNow() })).toEqual(["second", "third"]);
    expect(await actions({ until: since })).toEqual(["first", "second"]);
  });

  test("an event as Docker tells it, with all the digits of its time", async () => {
    happen("create");
    const text = readFileSync(eventLogPaths(state.path).current, "utf8");
    for await (const event of followEvents(state.path, past())) {
      expect(event).toMatchObject({ Type: "volume", Action: "create", Actor: { ID: "data", Attributes: {} } });
      expect(text).toContain(`"timeNano":${event.timeNano}}`);
    }
  });

  test("in the log that was put aside, too", async () => {
    happen("first");
    const { current, previous } = eventLogPaths(state.path);
    renameSync(current, previous);
    expect(await actions(past())).toEqual(["first"]);
    happen("second");
    expect(await actions(past())).toEqual(["first", "second"]);
  });

  test("what is no event is left out", async () => {
    happen("first");
    appendFileSync(eventLogPaths(state.path).current, '{"status":"cre\n[]\n{}\n\n');
    happen("second");
    expect(await actions(past())).toEqual(["first", "second"]);
  });
});

describe("what is to come", () => {
  test("only that, without a time", async () => {
    happen("before");
    await using following = follow({});
    const next = following.next();
    happen("after");
    expect(await next).toBe("after");
  });

  test("from the first event of all", async () => {
    await using following = follow({});
    const next = following.next();
    happen("first");
    expect(await next).toBe("first");
  });

  test("across the log's being put aside, however often", async () => {
    await using following = follow({ since: 0n });
    const { current, previous } = eventLogPaths(state.path);
    happen("1");
    expect(await following.next()).toBe("1");
    happen("2");
    renameSync(current, previous);
    expect(await following.next()).toBe("2");
    happen("3");
    expect(await following.next()).toBe("3");
    happen("4");
    renameSync(current, previous);
    happen("5");
    renameSync(current, previous);
    happen("6");
    // The file that was open is complete, and the one between it and the last is still there.
    for (const action of ["4", "5", "6"]) expect(await following.next()).toBe(action);
    expect(existsSync(current)).toBe(true);
  });

  test("until a time", async () => {
    const range = { since: nanosecondsNow(), until: nanosecondsNow() + 200_000_000n };
    const found = actions(range);
    happen("in time");
    expect(await found).toEqual(["in time"]);
    expect(nanosecondsNow()).toBeGreaterThanOrEqual(range.until);
  });

  test("many at once, by several processes", async () => {
    const script = `
      import { appendEvent } from ${JSON.stringify(`${import.meta.dir}/../../../src/container/events.ts`)};
      for (let i = 0; i < 200; i++) {
        appendEvent(process.argv[1], { type: "volume", action: String(i), id: process.argv[2], attributes: {} });
      }`;
    const writers = ["a", "b", "c"].map((id) => Bun.spawn([process.execPath, "-e", script, state.path, id]));
    const seen = new Map<string, number[]>();
    let count = 0;
    for await (const { Action, Actor } of followEvents(state.path, { since: 0n })) {
      seen.set(Actor.ID, [...(seen.get(Actor.ID) ?? []), Number(Action)]);
      if (++count === 600) break;
    }
    const inOrder = Array.from({ length: 200 }, (_, index) => index);
    expect([...seen.values()]).toEqual([inOrder, inOrder, inOrder]);
    for (const writer of writers) expect(await writer.exited).toBe(0);
  });
});
