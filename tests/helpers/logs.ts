import { mkdirSync } from "node:fs";
import type { LogRecord } from "../../src/container/logs/log-record.ts";
import type { LogFacts, LogWriter } from "../../src/container/logs/log-writer.ts";
import { openLog } from "../../src/container/logs/open-log.ts";
import type { LogConfiguration } from "../../src/container/record.ts";
import { TemporaryDirectory } from "./temporary.ts";

/** What logs say of a container of the tests. */
export function logFacts(change: Partial<LogFacts> = {}): LogFacts {
  return {
    id: "0123456789ab".padEnd(64, "f"),
    name: "web",
    image: { reference: "alpine:3.19", id: `sha256:${"a".repeat(64)}` },
    labels: {},
    environment: [],
    ...change,
  };
}

/** The directory of a container whose log is written, gone when it goes out of scope. */
export class LogDirectory implements Disposable {
  readonly #temporary = new TemporaryDirectory("logs");
  readonly path: string;
  /** What was told of beside the writing. */
  readonly errors: unknown[] = [];

  constructor() {
    this.path = `${this.#temporary.path}/${logFacts().id}`;
    mkdirSync(this.path);
  }

  /** The file of json-file. */
  get jsonFile(): string {
    return `${this.path}/${logFacts().id}-json.log`;
  }

  /** The file of local. */
  get localFile(): string {
    return `${this.path}/local-logs/container.log`;
  }

  openFiles(): string[] {
    return this.#temporary.openFiles();
  }

  open(configuration: Partial<LogConfiguration> = {}, facts: Partial<LogFacts> = {}): Promise<LogWriter> {
    const { driver = "json-file", options = {} } = configuration;
    return openLog(this.path, { driver, options }, logFacts(facts), (error) => this.errors.push(error));
  }

  [Symbol.dispose](): void {
    this.#temporary[Symbol.dispose]();
    if (this.errors.length > 0) throw new AggregateError(this.errors, "the log told of failures");
  }
}

/** The text of records, each stream's for itself. */
export interface ReadText {
  stdout: string;
  stderr: string;
}

/** All that is read, as text. */
export async function textOf(parts: AsyncIterable<readonly LogRecord[]>): Promise<ReadText> {
  const text: ReadText = { stdout: "", stderr: "" };
  for await (const records of parts) {
    for (const record of records) text[record.stream] += Buffer.from(record.text).toString();
  }
  return text;
}
