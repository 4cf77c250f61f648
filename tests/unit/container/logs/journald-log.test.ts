import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openJournaldLog } from "../../../../src/container/logs/journald-log.ts";
import { longestPiece } from "../../../../src/container/logs/line-splitter.ts";
import { GockerError, UsageError } from "../../../../src/util/errors.ts";
import { logFacts } from "../../../helpers/logs.ts";
import { TemporaryDirectory } from "../../../helpers/temporary.ts";

const python = Bun.which("python3");
const now = Date.UTC(2026, 2, 1, 12, 30);

let directory: TemporaryDirectory;
let path: string;
beforeEach(() => {
  directory = new TemporaryDirectory("journald");
  path = `${directory.path}/socket`;
});
afterEach(() => directory[Symbol.dispose]());

test("no journald is told when the log is opened", () => {
  expect(() => openJournaldLog({}, logFacts(), path)).toThrow(GockerError);
  expect(() => openJournaldLog({}, logFacts(), path)).toThrow(`nobody listens at ${path}`);
});

test.each([{ "max-size": "1m" }, { tag: "{{.Nothing}}" }, { "env-regex": "(" }])(
  "options that are wrong: %j",
  (options) => {
    expect(() => openJournaldLog(options, logFacts(), path)).toThrow(UsageError);
  },
);

/** Something that listens as journald does. */
async function startJournald() {
  const child = Bun.spawn([python as string, `${import.meta.dir}/../../../helpers/journald.py`, path], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = (async function* () {
    let rest = "";
    for await (const chunk of child.stdout) {
      const parts = `${rest}${Buffer.from(chunk).toString()}`.split("\n");
      rest = parts.pop() ?? "";
      yield* parts;
    }
  })();
  const next = async () => (await lines.next()).value ?? "";
  expect(await next()).toBe("ready");
  return {
    entry: async () => JSON.parse(await next()) as Record<string, unknown>,
    [Symbol.asyncDispose]: async () => {
      void child.stdin.end();
      await child.exited;
    },
  };
}

describe.skipIf(python === null)("with a journald", () => {
  const container = {
    CONTAINER_ID: ["0123456789ab"],
    CONTAINER_ID_FULL: [logFacts().id],
    CONTAINER_NAME: ["web"],
    IMAGE_NAME: ["alpine:3.19"],
    by: "datagram",
  };

  test("each line is an entry with Docker's fields", async () => {
    await using journald = await startJournald();
    using log = openJournaldLog({}, logFacts(), path);
    log.write("stdout", Buffer.from("one = 1\nhalf"), now);
    log.write("stderr", Buffer.from("\xff\0oh\n", "latin1"), now + 500);
    log.flush();
    const usual = { ...container, CONTAINER_TAG: ["0123456789ab"], SYSLOG_IDENTIFIER: ["0123456789ab"] };
    const at = (time: string) => ({ ...usual, SYSLOG_TIMESTAMP: [`2026-03-01T12:30:00${time}Z`] });
    expect([await journald.entry(), await journald.entry(), await journald.entry()]).toEqual([
      { ...at(""), PRIORITY: ["6"], MESSAGE: ["one = 1"] },
      { ...at(".5"), PRIORITY: ["3"], MESSAGE: ["\xff\0oh"] },
      { ...at(".5"), PRIORITY: ["6"], MESSAGE: ["half"], CONTAINER_PARTIAL_MESSAGE: ["true"] },
    ]);
  });

  test("options add fields, and the tag is theirs", async () => {
    await using journald = await startJournald();
    const facts = logFacts({ labels: { "_app.kind": "a\nb", "\u00e9": "none" }, environment: ["LEVEL=3"] });
    using log = openJournaldLog({ "labels-regex": ".", env: "LEVEL", tag: "{{.ImageName}}/{{.Name}}" }, facts, path);
    log.write("stdout", Buffer.from("x\n"), now);
    expect(await journald.entry()).toMatchObject({
      APP_KIND: ["a\nb"],
      LEVEL: ["3"],
      CONTAINER_TAG: ["alpine:3.19/web"],
    });
  });

  test("a long line is several entries, and a long entry comes by a file in memory", async () => {
    await using journald = await startJournald();
    const long = "x".repeat(1_000_000);
    using log = openJournaldLog({ labels: "long" }, logFacts({ labels: { long } }), path);
    log.write("stdout", Buffer.from(`${"y".repeat(longestPiece)}z\n`), now);
    const parts = [await journald.entry(), await journald.entry()];
    expect(parts).toMatchObject([
      { by: "memfd", LONG: [long], MESSAGE: ["y".repeat(longestPiece)], CONTAINER_PARTIAL_MESSAGE: ["true"] },
      { by: "memfd", LONG: [long], MESSAGE: ["z"] },
    ]);
  });

  test("a journald that is started anew gets the next line; one that is gone is told", async () => {
    const first = await startJournald();
    using log = openJournaldLog({}, logFacts(), path);
    await first[Symbol.asyncDispose]();
    expect(() => log.write("stdout", Buffer.from("lost\n"), now)).toThrow("nobody listens");
    Bun.spawnSync(["rm", path]);
    await using second = await startJournald();
    log.write("stdout", Buffer.from("kept\n"), now);
    expect(await second.entry()).toMatchObject({ MESSAGE: ["kept"] });
  });
});
