import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { gunzipSync } from "node:zlib";
import { readLog } from "../../../../src/container/logs/read-log.ts";
import type { LogConfiguration } from "../../../../src/container/record.ts";
import { LogDirectory, logFacts, textOf } from "../../../helpers/logs.ts";
import { patience } from "../../../helpers/patience.ts";
import { until } from "../../../helpers/until.ts";

let directory: LogDirectory;
beforeEach(() => {
  directory = new LogDirectory();
});
afterEach(() => directory[Symbol.dispose]());

const now = Date.UTC(2026, 2, 1, 12, 30);
const log = () => `${logFacts().id}-json.log`;
const names = () => readdirSync(directory.path).sort();
const jsonFile = (options: Record<string, string>): LogConfiguration => ({ driver: "json-file", options });
/** Lines with these numbers, each with a record of {@link recordLength}. */
const lines = (from: number, to: number) => {
  let text = "";
  for (let number = from; number <= to; number++) text += `${String(number).padStart(26, "0")}\n`;
  return text;
};
const recordLength = 87;

test("the record has the length that the tests count with", async () => {
  using writer = await directory.open();
  writer.write("stdout", Buffer.from(lines(1, 1)), now);
  expect(statSync(directory.jsonFile).size).toBe(recordLength);
});

test("a file that is full is put aside when the next line comes, and the oldest is dropped", async () => {
  const configuration = jsonFile({ "max-size": "174", "max-file": "3" });
  using writer = await directory.open(configuration);
  const step = (number: number) => writer.write("stdout", Buffer.from(lines(number, number)), now);
  step(1);
  step(2);
  expect(names()).toEqual([log()]);
  step(3);
  expect(names()).toEqual([log(), `${log()}.1`]);
  writer.write("stdout", Buffer.from(lines(4, 7)), now);
  expect(names()).toEqual([log(), `${log()}.1`, `${log()}.2`]);
  expect(await textOf(readLog(directory.path, configuration))).toEqual({ stdout: lines(3, 7), stderr: "" });
  expect(names().map((name) => statSync(`${directory.path}/${name}`).size)).toEqual([87, 174, 174]);
});

test.each(["true", "false"])(
  "how many files a log may have costs nothing while they are not there (compress=%s)",
  async (compress) => {
    const configuration = jsonFile({ "max-size": "174", "max-file": "900000", compress });
    using writer = await directory.open(configuration);
    const start = performance.now();
    writer.write("stdout", Buffer.from(lines(1, 21)), now);
    writer.flush();
    // It took seconds for each of the ten files.
    expect(performance.now() - start).toBeLessThan(patience(2_000));
    expect(names()).toHaveLength(11);
  },
);

test("one file alone is begun anew", async () => {
  const configuration = jsonFile({ "max-size": "174" });
  using writer = await directory.open(configuration);
  writer.write("stdout", Buffer.from(lines(1, 3)), now);
  expect(names()).toEqual([log()]);
  expect(await textOf(readLog(directory.path, configuration))).toEqual({ stdout: lines(3, 3), stderr: "" });
});

test("the times of files that were put aside grow, however fast that goes and whoever does it", async () => {
  const configuration = jsonFile({ "max-size": "1", "max-file": "200" });
  for (let round = 0; round < 2; round++) {
    using writer = await directory.open(configuration);
    writer.write("stdout", Buffer.from(lines(1, 60)), now);
  }
  const times: bigint[] = [];
  for (let number = 119; number > 0; number--) {
    times.push(statSync(`${directory.jsonFile}.${number}`, { bigint: true }).mtimeNs);
  }
  expect(times).toEqual([...new Set(times)].sort((a, b) => (a < b ? -1 : 1)));
});

