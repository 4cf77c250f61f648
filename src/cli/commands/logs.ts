import { containerLogs } from "../../engine/logs.ts";
import { UsageError } from "../../util/errors.ts";
import { type Instant, parseInstant } from "../../util/instant.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { LogLines } from "../output/log-lines.ts";
import { writeStream } from "../output/write.ts";

export const logsCommand = command({
  meta: {
    name: "logs",
    description: "Show what a container has written",
    usage: "[OPTIONS] CONTAINER",
    operands: { minimum: 1, maximum: 1 },
    notes: [
      {
        heading: "Times",
        text:
          "a duration before now (10m, 1h30m), a date (2026-03-01, 2026-03-01T12:30:00; with Z or +01:00 behind it, else " +
          "local), or seconds since 1970 (1767225600.5)",
      },
    ],
    examples: [
      { words: "gocker logs web", does: "All of it: standard output to stdout, standard error to stderr" },
      { words: "gocker logs -f -n 10 web", does: "The last ten lines, and what comes until the container ends" },
      { words: "gocker logs -t --since 1h30m web", does: "The last one and a half hours, each line with its time" },
    ],
  },
  flags: {
    follow: { type: "boolean", alias: "f", description: "Wait for more until the container ends" },
    since: { type: "string", valueHint: "TIME", description: "Nothing that is older" },
    until: { type: "string", valueHint: "TIME", description: "Nothing that is newer" },
    tail: {
      type: "string",
      alias: "n",
      valueHint: "NUMBER|all",
      default: "all",
      description: "Only so many lines, the last ones",
    },
    timestamps: { type: "boolean", alias: "t", description: "Show the time before each line" },
    details: {
      type: "boolean",
      description: "Show before each line what --log-opt labels, env and tag had noted with it",
    },
  },
  async run({ flags, operands: [container = ""], everywhere }) {
    const { follow, timestamps, details } = flags;
    const now = Date.now();
    const options = {
      follow,
      since: readTime(flags.since, "--since", now),
      until: readTime(flags.until, "--until", now),
      tail: readTail(flags.tail),
    };
    const lines = new LogLines({ timestamps, details });
    for await (const records of containerLogs(openEngine(everywhere), container, options)) {
      for (const { stream, bytes } of lines.format(records)) writeStream(stream === "stdout" ? 1 : 2, bytes);
    }
    return 0;
  },
});

function readTime(text: string | undefined, flag: string, now: number): Instant | undefined {
  return text === undefined || text === "" ? undefined : parseInstant(text, flag, now);
}

/** As with Docker, what is less than no line at all means all of them. */
function readTail(text: string): number | undefined {
  if (text === "all" || text === "" || /^-\d+$/.test(text)) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`invalid --tail ${JSON.stringify(text)}: it is neither a number of lines nor all`);
}
