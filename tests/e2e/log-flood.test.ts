import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";

/** How much a container writes: `GOCKER_FLOOD_MB=1000` for a long run. */
const megabytes = Number(process.env["GOCKER_FLOOD_MB"] ?? 24);
const padding = "x".repeat(90);
const lines = megabytes * 10_000;

/** Kilobytes that a monitor may hold at any moment, pages of gocker's file included. */
const mostMemory = 60_000;
/** Milliseconds for each test. */
const limit = 60_000 + megabytes * 300;

/** What was read, told so that it can be compared. */
interface Read {
  readonly bytes: number;
  readonly digest: string;
}

interface Run {
  /** By who follows the log, and what it said beside that. */
  readonly followed: Read;
  readonly told: string;
  /** By who is attached. */
  readonly shown: Read;
  /** See {@link mostMemory}. */
  readonly memory: number;
}

describe.skipIf(!canRunCorpus)(`a container that writes ${megabytes} MB without a pause`, () => {
  let runner: Runner;
  let image: string;
  let whole: Read;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    whole = await read(flood(1));
  });
  afterEach(async () => {
    await runner.gocker(["rm", "-f", "flood"]);
    await runner.untilClean();
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** Waits for its input first, so that whoever looks at it is there. */
  const script = `read go; seq -s '${padding}\n' 1 ${lines}`;

  async function create(options: readonly string[]): Promise<string> {
    const words = options.flatMap((option) => ["--log-opt", option]);
    const made = await runner.gocker(["create", "-i", "--name", "flood", ...words, image, "sh", "-c", script]);
    expect(made.exitCode).toBe(0);
    return made.stdout.trim();
  }

  /** Starts it, follows and shows it, and gives the most that its monitor held. */
  async function run(id: string): Promise<Run> {
    const attached = runner.start(["start", "-ai", "flood"]);
    const shown = read(attached.stdout);
    await runner.untilRunning();
    const follower = runner.start(["logs", "-f", "flood"]);
    const followed = read(follower.stdout);
    const told = follower.stderr.text();
    void attached.stdin.write("go\n");
    await attached.stdin.flush();
    const memory = await peakOfMonitor(id, attached.exited);
    expect(await attached.exited).toBe(0);
    return { followed: await followed, told: await told, shown: await shown, memory };
  }

  async function peakOfMonitor(id: string, end: Promise<unknown>): Promise<number> {
    const command = { hasEnded: false };
    void end.then(() => (command.hasEnded = true));
    let peak = 0;
    let monitor: number | undefined;
    while (!command.hasEnded) {
      monitor ??= parentOf(pidOf(`${runner.sandbox.root}/containers/${id}/running.json`));
      // It begins as another program, whose memory says nothing.
      const status = tryRead(`/proc/${monitor}/status`);
      peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0));
      await Bun.sleep(20);
    }
    return peak;
  }

  test(
    "loses nothing: not for who is attached, not for who follows, not in the files",
    async () => {
      const id = await create([`max-size=${Math.ceil(megabytes / 5)}m`, "max-file=1000", "compress=true"]);
      const { followed, told, shown, memory } = await run(id);
      const kept = await read(runner.start(["logs", "flood"]).stdout);
      expect({ shown, followed, told, kept }).toEqual({ shown: whole, followed: whole, told: "", kept: whole });
      console.log(`the monitor held ${memory} kB at most`);
      expect(memory).toBeWithin(1, mostMemory);
    },
    limit,
  );

  test(
    "takes no more of the disk than its log may, and what is kept has no gap",
    async () => {
      const id = await create(["max-size=1m", "max-file=3"]);
      const { memory, followed, told } = await run(id);
      // A machine that is busy with other work may keep a follower from it for too long: then it says so.
      if (told === "") expect(followed).toEqual(whole);
      else expect(told).toMatch(/^(gocker: warning: lines are missing here: [^\n]+\n)+$/);
      const directory = `${runner.sandbox.root}/containers/${id}`;
      const files = readdirSync(directory).filter((name) => name.includes("-json.log"));
      expect(files.length).toBe(3);
      for (const name of files) expect(statSync(`${directory}/${name}`).size).toBeLessThanOrEqual(1_000_000 + 200);
      const kept = await runner.gocker(["logs", "flood"]);
      const first = Number(/^\d+/.exec(kept.stdout)?.[0]);
      expect(first).toBeGreaterThan(1);
      expect(kept).toEqual(success(Array.from(flood(first), (text) => text).join("")));
      console.log(`the monitor held ${memory} kB at most`);
      expect(memory).toBeWithin(1, mostMemory);
    },
    limit,
  );
});

/** What the script writes, from a number on, in parts. */
function* flood(first: number): Generator<string> {
  const part = 10_000;
  for (let from = first; from <= lines; from += part) {
    const count = Math.min(part, lines - from + 1);
    const numbers = Array.from({ length: count }, (_, index) => String(from + index));
    yield `${numbers.join(`${padding}\n`)}${from + count > lines ? "" : padding}\n`;
  }
}

async function read(parts: Iterable<string> | ReadableStream<Uint8Array>): Promise<Read> {
  const hasher = new Bun.CryptoHasher("md5");
  let bytes = 0;
  for await (const part of parts as AsyncIterable<string | Uint8Array>) {
    hasher.update(part);
    bytes += part.length;
  }
  return { bytes, digest: hasher.digest("hex") };
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Not there yet, or no more.
    return "";
  }
}

function pidOf(path: string): number | undefined {
  const text = tryRead(path);
  return text === "" ? undefined : (JSON.parse(text) as { pid: number }).pid;
}

function parentOf(pid: number | undefined): number | undefined {
  const parent = /^PPid:\t(\d+)$/m.exec(pid === undefined ? "" : tryRead(`/proc/${pid}/status`))?.[1];
  return parent === undefined ? undefined : Number(parent);
}
