import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { longestPiece } from "../../../../src/container/logs/line-splitter.ts";
import type { LogRecord } from "../../../../src/container/logs/log-record.ts";
import { readLog, type ReadLogOptions } from "../../../../src/container/logs/read-log.ts";
import type { LogConfiguration } from "../../../../src/container/record.ts";
import { UsageError } from "../../../../src/util/errors.ts";
import { type Instant, parseDate } from "../../../../src/util/instant.ts";
import { LogDirectory, type ReadText, textOf } from "../../../helpers/logs.ts";
import { isRoot } from "../../../helpers/temporary.ts";
import { until } from "../../../helpers/until.ts";

let directory: LogDirectory;
beforeEach(() => {
  directory = new LogDirectory();
});
afterEach(async () => {
  // Streams close what they read in the background.
  await until("all files are closed", () => directory.openFiles().length === 0);
  directory[Symbol.dispose]();
});

const start = Date.UTC(2026, 2, 1, 12, 30);
const drivers = ["json-file", "local"] as const;
const form = (driver: LogConfiguration["driver"], options: Record<string, string> = {}) => ({ driver, options });

/** Writes lines to standard output, each a second after the last. */
async function write(configuration: LogConfiguration, lines: readonly string[]): Promise<void> {
  using log = await directory.open(configuration);
  lines.forEach((line, index) => log.write("stdout", Buffer.from(line), start + index * 1000));
  log.flush();
}

async function read(configuration: LogConfiguration, options?: ReadLogOptions): Promise<string> {
  const { stdout, stderr } = await textOf(readLog(directory.path, configuration, options));
  expect(stderr).toBe("");
  return stdout;
}

