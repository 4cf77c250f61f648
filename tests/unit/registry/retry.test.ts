import { describe, expect, test } from "bun:test";
import { RegistryError } from "../../../src/registry/errors.ts";
import { describeRateLimit, readRateLimit } from "../../../src/registry/rate-limit.ts";
import { defaultRetryPolicy, parseRetryAfter, retryDelay, withRetries } from "../../../src/registry/retry.ts";

const now = Date.parse("2026-01-01T00:00:00Z");
const failure = (options: { retryable?: boolean; retryAfter?: number } = {}) =>
  new RegistryError("server-error", "it failed", { registry: "x", retryable: true, ...options });

describe("parseRetryAfter", () => {
  test.each([
    ["120", 120_000],
    ["0", 0],
    ["1.5", 1500],
    ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
    ["Wed, 31 Dec 2025 23:59:00 GMT", 0],
    ["985.86µs", 0.98586],
    ["985.86Âµs", 0.98586],
    ["1m30s", 90_000],
    ["2h0m0.5s", 7_200_500],
    ["250ms", 250],
    [" 3 ", 3000],
  ])("%p is %d ms", (header, milliseconds) => {
    expect(parseRetryAfter(header, now)).toBeCloseTo(milliseconds, 6);
  });

  test.each([null, "", "soon", "-5", "12 parsecs", "5x"])("%p says nothing", (header) => {
    expect(parseRetryAfter(header, now)).toBeUndefined();
  });

  test("an answer's µ comes through fetch", async () => {
    // The bytes of UTF-8, as a Go server writes them.
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          socket.end("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 985.86µs\r\nContent-Length: 0\r\n\r\n");
        },
      },
    });
    try {
      const { headers } = await fetch(`http://127.0.0.1:${server.port}/`);
      expect(parseRetryAfter(headers.get("retry-after"))).toBeCloseTo(0.98586, 6);
    } finally {
      server.stop(true);
    }
  });
});

describe("retryDelay", () => {
  test("doubles, with jitter of a half, up to the longest", () => {
    const delays = (random: number) =>
      [1, 2, 3, 4].map((attempt) => retryDelay(failure(), attempt, undefined, () => random));
    expect(delays(1)).toEqual([400, 800, 1600, 3200]);
    expect(delays(0)).toEqual([200, 400, 800, 1600]);
    expect(retryDelay(failure(), 9, { ...defaultRetryPolicy, attempts: 10 }, () => 1)).toBe(10_000);
  });

  test("ends", () => {
    expect(retryDelay(failure(), 5)).toBeUndefined();
    expect(retryDelay(failure({ retryable: false }), 1)).toBeUndefined();
    expect(retryDelay(new Error("no"), 1)).toBeUndefined();
    const refused = new RegistryError("refused-connection", "no", { registry: "x", retryable: true });
    expect(retryDelay(refused, 2)).toBeNumber();
    expect(retryDelay(refused, 3)).toBeUndefined();
  });

  test("is as long as the registry wants, unless that is too long", () => {
    expect(retryDelay(failure({ retryAfter: 5000 }), 1)).toBeGreaterThanOrEqual(5000);
    expect(retryDelay(failure({ retryAfter: 5000 }), 1)).toBeLessThan(6000);
    expect(retryDelay(failure({ retryAfter: 0.9 }), 1)).toBeGreaterThanOrEqual(200);
    expect(retryDelay(failure({ retryAfter: 61_000 }), 1)).toBeUndefined();
  });
});

describe("withRetries", () => {
  const policy = { ...defaultRetryPolicy, firstDelay: 1 };

  test("tries until it succeeds", async () => {
    const seen: number[] = [];
    const result = await withRetries(
      async (attempt) => {
        if (attempt < 3) throw failure();
        return attempt;
      },
      { policy, onRetry: (_, delay) => seen.push(delay) },
    );
    expect([result, seen.length]).toEqual([3, 2]);
  });

  test("throws the last error", async () => {
    let tries = 0;
    const tried = withRetries(
      () => {
        tries++;
        throw failure();
      },
      { policy },
    );
    await expect(tried).rejects.toThrow("it failed");
    await tried.catch(() => {});
    expect(tries).toBe(policy.attempts);
  });

  test("an abort ends the wait", async () => {
    const controller = new AbortController();
    const patient = { ...policy, firstDelay: 3_600_000, longestDelay: 3_600_000 };
    const tried = withRetries(() => Promise.reject(failure()), {
      policy: patient,
      signal: controller.signal,
      onRetry: () => queueMicrotask(() => controller.abort(new Error("enough"))),
    });
    await expect(tried).rejects.toThrow("enough");
    await tried.catch(() => {});
  });
});

describe("readRateLimit", () => {
  test("Docker Hub", () => {
    const limit = readRateLimit(
      new Headers({
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "0;w=21600",
        "docker-ratelimit-source": "2001:41d0:801:2000::",
      }),
      now,
    );
    expect(limit).toMatchObject({ limit: 100, remaining: 0, window: 21600, source: "2001:41d0:801:2000::" });
    expect(limit.resetAt).toBeUndefined();
    expect(describeRateLimit(limit)).toBe("100 requests in 6 hours for 2001:41d0:801:2000::");
  });

  test.each([
    [{ "retry-after": "60" }, "2026-01-01T00:01:00.000Z"],
    [{ "x-ratelimit-reset": "1767225660" }, "2026-01-01T00:01:00.000Z"],
    [{ "ratelimit-reset": "60" }, "2026-01-01T00:01:00.000Z"],
    [{ "x-retry-after": "1767225660", "retry-after": "5" }, "2026-01-01T00:00:05.000Z"],
    [{ "retry-after": "985.86µs" }, undefined],
    [{}, undefined],
  ])("%j ends at %s", (headers, at) => {
    expect(readRateLimit(new Headers(headers as Record<string, string>), now).resetAt?.toISOString()).toBe(at as never);
  });

  test("tells nothing that a header smuggles", () => {
    const headers = new Headers({ "ratelimit-limit": "5;w=60", "docker-ratelimit-source": "a b" });
    expect(describeRateLimit(readRateLimit(headers, now))).toBe("5 requests in a minute");
    expect(describeRateLimit(readRateLimit(new Headers(), now))).toBeUndefined();
  });
});