describe("compressed files", () => {
  const big = 300_000;

  test("keep their number, time and content, and are dropped like others", async () => {
    const configuration = jsonFile({ "max-size": "1m", "max-file": "3", compress: "true" });
    const line = (letter: string) => `${letter.repeat(big / 4)}\n`;
    using writer = await directory.open(configuration);
    for (const letter of "abcdefghijklm") writer.write("stdout", Buffer.from(line(letter)), now);
    writer.write("stdout", Buffer.from(line("n")), now);
    // Each write does a part, of which that file has several.
    expect(names()).toEqual([log(), `${log()}.1`, `${log()}.gz.new`]);
    const plain = readFileSync(`${directory.jsonFile}.1`);
    const { mtimeNs } = statSync(`${directory.jsonFile}.1`, { bigint: true });
    writer.flush();
    expect(names()).toEqual([log(), `${log()}.1.gz`]);
    expect(gunzipSync(readFileSync(`${directory.jsonFile}.1.gz`))).toEqual(plain);
    expect(statSync(`${directory.jsonFile}.1.gz`, { bigint: true }).mtimeNs).toBe(mtimeNs);
    for (const letter of "opqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
      writer.write("stdout", Buffer.from(line(letter)), now);
    writer.flush();
    expect(names()).toEqual([log(), `${log()}.1.gz`, `${log()}.2.gz`]);
    const { stdout } = await textOf(readLog(directory.path, configuration));
    const letters = stdout.split("\n").map((text) => text[0] ?? "");
    expect("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".endsWith(letters.join(""))).toBe(true);
    expect(letters.length).toBeGreaterThan(26);
  });

  test("may be put aside faster than they are compressed", async () => {
    const configuration = jsonFile({ "max-size": "870", "max-file": "4", compress: "true" });
    using writer = await directory.open(configuration);
    for (let number = 0; number < 3000; number += 50) {
      writer.write("stdout", Buffer.from(lines(number, number + 49)), now);
      const { stdout } = await textOf(readLog(directory.path, configuration));
      expect(stdout).toBe(lines(number + (number === 0 ? 10 : 10), number + 49));
    }
    writer.flush();
    expect(names()).toEqual([log(), `${log()}.1.gz`, `${log()}.2.gz`, `${log()}.3.gz`]);
    expect(await textOf(readLog(directory.path, configuration))).toEqual({ stdout: lines(2960, 2999), stderr: "" });
  });

  test("a file that is dropped while it is compressed leaves nothing", async () => {
    const configuration = jsonFile({ "max-size": "1m", "max-file": "2", compress: "true" });
    using writer = await directory.open(configuration);
    writer.write("stdout", Buffer.from(lines(1, 12_000)), now);
    expect(names()).toEqual([log(), `${log()}.1`, `${log()}.gz.new`]);
    writer.write("stdout", Buffer.from(lines(12_001, 24_000)), now);
    writer.flush();
    expect(names()).toEqual([log(), `${log()}.1.gz`]);
    const { stdout } = await textOf(readLog(directory.path, configuration));
    expect(lines(1, 24_000).endsWith(stdout)).toBe(true);
    expect(stdout.length).toBeGreaterThan(12_000 * 27);
  });

  test("of a writer that has ended before are made by the next one", async () => {
    const configuration = jsonFile({ "max-size": "1m", "max-file": "3", compress: "true" });
    {
      using writer = await directory.open(configuration);
      writer.write("stdout", Buffer.from(lines(1, 12_000)), now);
    }
    expect(names()).toEqual([log(), `${log()}.1`]);
    using writer = await directory.open(configuration);
    writer.flush();
    expect(names()).toEqual([log(), `${log()}.1.gz`]);
    expect(await textOf(readLog(directory.path, configuration))).toEqual({ stdout: lines(1, 12_000), stderr: "" });
  });
});

describe("a failure", () => {
  test("of putting aside loses nothing, and is tried again", async () => {
    const configuration = jsonFile({ "max-size": "174", "max-file": "2" });
    using writer = await directory.open(configuration);
    writer.write("stdout", Buffer.from(lines(1, 2)), now);
    mkdirSync(`${directory.jsonFile}.new`);
    writer.write("stdout", Buffer.from(lines(3, 3)), now);
    expect(directory.errors.splice(0).map(String).join()).toContain("EISDIR");
    rmdirSync(`${directory.jsonFile}.new`);
    writer.write("stdout", Buffer.from(lines(4, 4)), now);
    const { stdout } = await textOf(readLog(directory.path, configuration));
    expect(stdout).toBe(lines(1, 4));
    expect(names()).toEqual([log(), `${log()}.1`]);
  });

  test("of compressing is told, and the file stays", async () => {
    const configuration = jsonFile({ "max-size": "174", "max-file": "2", compress: "true" });
    using writer = await directory.open(configuration);
    mkdirSync(`${directory.jsonFile}.gz.new`);
    writer.write("stdout", Buffer.from(lines(1, 3)), now);
    expect(directory.errors.splice(0).map(String).join()).toContain("EISDIR");
    expect(await textOf(readLog(directory.path, configuration))).toEqual({ stdout: lines(1, 3), stderr: "" });
  });

  test("a log that was removed by somebody is begun anew", async () => {
    const configuration = jsonFile({ "max-size": "174", "max-file": "2" });
    using writer = await directory.open(configuration);
    writer.write("stdout", Buffer.from(lines(1, 2)), now);
    rmFile(directory.jsonFile);
    writer.write("stdout", Buffer.from(lines(3, 3)), now);
    expect(await textOf(readLog(directory.path, configuration))).toEqual({ stdout: lines(3, 3), stderr: "" });
  });
});

function rmFile(path: string): void {
  Bun.spawnSync(["rm", path]);
}

describe("a kill at any moment", () => {
  // What a writer does when it puts a file aside, one system call after the other.
  const configuration = jsonFile({ "max-size": "174", "max-file": "3" });
  const states: readonly (readonly [what: string, files: Readonly<Record<string, readonly [number, number]>>])[] = [
    ["the new file was made", { "": [5, 6], ".1": [3, 4], ".2": [1, 2], ".new": [1, 0] }],
    ["the oldest is gone", { "": [5, 6], ".1": [3, 4], ".new": [1, 0] }],
    ["the others have moved", { "": [5, 6], ".2": [3, 4], ".new": [1, 0] }],
    ["it was put aside", { ".1": [5, 6], ".2": [3, 4], ".new": [1, 0] }],
    ["the new one has its place", { "": [1, 0], ".1": [5, 6], ".2": [3, 4] }],
  ];
  test.each(states)("%s: nothing else is lost", async (_, files) => {
    const first = Math.min(...Object.values(files).map(([from, to]) => (to < from ? 99 : from)));
    for (const [suffix, [from, to]] of Object.entries(files)) {
      const records = lines(from, to).split("\n").slice(0, -1);
      const time = new Date(now).toISOString();
      const text = records.map((line) => `{"log":"${line}\\n","stream":"stdout","time":"${time}"}\n`).join("");
      writeFileSync(`${directory.jsonFile}${suffix}`, text);
      if (from > 0) await Bun.write(`${directory.path}/touched`, "");
    }
    // The older a file, the older its time.
    for (const suffix of [".2", ".1", ""])
      touch(`${directory.jsonFile}${suffix}`, suffix === "" ? 3 : 3 - Number(suffix[1]));
    rmFile(`${directory.path}/touched`);
    expect(await textOf(readLog(directory.path, configuration))).toEqual({ stdout: lines(first, 6), stderr: "" });
    using writer = await directory.open(configuration);
    writer.write("stdout", Buffer.from(lines(7, 7)), now);
    const { stdout } = await textOf(readLog(directory.path, configuration));
    expect(lines(first, 7).endsWith(stdout)).toBe(true);
    expect(stdout.startsWith(lines(5, 7)) || stdout.includes(lines(5, 7))).toBe(true);
  });

  test("a writer that is killed while it writes leaves whole lines, and the next goes on", async () => {
    const script = `
      import { openLog } from ${JSON.stringify(`${import.meta.dir}/../../../../src/container/logs/open-log.ts`)};
      const log = await openLog(${JSON.stringify(directory.path)}, ${JSON.stringify(jsonFile({ "max-size": "200k", "max-file": "50" }))},
        ${JSON.stringify(logFacts())}, () => {});
      let number = 0;
      process.stdout.write("ready\\n");
      for (;;) {
        let text = "";
        for (let line = 0; line < 500; line++) text += String(number++).padStart(26, "0") + "\\n";
        log.write("stdout", Buffer.from(text), Date.now());
      }`;
    let expected = 0;
    for (let round = 0; round < 8; round++) {
      const child = Bun.spawn([process.execPath, "-e", script.replace("let number = 0", `let number = ${expected}`)], {
        stdout: "pipe",
        stderr: "inherit",
      });
      for await (const _ of child.stdout) break;
      const before = expected;
      await until("something was written", () => statSync(directory.jsonFile).size > 0);
      await Bun.sleep(round * 3);
      child.kill("SIGKILL");
      await child.exited;
      const { stdout } = await textOf(readLog(directory.path, jsonFile({ "max-size": "200k", "max-file": "50" })));
      const numbers = stdout.split("\n").slice(0, -1).map(Number);
      const first = numbers[0] as number;
      // One after the other, from whatever is still there to the end.
      expect(numbers.findIndex((number, index) => number !== first + index)).toBe(-1);
      expected = (numbers.at(-1) as number) + 1;
      expect(expected).toBeGreaterThanOrEqual(before);
    }
    expect(expected).toBeGreaterThan(0);
  }, 60_000);
});

function touch(path: string, seconds: number): void {
  if (existsSync(path)) Bun.spawnSync(["touch", "-d", `@${1_700_000_000 + seconds}`, path]);
}

test("somebody empties the file: the writer goes on behind", async () => {
  using writer = await directory.open();
  writer.write("stdout", Buffer.from(lines(1, 2)), now);
  truncateSync(directory.jsonFile);
  writer.write("stdout", Buffer.from(lines(3, 3)), now);
  expect(await textOf(readLog(directory.path, jsonFile({})))).toEqual({ stdout: lines(3, 3), stderr: "" });
});
