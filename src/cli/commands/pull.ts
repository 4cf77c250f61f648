import { pull } from "../../engine/pull.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { TerminalUi } from "../output/run-ui.ts";
import { writeOutput } from "../output/write.ts";

export const pullCommand = command({
  meta: {
    name: "pull",
    description: "Fetch an image from its registry",
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    operands: { minimum: 1, maximum: 1 },
    absent: new Set(["all-tags", "a", "disable-content-trust"]),
    notes: [
      {
        heading: "Names",
        text:
          "Without a registry in front Docker Hub is meant, without a tag latest. A repository that has no latest gives " +
          "the last tag that its registry lists, and gocker says which one that is.",
      },
    ],
    examples: [
      { words: "gocker pull alpine:3.19", does: "From Docker Hub" },
      { words: "gocker pull --platform linux/arm64 ghcr.io/owner/app", does: "For another kind of machine" },
      { words: "gocker pull localhost:5000/app", does: "From a registry on this machine, over plain HTTP" },
    ],
  },
  flags: {
    platform: { type: "string", valueHint: "OS/ARCH[/VARIANT]", description: "Which of the image's platforms to take" },
    quiet: { type: "boolean", alias: "q", description: "Print only the image's ID" },
  },
  async run(invocation) {
    const { flags, operands, everywhere } = invocation;
    const [name = ""] = operands;
    const context = openEngine(everywhere);
    using ui = await TerminalUi.create({ debug: everywhere.debug, quiet: flags.quiet, verb: "Pulled", subject: name });
    const { image, substituted } = await pull(context, name, {
      platform: flags.platform || undefined,
      onProgress: ui.onPullProgress,
    });
    ui.finishPull();
    if (substituted !== undefined) {
      ui.warn(`${name} has no tag "latest": took "${substituted}", the last one that the registry lists`);
    }
    if (flags.quiet) writeOutput(`${image.id}\n`);
    return 0;
  },
});
