import { expect, test } from "bun:test";
import { formatNanosecondTime } from "../../../../src/cli/output/when.ts";

test("a time with all its nanoseconds reads back as the same time", () => {
  const text = formatNanosecondTime(1_772_368_200_000_000_123n);
  expect(text).toMatch(/^2026-03-01T\d\d:30:00\.000000123(?:Z|[+-]\d\d:\d\d)$/);
  expect(Date.parse(text)).toBe(1_772_368_200_000);
});

test.each([
  ["UTC", "2026-03-01T12:30:00.000000000Z"],
  ["Asia/Kathmandu", "2026-03-01T18:15:00.000000000+05:45"],
  ["America/St_Johns", "2026-03-01T09:00:00.000000000-03:30"],
])("in %s", (zone, expected) => {
  const module = JSON.stringify(`${import.meta.dir}/../../../../src/cli/output/when.ts`);
  const script = `import { formatNanosecondTime as f } from ${module}; console.log(f(1772368200000000000n));`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script], { env: { TZ: zone } });
  expect(stdout.toString()).toBe(`${expected}\n`);
});
