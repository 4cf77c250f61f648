import { describe, expect, test } from "bun:test";
import { Impatience, shortTime } from "../../../src/container/impatience.ts";

/** What comes of requests at these times. */
function noted(...times: number[]): boolean[] {
  const impatience = new Impatience();
  return times.map((time) => impatience.note(time));
}

describe("impatience", () => {
  test("is the third request within a short time", () => {
    expect(noted(0, 100, 200)).toEqual([false, false, true]);
    expect(noted(5_000, 5_500, 5_000 + shortTime - 1)).toEqual([false, false, true]);
  });

  test("is not what comes again and again, far apart", () => {
    const times = Array.from({ length: 20 }, (_, index) => (index * shortTime) / 2);
    expect(noted(...times)).toEqual(times.map(() => false));
  });

  test("forgets what was long ago", () => {
    expect(noted(0, 10, 60_000, 60_100, 60_200)).toEqual([false, false, false, false, true]);
  });

  test("goes on as long as requests do", () => {
    expect(noted(0, 1, 2, 3)).toEqual([false, false, true, true]);
  });
});
