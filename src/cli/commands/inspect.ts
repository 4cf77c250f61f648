import { type InspectedType, Inspector } from "../../engine/inspect.ts";
import { NotFoundError } from "../../util/errors.ts";
import { command } from "../command.ts";
import type { FlagDefinitions } from "../flags.ts";
import { openEngine } from "../open-engine.ts";
import { formatDocuments } from "../output/documents.ts";
import { harmless } from "../output/style.ts";
import { writeError, writeOutput } from "../output/write.ts";

const flags = {
  format: {
    type: "string",
    alias: "f",
    valueHint: "FORMAT",
    description: "Print it as json on one line, or by a template such as '{{.State.Status}}'",
  },
  size: { type: "boolean", alias: "s", description: "Also how much containers have written (SizeRw, SizeRootFs)" },
  type: {
    type: "enum",
    options: ["container", "image", "volume", "network"],
    valueHint: "TYPE",
    description: "Look only for a container, an image, a volume or a network",
  },
} as const satisfies FlagDefinitions;

const examples = [
  { words: "gocker inspect web", does: "All about a container" },
  { words: "gocker inspect -f '{{.State.Status}} {{.State.ExitCode}}' web", does: "What became of it" },
  {
    words: "gocker inspect -f '{{range .Mounts}}{{.Source}} {{end}}' web",
    does: "What is mounted in it",
  },
  { words: "gocker inspect -f '{{json .Config.Labels}}' --type image alpine", does: "The labels of an image" },
];

const notes = [
  {
    heading: "Templates",
    text:
      "Those of Go's text/template, as Docker has them: fields, {{if}}, {{range}}, {{with}}, variables, pipes, and the " +
      "functions json, join, split, upper, lower, title, pad, truncate, index, len, slice, print, printf, println, eq, " +
      "ne, lt, le, gt, ge, and, or, not, html, js and urlquery. What a map does not have prints <no value>.",
  },
];

/** `gocker inspect`, and for things of one type alone `gocker container inspect` and its like. */
export function inspectCommandFor(type?: InspectedType) {
  const what = type === undefined ? "NAME" : type.toUpperCase();
  return command({
    meta: {
      name: "inspect",
      description:
        type === undefined ? "Tell all about containers, images, volumes and networks" : `Tell all about ${type}s`,
      usage: `[OPTIONS] ${what} [${what}...]`,
      operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
      examples,
      notes,
    },
    flags,
    async run(invocation) {
      const { format, size } = invocation.flags;
      const print = formatDocuments(format || undefined);
      const inspector = await Inspector.open(openEngine(invocation.everywhere), {
        type: type ?? invocation.flags.type,
        size,
        warn: (message) => writeError(`gocker: warning: ${harmless(message)}\n`),
      });
      const { documents, missing, errors } = inspectEach(invocation.operands, inspector);
      writeOutput(print(documents));
      for (const message of missing) writeError(`Error: ${harmless(message)}\n`);
      if (errors.length === 1) throw errors[0];
      if (errors.length > 1) throw new AggregateError(errors, "several things could not be inspected");
      return missing.length === 0 ? 0 : 1;
    },
  });
}

export const inspectCommand = inspectCommandFor();

/** What is there is told, whatever else is missing or broken. */
function inspectEach(names: readonly string[], inspector: Inspector) {
  const documents: object[] = [];
  const missing: string[] = [];
  const errors: unknown[] = [];
  for (const name of names) {
    try {
      documents.push(inspector.inspect(name));
    } catch (error) {
      if (error instanceof NotFoundError) missing.push(error.message);
      else errors.push(error);
    }
  }
  return { documents, missing, errors };
}