const numbered = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\n`);

describe.each(drivers)("%s", (driver) => {
  test("streams, times and text come back", async () => {
    using log = await directory.open(form(driver));
    log.write("stdout", Buffer.from("one\n\ntw"), start);
    log.write("stderr", Buffer.from("oh\r\n"), start + 1.5);
    log.write("stdout", Buffer.from("o\n"), start + 1000);
    log.write("stdout", Buffer.from('\u20ac \u{1f600} "quoted" \\ <&>\u2028\t\0\n> '), start + 2000);
    log.flush();
    const records: LogRecord[] = [];
    for await (const part of readLog(directory.path, form(driver))) records.push(...part);
    expect(records.map(({ stream, time, text }) => [stream, time, Buffer.from(text).toString()])).toEqual([
      ["stdout", "2026-03-01T12:30:00Z", "one\n"],
      ["stdout", "2026-03-01T12:30:00Z", "\n"],
      ["stderr", "2026-03-01T12:30:00.0015Z", "oh\r\n"],
      ["stdout", "2026-03-01T12:30:01Z", "two\n"],
      ["stdout", "2026-03-01T12:30:02Z", '\u20ac \u{1f600} "quoted" \\ <&>\u2028\t\0\n'],
      ["stdout", "2026-03-01T12:30:02Z", "> "],
    ]);
  });

  test("there is no log yet, or nothing in it", async () => {
    expect(await read(form(driver))).toBe("");
    expect(await read(form(driver), { tail: 3 })).toBe("");
    await write(form(driver), []);
    expect(await read(form(driver))).toBe("");
    expect(await read(form(driver), { tail: 3 })).toBe("");
  });

  test("a torn line at the end is left out", async () => {
    await write(form(driver), numbered(1, 3));
    const path = driver === "local" ? directory.localFile : directory.jsonFile;
    appendFileSync(path, driver === "local" ? "2026-03-01T12:30:05Z stdout F torn" : '{"log":"torn\\n","stream":"std');
    expect(await read(form(driver))).toBe("1\n2\n3\n");
    expect(await read(form(driver), { tail: 2 })).toBe("2\n3\n");
  });

  test("what is no record is left out, wherever it stands", async () => {
    await write(form(driver), numbered(1, 2));
    const path = driver === "local" ? directory.localFile : directory.jsonFile;
    const damage = [
      "",
      "{}",
      "null",
      "[]",
      "x",
      "stdout",
      '{"log":1}',
      "t stdout X x",
      "t nowhere F x",
      " stdout F x",
      "t stdout F",
    ];
    appendFileSync(path, `${damage.join("\n")}\n${"\0".repeat(5000)}\n`);
    appendFileSync(path, Buffer.alloc(3_000_000, 0xff));
    appendFileSync(path, "\n");
    await write(form(driver), numbered(3, 4));
    expect(await read(form(driver))).toBe("1\n2\n3\n4\n");
    for (const tail of [1, 2, 3, 4, 5])
      expect(await read(form(driver), { tail })).toBe(numbered(Math.max(1, 5 - tail), 4).join(""));
  });

  test("lines of any length, with and without an end", async () => {
    const long = "x".repeat(5 * longestPiece + 7);
    await write(form(driver), ["a\n", `${long}\n`, "b\n", long]);
    expect(await read(form(driver))).toBe(`a\n${long}\nb\n${long}`);
    expect(await read(form(driver), { tail: 1 })).toBe(long);
    expect(await read(form(driver), { tail: 2 })).toBe(`b\n${long}`);
    expect(await read(form(driver), { tail: 3 })).toBe(`${long}\nb\n${long}`);
    expect(await read(form(driver), { tail: 4 })).toBe(`a\n${long}\nb\n${long}`);
  });

  describe("the last lines", () => {
    test.each([0, 1, 2, 999, 1000, 1001, Number.MAX_SAFE_INTEGER])("%i of 1000", async (tail) => {
      await write(form(driver), numbered(1, 1000));
      expect(await read(form(driver), { tail })).toBe(
        numbered(1, 1000)
          .slice(Math.max(0, 1000 - tail))
          .join(""),
      );
    });

    test.each(["false", "true"])("over rotated files, compressed: %s", async (compress) => {
      const configuration = form(driver, { "max-size": "1k", "max-file": "4", compress });
      using log = await directory.open(configuration);
      for (let number = 1; number <= 60; number++)
        log.write("stdout", Buffer.from(`${"y".repeat(30)}${number}\n`), start);
      log.flush();
      const folder = driver === "local" ? `${directory.path}/local-logs` : directory.path;
      expect(readdirSync(folder).filter((name) => name.endsWith(".gz")).length).toBe(compress === "true" ? 3 : 0);
      const all = (await read(configuration)).split("\n").slice(0, -1);
      expect(all.at(-1)).toEndWith("y60");
      expect(all.length).toBeGreaterThan(20);
      for (let tail = 0; tail <= all.length + 1; tail++) {
        expect(await read(configuration, { tail })).toBe(
          all
            .slice(Math.max(0, all.length - tail))
            .map((line) => `${line}\n`)
            .join(""),
        );
      }
    });
  });

  describe("since and until", () => {
    const at = (second: number, fraction = "") =>
      parseDate(`2026-03-01T12:30:${String(second).padStart(2, "0")}${fraction}Z`) as Instant;
    beforeEach(() => write(form(driver), numbered(0, 9)));

    test.each([
      [{ since: at(7) }, "7\n8\n9\n"],
      [{ since: at(6, ".000000001") }, "7\n8\n9\n"],
      [{ until: at(2) }, "0\n1\n2\n"],
      [{ until: at(2, ".999") }, "0\n1\n2\n"],
      [{ since: at(3), until: at(4) }, "3\n4\n"],
      [{ since: at(5), until: at(4) }, ""],
      [{ since: at(30) }, ""],
      [{ since: at(8), tail: 5 }, "8\n9\n"],
      [{ until: at(7), tail: 5 }, "5\n6\n7\n"],
      [{ until: at(1), tail: 5 }, ""],
    ])("%#", async (options, expected) => {
      expect(await read(form(driver), options)).toBe(expected);
    });
  });
});

test("local keeps bytes that are no text", async () => {
  const bytes = Uint8Array.from({ length: 4096 }, (_, index) => (index * 7) & 0xff);
  using log = await directory.open(form("local"));
  log.write("stdout", bytes, start);
  log.flush();
  const parts: Uint8Array[] = [];
  for await (const records of readLog(directory.path, form("local"))) parts.push(...records.map(({ text }) => text));
  expect(Buffer.concat(parts)).toEqual(Buffer.from(bytes));
});

test("attributes come back", async () => {
  const configuration = form("json-file", { labels: "a" });
  using log = await directory.open(configuration, { labels: { a: "1" } });
  log.write("stderr", Buffer.from("x\n"), start);
  for await (const [record] of readLog(directory.path, configuration)) expect(record?.attributes).toEqual({ a: "1" });
});

test("a log that Docker wrote", async () => {
  writeFileSync(
    directory.jsonFile,
    '{"log":"caf\\u00e9\\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-03-01T12:30:00.123456789Z"}\n' +
      '{"time":"2026-03-01T12:30:00.123456789+01:00","stream":"stderr","log":"oh\\n"}\n',
  );
  expect(await textOf(readLog(directory.path, form("json-file")))).toEqual({ stdout: "caf\u00e9\n", stderr: "oh\n" });
});

test("records of json-file are what a JSON document says, however they are written", async () => {
  const tail = '"stream":"stdout","time":"2026-03-01T12:30:00Z"}';
  const texts = [
    '"plain\\n"',
    '""',
    '"\\u001b[31mred\\u001b[0m \\u0000\\u003c\\\\ \\"q\\" \\/ \\r\\n"',
    '"caf\\u00e9 \\ud83d\\ude00 \\b\\f\\t\\n"',
    '"\u20ac\\n"',
    `"${"long ".repeat(20_000)}\\n"`,
  ];
  const broken = ['"\t"', '"\\x"', '"\\u00g0"', '"\\u00', '"open', '"end\\'];
  const lines = [...texts, ...broken].map((text) => `{"log":${text},${tail}`);
  // Named twice, the last one counts.
  lines.push(`{"log":"one\\n","log":"two\\n",${tail}`, `{ "log": "spaced\\n", ${tail}`);
  writeFileSync(directory.jsonFile, lines.map((line) => `${line}\n`).join(""));
  const expected = texts.map((text) => JSON.parse(text) as string);
  expect(await read(form("json-file"))).toBe([...expected, "two\n", "spaced\n"].join(""));
});

test.each(["none", "journald"] as const)("%s cannot be read", async (driver) => {
  await expect(textOf(readLog(directory.path, form(driver)))).rejects.toThrow(UsageError);
});

test("a compressed file that is damaged is told", async () => {
  const configuration = form("json-file", { "max-size": "1k", "max-file": "2", compress: "true" });
  await write(configuration, ["x\n"]);
  writeFileSync(`${directory.jsonFile}.1.gz`, "no gzip");
  await expect(textOf(readLog(directory.path, configuration))).rejects.toThrow("cannot be decompressed");
});

describe.each(drivers)("following %s", (driver) => {
  /** Reads until the end is told; what was read so far is in `text`. */
  function follow(configuration: LogConfiguration, options: ReadLogOptions = {}) {
    const end = new AbortController();
    const text: ReadText = { stdout: "", stderr: "" };
    const finished = (async () => {
      for await (const records of readLog(directory.path, configuration, { ...options, follow: end.signal })) {
        for (const record of records) text[record.stream] += Buffer.from(record.text).toString();
      }
    })();
    return { text, end: () => end.abort(), finished };
  }

  test("lines come when they are written, and the end when it is told", async () => {
    const configuration = form(driver);
    using log = await directory.open(configuration);
    log.write("stdout", Buffer.from("before\n"), start);
    const reading = follow(configuration);
    await until("what was there", () => reading.text.stdout === "before\n");
    log.write("stdout", Buffer.from("one\ntw"), start);
    await until("the first", () => reading.text.stdout === "before\none\n");
    log.write("stderr", Buffer.from("oh\n"), start);
    await until("the other stream", () => reading.text.stderr === "oh\n");
    log.write("stdout", Buffer.from("o\n"), start);
    log.flush();
    reading.end();
    await reading.finished;
    expect(reading.text.stdout).toBe("before\none\ntwo\n");
  });

  test("what is written before the end is told is read, always", async () => {
    const configuration = form(driver);
    using log = await directory.open(configuration);
    let expected = "";
    for (let round = 0; round < 50; round++) {
      const reading = follow(configuration);
      if (round % 2 === 0) await Bun.sleep(0);
      log.write("stdout", Buffer.from(`${round}\n`), start);
      expected += `${round}\n`;
      reading.end();
      await reading.finished;
      expect(reading.text.stdout).toBe(expected);
    }
  });

  test("there is no log yet", async () => {
    const reading = follow(form(driver), { tail: 5 });
    await Bun.sleep(5);
    using log = await directory.open(form(driver));
    log.write("stdout", Buffer.from("first\n"), start);
    await until("the first line", () => reading.text.stdout === "first\n");
    reading.end();
    await reading.finished;
  });

  test("there is no log yet, nor the directory of it, and what is written then is told", async () => {
    const reading = follow(form(driver));
    // The reader waits by then.
    await Bun.sleep(5);
    using log = await directory.open(form(driver));
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const begin = performance.now();
      log.write("stdout", Buffer.from(`${round}\n`), start);
      await until("the line", () => reading.text.stdout.endsWith(`${round}\n`));
      times.push(performance.now() - begin);
    }
    // Where nothing tells of changes it looks once in a second. That may happen, but not each time: the runtime's watchers are
    // deaf at first, and now and then for good.
    expect(Math.min(...times)).toBeLessThan(700);
    reading.end();
    await reading.finished;
  });

  /** Follows part by part: what is written between two comes while the reader is busy. */
  function followSlowly(configuration: LogConfiguration) {
    const end = new AbortController();
    const missing: number[] = [];
    const onMissing = (files: number) => missing.push(files);
    const parts = readLog(directory.path, configuration, { follow: end.signal, onMissing });
    const take = ({ value }: IteratorResult<readonly LogRecord[], unknown>) =>
      ((value ?? []) as readonly LogRecord[]).map(({ text }) => Buffer.from(text).toString()).join("");
    return {
      missing,
      next: async () => take(await parts.next()),
      rest: async () => {
        end.abort();
        return (await textOf(parts)).stdout;
      },
    };
  }

  test("files that are removed while others are still to be read are not lost", async () => {
    const configuration = form(driver, { "max-size": "200k", "max-file": "2", compress: "false" });
    using log = await directory.open(configuration);
    let number = 0;
    const writeSome = () => {
      log.write("stdout", Buffer.from(numbered(number, number + 1499).join("")), start);
      number += 1500;
    };
    writeSome();
    const reading = followSlowly(configuration);
    let text = await reading.next();
    for (let round = 0; round < 60; round++) {
      writeSome();
      text += await reading.next();
    }
    text += await reading.rest();
    expect(reading.missing).toEqual([]);
    expect(text === numbered(0, number - 1).join("")).toBe(true);
  });

  test.skipIf(!isRoot)("files that are removed before they were opened are told of, and where", async () => {
    const configuration = form(driver, { "max-size": "1k", "max-file": "3" });
    using log = await directory.open(configuration);
    log.write("stdout", Buffer.from("first\n"), start);
    const reading = followSlowly(configuration);
    expect(await reading.next()).toBe("first\n");
    const line = (round: number) => `${String(round).padEnd(600, "x")}\n`;
    const lines = (from: number, to: number) =>
      numbered(from, to)
        .map((text) => line(Number(text)))
        .join("");
    // Two fill a file.
    for (let round = 0; round < 14; round++) log.write("stdout", Buffer.from(line(round)), start);
    log.flush();
    expect(await reading.next()).toBe(lines(0, 1));
    expect(reading.missing).toEqual([]);
    expect(await reading.rest()).toBe(lines(8, 13));
    expect(reading.missing).toEqual([3]);
  });

  test("from the last lines on", async () => {
    await write(form(driver), numbered(1, 5));
    const reading = follow(form(driver), { tail: 2 });
    await until("the last", () => reading.text.stdout === "4\n5\n");
    await write(form(driver), numbered(6, 7));
    reading.end();
    await reading.finished;
    expect(reading.text.stdout).toBe("4\n5\n6\n7\n");
  });

  test("until a time that comes without anything being written", async () => {
    const reading = follow(form(driver), { until: BigInt(Date.now() + 50) * 1_000_000n });
    await reading.finished;
    expect(reading.text.stdout).toBe("");
  });

  test.each(["false", "true"])(
    "no line is lost or comes twice while files are put aside, compressed: %s",
    async (compress) => {
      const configuration = form(driver, { "max-size": "20k", "max-file": "5", compress });
      using log = await directory.open(configuration);
      const readings = [follow(configuration), follow(configuration)];
      let expected = "";
      for (let round = 0; round < 300; round++) {
        let text = "";
        for (let line = 0; line < 40; line++) text += `line ${line} of round ${round}\n`;
        log.write("stdout", Buffer.from(text), start + round);
        expected += text;
        // Slower readers than five files would lose some, and must.
        if (round % 10 === 0) await until("read", () => readings.every(({ text: { stdout } }) => stdout === expected));
      }
      log.flush();
      for (const reading of readings) reading.end();
      for (const reading of readings) {
        await reading.finished;
        expect(reading.text.stdout === expected).toBe(true);
      }
    },
  );

  test("one that reads while the files change finds each line once, and in order", async () => {
    const configuration = form(driver, { "max-size": "4k", "max-file": "6", compress: "true" });
    using log = await directory.open(configuration);
    let number = 0;
    const isDone = { value: false };
    const reader = (async () => {
      let rounds = 0;
      for (; !isDone.value || rounds === 0; rounds++) {
        const numbers = (await read(configuration)).split("\n").slice(0, -1).map(Number);
        const [first = 0] = numbers;
        expect(numbers.findIndex((one, index) => one !== first + index)).toBe(-1);
        await Bun.sleep(0);
      }
      return rounds;
    })();
    for (let round = 0; round < 400; round++) {
      log.write("stdout", Buffer.from(numbered(number, number + 9).join("")), start);
      number += 10;
      await Bun.sleep(0);
    }
    isDone.value = true;
    expect(await reader).toBeGreaterThan(1);
  });

  test("a log that somebody empties is read from its new beginning", async () => {
    const configuration = form(driver);
    using log = await directory.open(configuration);
    log.write("stdout", Buffer.from("one\ntwo\n"), start);
    const reading = follow(configuration);
    await until("all", () => reading.text.stdout === "one\ntwo\n");
    truncateSync(driver === "local" ? directory.localFile : directory.jsonFile);
    await Bun.sleep(10);
    log.write("stdout", Buffer.from("3\n"), start);
    await until("what is new", () => reading.text.stdout === "one\ntwo\n3\n");
    reading.end();
    await reading.finished;
  });

  test("a torn line that the next writer takes away leaves no trace", async () => {
    const configuration = form(driver);
    await write(configuration, ["one\n"]);
    const path = driver === "local" ? directory.localFile : directory.jsonFile;
    appendFileSync(path, driver === "local" ? "2026-03-01T12:30:00Z stdout F to" : '{"log":"to');
    const reading = follow(configuration);
    await until("the whole one", () => reading.text.stdout === "one\n");
    await write(configuration, ["two\n"]);
    reading.end();
    await reading.finished;
    expect(reading.text.stdout).toBe("one\ntwo\n");
  });

  test("the container is removed meanwhile", async () => {
    await write(form(driver), ["one\n"]);
    const reading = follow(form(driver));
    await until("the first", () => reading.text.stdout === "one\n");
    Bun.spawnSync(["rm", "-r", directory.path]);
    reading.end();
    await reading.finished;
    mkdirSync(directory.path);
  });
});
