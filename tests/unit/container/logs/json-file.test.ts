import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync } from "node:fs";
import { longestPiece } from "../../../../src/container/logs/line-splitter.ts";
import type { LogWriter } from "../../../../src/container/logs/log-writer.ts";
import { LogDirectory } from "../../../helpers/logs.ts";

let directory: LogDirectory;
beforeEach(() => {
  directory = new LogDirectory();
});
afterEach(() => directory[Symbol.dispose]());

const now = Date.UTC(2026, 2, 1, 12, 30, 0, 250);
const content = () => readFileSync(directory.jsonFile, "utf8");
const time = ',"time":"2026-03-01T12:30:00.25Z"}\n';

/** What becomes of these bytes in a log of their own. */
async function written(bytes: string | Uint8Array, write?: (log: LogWriter) => void): Promise<string> {
  using log = await directory.open();
  log.write("stdout", Buffer.from(bytes), now);
  write?.(log);
  return content();
}

test("a line is a record of Docker's, there when write returns", async () => {
  using log = await directory.open();
  log.write("stdout", Buffer.from("hello\n"), now);
  expect(content()).toBe(`{"log":"hello\\n","stream":"stdout"${time}`);
  log.write("stderr", Buffer.from("oh"), now);
  log.write("stdout", Buffer.from("more\n"), now);
  log.write("stderr", Buffer.from(" no\n"), now);
  expect(content().split("\n").slice(1)).toEqual(
    [`{"log":"more\\n","stream":"stdout"${time}`, `{"log":"oh no\\n","stream":"stderr"${time}`].join("").split("\n"),
  );
});

test("what never ends its line comes with flush, without a newline", async () => {
  const text = await written("prompt> ", (log) => {
    expect(content()).toBe("");
    log.flush();
    log.flush();
  });
  expect(text).toBe(`{"log":"prompt\\u003e ","stream":"stdout"${time}`);
});

test.each([
  [0, "1970-01-01T00:00:00Z"],
  [now, "2026-03-01T12:30:00.25Z"],
  [now - 250, "2026-03-01T12:30:00Z"],
  [now + 0.5, "2026-03-01T12:30:00.2505Z"],
  [now - 150, "2026-03-01T12:30:00.1Z"],
])("the time %p is written as Go writes it", async (milliseconds, expected) => {
  using log = await directory.open();
  log.write("stdout", Buffer.from("x\n"), milliseconds);
  expect(content()).toBe(`{"log":"x\\n","stream":"stdout","time":"${expected}"}\n`);
});

