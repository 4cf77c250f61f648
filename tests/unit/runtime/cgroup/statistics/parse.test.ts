import { expect, test } from "bun:test";
import {
  parseBlockIo,
  parseCount,
  parseIoStat,
  parseKeyed,
  parseNumberList,
  parsePressure,
} from "../../../../../src/runtime/cgroup/statistics/parse.ts";
import { hugePageName } from "../../../../../src/runtime/cgroup/statistics/statistics.ts";
import { stringifyExact } from "../../../../../src/util/exact-json.ts";

test.each<[string, number | bigint]>([
  ["0", 0],
  ["9007199254740991", 9007199254740991],
  ["9223372036854771712", 9223372036854771712n],
  ["max", 18446744073709551615n],
  ["-4096", 0],
])("the count %s", (text, count) => {
  expect(parseCount(text)).toBe(count);
});

test("counts that a number cannot hold stay what they are in JSON", () => {
  expect(stringifyExact({ a: 18446744073709551615n, b: 1, c: ["x"], d: undefined })).toBe(
    '{"a":18446744073709551615,"b":1,"c":["x"]}',
  );
});

test("lines of a key and a count", () => {
  expect(parseKeyed("cache 4096\nrss 0\n\nhierarchical_memory_limit 9223372036854771712\n")).toEqual({
    cache: 4096,
    rss: 0,
    hierarchical_memory_limit: 9223372036854771712n,
  });
});

test("lists of numbers", () => {
  expect(parseNumberList("0-2,5,7-8")).toEqual([0, 1, 2, 5, 7, 8]);
  expect(parseNumberList("")).toEqual([]);
});

test("block devices of version 1", () => {
  expect(parseBlockIo("8:0 Read 1282048\n8:0 Total 1282048\n253:1 7\nTotal 1282048\n")).toEqual([
    { major: 8, minor: 0, op: "Read", value: 1282048 },
    { major: 8, minor: 0, op: "Total", value: 1282048 },
    { major: 253, minor: 1, op: "", value: 7 },
  ]);
});

test("block devices of version 2, whose counts beside those four are no statistics of version 1", () => {
  const text =
    "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=5 dios=6 cost.usage=7\n8:0 \n(unknown) rios=1\n";
  expect(parseIoStat(text)).toEqual({
    bytes: [
      { major: 8, minor: 16, op: "Read", value: 1459200 },
      { major: 8, minor: 16, op: "Write", value: 314773504 },
    ],
    operations: [
      { major: 8, minor: 16, op: "Read", value: 192 },
      { major: 8, minor: 16, op: "Write", value: 353 },
    ],
  });
});

test("pressure, also of kernels that have none for all processes", () => {
  expect(parsePressure("some avg10=1.50 avg60=0.25 avg300=0.00 total=123456\n")).toEqual({
    some: { avg10: 1.5, avg60: 0.25, avg300: 0, total: 123456 },
    full: { avg10: 0, avg60: 0, avg300: 0, total: 0 },
  });
});

test("sizes of huge pages as the kernel names them", () => {
  expect([64, 2048, 32768, 1048576, 16777216].map(hugePageName)).toEqual(["64KB", "2MB", "32MB", "1GB", "16GB"]);
});
