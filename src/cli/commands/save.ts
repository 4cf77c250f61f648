import { closeSync, openSync, statSync } from "node:fs";
import { saveImages } from "../../engine/save.ts";
import { writeAll } from "../../linux/fd.ts";
import { PendingFile } from "../../linux/pending-file.ts";
import { isTerminal } from "../../linux/terminal.ts";
import { UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";

const standardOutput = 1;

export const saveCommand = command({
  meta: {
    name: "save",
    description: "Write images into an archive",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    absent: new Set(["platform"]),
    notes: [
      {
        heading: "The archive",
        text: "An OCI image layout that is what docker save writes, too: gocker load, docker load, podman load and skopeo read it.",
      },
    ],
    examples: [
      { words: "gocker save -o alpine.tar alpine:3.19", does: "Into a file" },
      { words: "gocker save app | ssh other gocker load", does: "To another machine, with all tags of the repository" },
    ],
  },
  flags: {
    output: {
      type: "string",
      alias: "o",
      valueHint: "FILE",
      description: "Write this file instead of standard output",
    },
  },
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    if (flags.output === undefined || flags.output === "") {
      if (isTerminal(standardOutput)) {
        throw new UsageError("an archive is nothing for a terminal", { hint: "name a file with -o, or use a pipe" });
      }
      await saveImages(context, operands, writeOutput);
      return 0;
    }
    await saveToFile(flags.output, (write) => saveImages(context, operands, write));
    return 0;
  },
});

/** What is there stays as it is until all is written; what is no regular file, such as a FIFO, is written to. */
async function saveToFile(path: string, save: (write: (bytes: Uint8Array) => void) => Promise<void>): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    let file: number | undefined;
    try {
      await save((bytes) => writeAll((file ??= openSync(path, "w")), bytes));
    } finally {
      if (file !== undefined) closeSync(file);
    }
    return;
  }
  using file = PendingFile.create(path, 0o600);
  await save((bytes) => writeAll(file.descriptor, bytes));
  file.finish();
}
