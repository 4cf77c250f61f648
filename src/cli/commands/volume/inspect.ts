import { inspectVolume } from "../../../engine/volumes.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { formatRecord } from "../../output/record.ts";
import { writeOutput } from "../../output/write.ts";
import { forEachOperand } from "../several.ts";
import { volumeDocument } from "./record.ts";

export const volumeInspectCommand = command({
  meta: {
    name: "inspect",
    description: "Tell all about volumes",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    examples: [
      { words: "gocker volume inspect db", does: "In JSON" },
      { words: "gocker volume inspect -f '{{.Mountpoint}}' db", does: "Where its files are" },
    ],
  },
  flags: {
    format: {
      type: "string",
      alias: "f",
      valueHint: "FORMAT",
      description: "Print json (an object a line), or by a template such as '{{.Mountpoint}}'",
    },
  },
  async run(invocation) {
    const { flags, operands } = invocation;
    const context = openEngine(invocation.everywhere);
    const documents: Readonly<Record<string, unknown>>[] = [];
    try {
      await forEachOperand(operands, async (name) => {
        documents.push(volumeDocument(await inspectVolume(context, name)));
      });
    } finally {
      // Also when some of them do not exist: the others are shown.
      const { format } = flags;
      writeOutput(
        format === undefined || format === ""
          ? `${JSON.stringify(documents, undefined, 4)}\n`
          : documents.map((document) => formatRecord(document, format, () => "")).join(""),
      );
    }
    return 0;
  },
});
