import { expect, test } from "bun:test";
import type { IdRange } from "../../../src/linux/user-namespace.ts";
import { mappingWay } from "../../../src/runtime/id-mapping.ts";

const caller = { uid: 1000, gid: 100 };
const only = (hostID: number, more: Partial<IdRange> = {}) => [{ containerID: 0, hostID, size: 1, ...more }];

test("root maps everything itself", () => {
  const range = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  expect(mappingWay({ uids: range, gids: range }, { uid: 0, gid: 0 })).toBe("itself");
});

test("a user maps itself, and takes helpers for all else", () => {
  expect(mappingWay({ uids: only(1000), gids: only(100) }, caller)).toBe("itself without setgroups");
  expect(mappingWay({ uids: only(1000, { containerID: 5 }), gids: only(100) }, caller)).toBe(
    "itself without setgroups",
  );
  for (const [uids, gids] of [
    [only(1001), only(100)],
    [only(1000), only(0)],
    [only(1000, { size: 2 }), only(100)],
    [[...only(1000), { containerID: 1, hostID: 100_000, size: 10 }], only(100)],
  ] as const) {
    expect(mappingWay({ uids, gids }, caller)).toBe("helpers");
  }
});
