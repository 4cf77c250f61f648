import { describe, expect, test } from "bun:test";
import { hasLabel, parseFilters } from "../../../../src/cli/output/filter.ts";
import { formatList, type ListLayout } from "../../../../src/cli/output/list.ts";
import { formatTable, truncate } from "../../../../src/cli/output/table.ts";
import { formatAgo, formatTime } from "../../../../src/cli/output/when.ts";
import {
  count,
  formatAge,
  formatBinarySize,
  formatDuration,
  formatNanoseconds,
  formatSize,
} from "../../../../src/cli/output/units.ts";

const layout: ListLayout = {
  headings: { ID: "CONTAINER ID", Names: "NAMES", Size: "SIZE" },
  columns: ["ID", "Names"],
};
const records = [
  { ID: "4f5e", Names: "brave_curie", Size: "1kB" },
  { ID: "0123456789ab", Names: "x", Size: "" },
];

describe("lists", () => {
  const formats: [format: string | undefined, text: string][] = [
    [undefined, "CONTAINER ID   NAMES\n4f5e           brave_curie\n0123456789ab   x\n"],
    ["table", "CONTAINER ID   NAMES\n4f5e           brave_curie\n0123456789ab   x\n"],
    ["table {{.Names}}\\t{{.Size}}", "NAMES         SIZE\nbrave_curie   1kB\nx             \n"],
    ["{{.ID}}={{.Size}}", "4f5e=1kB\n0123456789ab=\n"],
    ["json", '{"ID":"4f5e","Names":"brave_curie","Size":"1kB"}\n{"ID":"0123456789ab","Names":"x","Size":""}\n'],
    ["{{json .Names}}", '"brave_curie"\n"x"\n'],
  ];
  test.each(formats)("format %j", (format, text) => {
    expect(formatList(records, layout, format)).toBe(text);
  });

  test("an empty list has its headings, and nothing in other formats", () => {
    expect(formatList([], layout)).toBe("CONTAINER ID   NAMES\n");
    expect(formatList([], layout, "json")).toBe("");
  });

  test("what others wrote cannot move the terminal's cursor", () => {
    expect(formatList([{ ID: "a\u001b[2Jb", Names: "c\nd" }], layout)).toContain("a\\x1b[2Jb      c\\x0ad\n");
  });
});

describe("tables", () => {
  test("columns are at least ten cells wide, and the last one is not filled up", () => {
    expect(
      formatTable([
        ["A", "B"],
        ["x", "y"],
      ]),
    ).toBe("A         B\nx         y\n");
  });
  test("wide characters count twice", () => {
    expect(
      formatTable([
        ["漢字漢字漢字", "B"],
        ["x", "y"],
      ]),
    ).toBe("漢字漢字漢字   B\nx              y\n");
  });
  test("cuts text to its cells", () => {
    expect([truncate("abcdef", 6), truncate("abcdefg", 6), truncate("漢字漢字", 6)]).toEqual([
      "abcdef",
      "abcde…",
      "漢字…",
    ]);
  });
});

test("sizes have Docker's units and three digits", () => {
  const sizes = [0, 999, 1000, 5_823_000, 48_200_000, 999_499, 999_500, 1_234_567_890, 2 ** 50];
  expect(sizes.map((size) => formatSize(size))).toEqual([
    "0B",
    "999B",
    "1kB",
    "5.82MB",
    "48.2MB",
    "999kB",
    "1MB",
    "1.23GB",
    "1.13PB",
  ]);
  expect(formatSize(48_200_000, " ")).toBe("48.2 MB");
});

test("memory has binary units and four digits", () => {
  const sizes = [0, 1023, 1024, 1.5 * 2 ** 20, 8_187_281_408, 1023.96 * 2 ** 20, 2 ** 60];
  const shown = ["0B", "1023B", "1KiB", "1.5MiB", "7.625GiB", "1024MiB", "1024PiB"];
  expect(sizes.map(formatBinarySize)).toEqual(shown);
});

test("ages are told as Docker does", () => {
  const [minute, hour, day] = [60, 3600, 86400];
  const ages: [seconds: number, words: string][] = [
    [0.4, "Less than a second"],
    [1, "1 second"],
    [59.9, "59 seconds"],
    [minute, "About a minute"],
    [2 * minute, "2 minutes"],
    [59 * minute, "59 minutes"],
    [hour, "About an hour"],
    [1.4 * hour, "About an hour"],
    [1.5 * hour, "2 hours"],
    [47 * hour, "47 hours"],
    [2 * day, "2 days"],
    [13 * day, "13 days"],
    [14 * day, "2 weeks"],
    [59 * day, "8 weeks"],
    [60 * day, "2 months"],
    [729 * day, "24 months"],
    [730 * day, "2 years"],
  ];
  expect(ages.map(([seconds]) => formatAge(seconds))).toEqual(ages.map(([, words]) => words));
});

test("times", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  expect(formatTime("2026-03-01T10:30:00.123456789+02:00")).toBe("2026-03-01 08:30:00 +0000 UTC");
  expect(formatAgo("2026-03-01T11:00:00Z", now)).toBe("About an hour ago");
  expect(formatAgo("2026-03-01T13:00:00Z", now)).toBe("Less than a second ago");
  for (const none of [undefined, "", "nonsense", "0001-01-01T00:00:00Z"]) {
    expect([formatTime(none), formatAgo(none, now)]).toEqual(["", "N/A"]);
  }
});

test("durations", () => {
  expect([40, 1940, 9940, 9960, 59_700, 125_000].map(formatDuration)).toEqual([
    "0.0 s",
    "1.9 s",
    "9.9 s",
    "10 s",
    "1 min 0 s",
    "2 min 5 s",
  ]);
  expect([850, 12_340, 1_900_000].map(formatNanoseconds)).toEqual(["850 ns", "12.3 µs", "1.9 ms"]);
  expect([count(1, "layer"), count(0, "layer")]).toEqual(["1 layer", "0 layers"]);
});

describe("filters", () => {
  const tests = {
    name: (item: { name: string; labels: Record<string, string> }, value: string) => item.name.includes(value),
    label: (item: { name: string; labels: Record<string, string> }, value: string) => hasLabel(item.labels, value),
  };
  const item = { name: "web", labels: { a: "1", b: "" } };
  const cases: [filters: string[], holds: boolean][] = [
    [[], true],
    [["name=we"], true],
    [["name=x"], false],
    [["name=x", "name=w"], true],
    [["name=w", "label=a"], true],
    [["label=a", "label=c"], false],
    [["label=a=1"], true],
    [["label=a=2"], false],
    [["label=b="], true],
    [["label=toString"], false],
  ];
  test.each(cases)("%j", (filters, holds) => {
    expect(parseFilters(filters, tests)(item)).toBe(holds);
  });
  test("refuses what is not one", () => {
    expect(() => parseFilters(["name"], tests)).toThrow("it is not of the form KEY=VALUE");
    expect(() => parseFilters(["nmae=x"], tests)).toThrow('there is no filter "nmae"');
    expect(() => parseFilters(["toString=x"], tests)).toThrow("there is no filter");
  });
});
