import { describe, expect, test } from "bun:test";
import { parseTraffic, usageOf } from "../../../src/engine/usage.ts";
import type { CgroupStatistics } from "../../../src/runtime/cgroup/statistics/types.ts";

const entry = { limit: 0, usage: 0, max: 0, failcnt: 0 };

function statistics(memory: Partial<CgroupStatistics["memory"]>, change: Partial<CgroupStatistics> = {}) {
  return {
    cpu: {
      usage: { total: 2_500_000, kernel: 0, user: 0 },
      throttling: { periods: 0, throttledPeriods: 0, throttledTime: 0 },
    },
    memory: { cache: 0, usage: entry, swap: entry, kernel: entry, kernelTCP: entry, raw: {}, ...memory },
    pids: { current: 3, limit: 0 },
    blkio: {},
    ...change,
  } as CgroupStatistics;
}

const machine = 8_000_000;
const memoryOf = (usage: number, raw: Record<string, number>) =>
  usageOf(statistics({ usage: { ...entry, usage }, raw }), machine).memory;

describe("usageOf", () => {
  test("memory is without files that nobody has used for long, as Docker has it", () => {
    expect(memoryOf(1000, { inactive_file: 300 })).toBe(700);
    expect(memoryOf(1000, { inactive_file: 1, total_inactive_file: 400 })).toBe(600);
    expect(memoryOf(1000, { inactive_file: 1000 })).toBe(1000);
    expect(memoryOf(1000, {})).toBe(1000);
  });

  test.each<[number | bigint, number]>([
    [4_000_000, 4_000_000],
    [0, machine],
    [9223372036854771712n, machine],
    [0xffff_ffff_ffff_ffffn, machine],
  ])("the limit %p of a container is %p", (limit, expected) => {
    expect(usageOf(statistics({ usage: { ...entry, limit } }), machine).memoryLimit).toBe(expected);
  });

  test("the rest", () => {
    const blkio = {
      ioServiceBytesRecursive: [
        { major: 8, minor: 0, op: "Read", value: 10 },
        { major: 8, minor: 0, op: "Write", value: 20 },
        { major: 8, minor: 16, op: "read", value: 5 },
        { major: 8, minor: 16, op: "Total", value: 99 },
      ],
    };
    expect(usageOf(statistics({}, { blkio }), machine)).toEqual({
      processorTime: 2.5,
      memory: 0,
      memoryLimit: machine,
      read: 15,
      written: 20,
      processes: 3,
    });
    expect(usageOf(statistics({}), machine)).toMatchObject({ read: 0, written: 0 });
  });
});

test("parseTraffic counts all interfaces but lo", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     777       7    0    0    0     0          0         0      777       7    0    0    0     0       0          0
  eth0:12345678      90    0    0    0     0          0         0      111       2    0    0    0     0       0          0
  eth1:       2       1    0    0    0     0          0         0        3       1    0    0    0     0       0          0
`;
  expect(parseTraffic(text)).toEqual({ received: 12_345_680, sent: 114 });
  expect(parseTraffic("")).toEqual({ received: 0, sent: 0 });
});