describe("text", () => {
  // What Go's encoding/json gives for the same bytes, apart from \b and \f, which Docker's own encoder has as numbers.
  test.each([
    ['quote " and \\', 'quote \\" and \\\\'],
    ["tab\tbell\u0007cr\rdel\u007f", "tab\\u0009bell\\u0007cr\\rdel\u007f"],
    ["\u001b[31mred\u001b[0m", "\\u001b[31mred\\u001b[0m"],
    ["<a href='x'>&amp;</a>", "\\u003ca href='x'\\u003e\\u0026amp;\\u003c/a\\u003e"],
    ["nul\0", "nul\\u0000"],
    ["\u00e9 \u20ac \u{1f600} \ufffd", "\u00e9 \u20ac \u{1f600} \ufffd"],
    ["\u2027\u2028\u2029\u202a", "\u2027\\u2028\\u2029\u202a"],
    ["", ""],
  ])("%p", async (text, expected) => {
    const record = await written(`${text}\n`);
    expect(record).toBe(`{"log":"${expected}\\n","stream":"stdout"${time}`);
    expect((JSON.parse(record) as { log: string }).log).toBe(`${text}\n`);
  });

  test.each([
    ["a continuation alone", [0x80]],
    ["a byte that UTF-8 never has", [0xff]],
    ["a character that is cut off", [0xe2, 0x82]],
    ["a character that is cut off by another", [0xe2, 0x82, 0xc3, 0xa9]],
    ["a form that is too long", [0xc0, 0xaf]],
    ["a form of three bytes that is too long", [0xe0, 0x9f, 0xbf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["more than U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
    ["the last character there is", [0xf4, 0x8f, 0xbf, 0xbf]],
  ])("bytes that are no UTF-8: %s", async (_, bytes) => {
    const record = await written(Uint8Array.from([0x61, ...bytes, 0x62, 0x0a]));
    // Go takes each byte that begins no character for one U+FFFD, where TextDecoder may take several for one.
    expect((JSON.parse(record) as { log: string }).log).toBe(`a${decodeAsGo(bytes)}b\n`);
    expect(record).not.toContain("\ufffd");
  });

  test("every byte and every pair of bytes gives a record that can be read", async () => {
    using log = await directory.open();
    for (let first = 0; first < 256; first++) {
      const bytes = Uint8Array.from({ length: 512 }, (_, index) => (index % 2 === 0 ? first : index >> 1));
      log.write("stdout", bytes, now);
    }
    log.write("stdout", Buffer.from("\n"), now);
    const records = content().trimEnd().split("\n");
    for (const record of records) expect(Object.keys(JSON.parse(record) as object)).toEqual(["log", "stream", "time"]);
  });
});

function decodeAsGo(bytes: readonly number[]): string {
  let text = "";
  for (let index = 0; index < bytes.length;) {
    const length = [4, 3, 2, 1].find((count) => {
      const part = Uint8Array.from(bytes.slice(index, index + count));
      try {
        return Array.from(new TextDecoder("utf8", { fatal: true }).decode(part)).length === 1 && part.length === count;
      } catch {
        return false;
      }
    });
    text += length === undefined ? "\ufffd" : Buffer.from(bytes.slice(index, index + length)).toString();
    index += length ?? 1;
  }
  return text;
}

test("a long line is cut, its pieces have one time", async () => {
  using log = await directory.open();
  log.write("stdout", Buffer.from("x".repeat(longestPiece + 1)), now);
  log.write("stdout", Buffer.from("\n"), now + 1000);
  const tail = `","stream":"stdout"${time}`;
  expect(content()).toBe(`{"log":"${"x".repeat(longestPiece)}${tail}{"log":"x\\n${tail}`);
});

test("a chunk of any size is written, whatever its bytes become", async () => {
  const zeros = new Uint8Array(3_000_000);
  using log = await directory.open();
  log.write("stdout", zeros, now);
  log.flush();
  const texts = content()
    .trimEnd()
    .split("\n")
    .map((record) => (JSON.parse(record) as { log: string }).log);
  expect(texts.join("")).toBe("\0".repeat(3_000_000));
});

test("attributes are those of the options, sorted", async () => {
  const options = {
    labels: "tier,missing",
    "labels-regex": "^app\\.",
    env: "LEVEL",
    tag: "{{.Name}}/{{ .ID }}/<{{.ImageName}}>",
  };
  const facts = {
    labels: { tier: "front", "app.kind": 'a"b', other: "x" },
    environment: ["LEVEL=1", "LEVEL=3=x", "HOME=/"],
  };
  using log = await directory.open({ options }, facts);
  log.write("stdout", Buffer.from("x\n"), now);
  const attrs = '{"LEVEL":"3=x","app.kind":"a\\"b","tag":"web/0123456789ab/\\u003calpine:3.19\\u003e","tier":"front"}';
  expect(content()).toBe(`{"log":"x\\n","stream":"stdout","attrs":${attrs}${time}`);
});

test("a log goes on where it was", async () => {
  await written("one\n");
  await written("two\n");
  expect(content()).toBe(`{"log":"one\\n","stream":"stdout"${time}{"log":"two\\n","stream":"stdout"${time}`);
});

test.each([["a part of a record"], ["x".repeat(200_000)], ['{"log":"two\\n","stream":"stdout"}']])(
  "what a killed writer has not finished is taken away: %#",
  async (torn) => {
    await written("one\n");
    appendFileSync(directory.jsonFile, torn);
    await written("two\n");
    expect(content()).toBe(`{"log":"one\\n","stream":"stdout"${time}{"log":"two\\n","stream":"stdout"${time}`);
  },
);

test("a file with nothing whole in it is emptied", async () => {
  appendFileSync(directory.jsonFile, "torn");
  expect(await written("one\n")).toBe(`{"log":"one\\n","stream":"stdout"${time}`);
});
