import { describe, expect, test } from "bun:test";
import { checkHealthcheck, type Healthcheck, mergeHealthcheck, probeOf } from "../../../src/container/healthcheck.ts";
import { UsageError } from "../../../src/util/errors.ts";

const image = {
  Healthcheck: { Test: ["CMD", "curl", "localhost"], Interval: 5e9, Timeout: 1e9, Retries: 7 },
  Shell: ["/bin/bash", "-c"],
};

describe("what the record says", () => {
  test("nothing of nothing", () => {
    expect(mergeHealthcheck(undefined, undefined)).toBeUndefined();
    expect(mergeHealthcheck(undefined, {})).toBeUndefined();
    expect(mergeHealthcheck({}, { Healthcheck: {} })).toBeUndefined();
  });

  test("the image's, when the user says nothing", () => {
    expect(mergeHealthcheck(undefined, image)).toEqual({
      test: ["CMD", "curl", "localhost"],
      interval: 5e9,
      timeout: 1e9,
      retries: 7,
    });
  });

  test("each of the user's wishes stands for itself; zero and an empty test are none", () => {
    const user: Healthcheck = { test: [], interval: 9e9, timeout: 0, startPeriod: 2e9, startInterval: 1e9 };
    expect(mergeHealthcheck(user, image)).toEqual({
      test: ["CMD", "curl", "localhost"],
      interval: 9e9,
      timeout: 1e9,
      startPeriod: 2e9,
      startInterval: 1e9,
      retries: 7,
    });
  });

  test("a line for the shell keeps the image's shell", () => {
    const merged = mergeHealthcheck({ test: ["CMD-SHELL", "true"] }, image);
    expect(merged).toMatchObject({ test: ["CMD-SHELL", "true"], shell: ["/bin/bash", "-c"], interval: 5e9 });
    expect(mergeHealthcheck({ test: ["CMD", "true"] }, image)).not.toHaveProperty("shell");
  });

  test("NONE takes the image's away, and leaves it to be seen", () => {
    expect(mergeHealthcheck({ test: ["NONE"] }, image)).toMatchObject({ test: ["NONE"] });
  });

  test("what makes no sense in an image counts as nothing", () => {
    const odd = { Healthcheck: { Test: ["CMD", "x"], Interval: -5, Retries: -1, StartInterval: 3e9 } };
    expect(mergeHealthcheck(undefined, odd)).toEqual({ test: ["CMD", "x"], startInterval: 3e9 });
  });
});

describe("what is to be done", () => {
  test("Docker's defaults", () => {
    expect(probeOf({ test: ["CMD", "curl", "-f", "x"] })).toEqual({
      args: ["curl", "-f", "x"],
      interval: 30e9,
      timeout: 30e9,
      startPeriod: 0,
      startInterval: 5e9,
      retries: 3,
    });
  });

  test("a line goes to the shell", () => {
    expect(probeOf({ test: ["CMD-SHELL", "a || b"], retries: 1 })).toMatchObject({
      args: ["/bin/sh", "-c", "a || b"],
      retries: 1,
    });
    expect(probeOf({ test: ["CMD-SHELL", "a"], shell: ["/bin/bash", "-ec"] })?.args).toEqual(["/bin/bash", "-ec", "a"]);
    expect(probeOf({ test: ["CMD-SHELL", "a"], shell: ["/bin/bash", "-ec"] })).not.toHaveProperty("shell");
  });

  test.each([undefined, {}, { test: [] }, { test: ["NONE"] }, { test: ["CMD"] }, { test: ["HTTP", "x"] }])(
    "nothing for %j",
    (healthcheck) => {
      expect(probeOf(healthcheck)).toBeUndefined();
    },
  );
});

test.each([
  ["--health-interval", { interval: 999_999 }],
  ["--health-timeout", { timeout: 1 }],
  ["--health-start-period", { startPeriod: 10 }],
  ["--health-start-interval", { startInterval: 10 }],
])("%s of less than a millisecond is refused", (flag, healthcheck) => {
  expect(() => checkHealthcheck(healthcheck)).toThrow(UsageError);
  expect(() => checkHealthcheck(healthcheck)).toThrow(`${flag} cannot be less than 1ms`);
});

test("zero and a millisecond are taken", () => {
  expect(() => checkHealthcheck({ interval: 0, timeout: 1e6, retries: 0 })).not.toThrow();
});
