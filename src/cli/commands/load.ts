import { UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
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
  async run({ flags, engine, debug }) {
    const input = flags.input || standardInput;
    if (input === standardInput && (await import("../../linux/terminal.ts")).isTerminal(standardInput)) {
      throw new UsageError("load needs an archive, and standard input is a terminal", {
        hint: "name a file with -i, or write: gocker load < FILE",
      });
    }
    const subject = input === standardInput ? "standard input" : (flags.input ?? "");
    const [{ load }, context, ui] = await Promise.all([
      import("../../engine/load.ts"),
      engine(),
      TerminalUi.create({ debug, quiet: flags.quiet, verb: "Loaded", subject }),
    ]);
    using _ui = ui;
    const loaded = await load(context, input, {
      platform: flags.platform || undefined,
      onProgress: ui.onPullProgress,
    });
    ui.finishPull();
    const { familiarReference, parseReference } = await import("../../oci/reference.ts");
    for (const { image, references } of loaded) {
      // Docker's words, which scripts read.
      if (references.length === 0) writeOutput(`Loaded image ID: ${image.id}\n`);
      for (const reference of references)
        writeOutput(`Loaded image: ${familiarReference(parseReference(reference))}\n`);
    }
    return 0;
  },
});
