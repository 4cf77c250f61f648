import { load } from "../../engine/load.ts";
import { isTerminal } from "../../linux/terminal.ts";
import { familiarReference, parseReference } from "../../oci/reference.ts";
import { UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { TerminalUi } from "../output/run-ui.ts";
import { writeOutput } from "../output/write.ts";

const standardInput = 0;

export const loadCommand = command({
  meta: {
    name: "load",
    description: "Take images out of an archive, without any registry",
    usage: "[OPTIONS] [-i FILE]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      {
        heading: "Archives",
        text: "What docker save and podman save write, old and new, and OCI image layouts; plain, or packed with gzip or zstd.",
      },
    ],
    examples: [
      { words: "gocker load -i alpine.tar.gz", does: "From a file" },
      { words: "ssh build docker save app | gocker load", does: "From another machine" },
    ],
  },
  flags: {
    input: { type: "string", alias: "i", valueHint: "FILE", description: "Read this file instead of standard input" },
    platform: { type: "string", valueHint: "OS/ARCH[/VARIANT]", description: "Which of the image's platforms to take" },
    quiet: { type: "boolean", alias: "q", description: "Show no progress, only what was loaded" },
  },
  async run(invocation) {
    const { flags, everywhere } = invocation;
    const input = flags.input || standardInput;
    if (input === standardInput && isTerminal(standardInput)) {
      throw new UsageError("load needs an archive, and standard input is a terminal", {
        hint: "name a file with -i, or write: gocker load < FILE",
      });
    }
    const subject = input === standardInput ? "standard input" : (flags.input ?? "");
    const context = openEngine(everywhere);
    using ui = await TerminalUi.create({ debug: everywhere.debug, quiet: flags.quiet, verb: "Loaded", subject });
    const loaded = await load(context, input, {
      platform: flags.platform || undefined,
      onProgress: ui.onPullProgress,
    });
    ui.finishPull();
    for (const { image, references } of loaded) {
      // Docker's words, which scripts read.
      if (references.length === 0) writeOutput(`Loaded image ID: ${image.id}\n`);
      for (const reference of references)
        writeOutput(`Loaded image: ${familiarReference(parseReference(reference))}\n`);
    }
    return 0;
  },
});
