import { expect, test } from "bun:test";
import { LogLines } from "../../../../src/cli/output/log-lines.ts";
import type { LogRecord } from "../../../../src/container/logs/log-record.ts";

const record = (stream: "stdout" | "stderr", text: string, change: Partial<LogRecord> = {}): LogRecord => ({
  stream,
  time: "2026-03-01T12:30:00.5Z",
  text: Buffer.from(text),
  attributes: {},
  ...change,
});

/** What is shown of parts of a log. */
function show(options: { timestamps?: boolean; details?: boolean }, ...parts: LogRecord[][]): string[] {
  const lines = new LogLines({ timestamps: false, details: false, ...options });
  const outputs = parts.flatMap((records) => [...lines.format(records)]);
  return outputs.map(({ stream, bytes }) => `${stream}: ${Buffer.from(bytes).toString()}`);
}

test("what follows each other on one stream is one output", () => {
  const records = [record("stdout", "1\n"), record("stdout", "2\n"), record("stderr", "3\n"), record("stdout", "4\n")];
  expect(show({}, records)).toEqual(["stdout: 1\n2\n", "stderr: 3\n", "stdout: 4\n"]);
  expect(show({}, [])).toEqual([]);
});

test("times have all digits, are in UTC, and stand at the beginnings of lines only", () => {
  const records = [
    record("stdout", "a"),
    record("stderr", "b\n", { time: "2026-03-01T13:30:00+01:00" }),
    record("stdout", "c\n", { time: "2026-03-01T12:30:09Z" }),
  ];
  expect(show({ timestamps: true }, records, [record("stdout", "d\n", { time: "no time" })])).toEqual([
    "stdout: 2026-03-01T12:30:00.500000000Z a",
    "stderr: 2026-03-01T12:30:00.000000000Z b\n",
    "stdout: c\n",
    "stdout: no time d\n",
  ]);
});

test("details are sorted, and nothing in them can be mistaken for their form", () => {
  const attributes = { b: "x,y=z", a: "\u00e9 \n" };
  expect(show({ details: true }, [record("stdout", "1\n", { attributes })])).toEqual([
    "stdout: a=%C3%A9+%0A,b=x%2Cy%3Dz 1\n",
  ]);
  expect(show({ details: true }, [record("stdout", "1\n")])).toEqual(["stdout:  1\n"]);
});
