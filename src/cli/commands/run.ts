import { run, runDetached } from "../../engine/run.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { TerminalUi } from "../output/run-ui.ts";
import { writeOutput } from "../output/write.ts";
import { absentRunFlags, refusedRunFlags, runFlags } from "./run/flags.ts";
import { runOptions, runSurroundings } from "./run/options.ts";

export const runCommand = command({
  meta: {
    name: "run",
    description: "Make a container of an image and run a command in it",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY, endFlags: true },
    absent: absentRunFlags,
    refused: refusedRunFlags,
    notes: [
      {
        heading: "The words after the image",
        text: [
          "All options come before the image: every word after it, --help included, is the container's.",
          "",
          "  run IMAGE                the image's ENTRYPOINT with its CMD",
          "  run IMAGE WORD...        the words are the command; no ENTRYPOINT, no CMD",
          "  run IMAGE -WORD...       the words are arguments of ENTRYPOINT, not CMD",
          "  run IMAGE -- WORD...     the same, for words that do not begin with -",
          "  run --entrypoint P IMAGE WORD...",
          "                           P with the words as its arguments",
          "",
          "Called by a link named docker, gocker does as Docker does: the words are always arguments of ENTRYPOINT.",
        ].join("\n"),
      },
      {
        heading: "Exit code",
        text:
          "The command's own; 128 and the signal's number when a signal ended it; 127 when it was not found, 126 when " +
          "it could not be executed, 125 when gocker itself failed; 1 when the container was left alone.",
      },
      {
        heading: "Signals",
        text:
          "are passed on. The third SIGINT or SIGTERM within two seconds kills a container that belongs to this command " +
          "(--rm, and nothing that needs a monitor), and makes gocker leave any other one alone.",
      },
    ],
    examples: [
      { words: "gocker run -it alpine sh", does: "A shell in Alpine Linux, with a terminal" },
      {
        words: "gocker run --rm debian:12 cat /etc/os-release",
        does: "One command; the container is removed after it",
      },
      {
        words: "gocker run --rm -v ./site:/srv:ro -w /srv python:3 python -m http.server",
        does: "A server for files of the host",
      },
      { words: "gocker run bitnami/kubectl -- get pods", does: "Arguments for the image's own program" },
      { words: "gocker run --explain alpine true", does: "What a container is, step by step, and how long each took" },
    ],
  },
  flags: runFlags,
  async run(invocation) {
    const { flags, operands, asDocker, everywhere } = invocation;
    const [image = "", ...words] = operands;
    const options = runOptions(flags, [image, ...words], runSurroundings(asDocker));
    const context = openEngine(everywhere);
    using ui = await TerminalUi.create({
      debug: everywhere.debug,
      quiet: flags.quiet,
      verb: "Pulled",
      subject: image,
      explain: flags.explain,
    });
    if (options.detach) {
      const id = await runDetached(context, options, ui);
      ui.finishPull();
      writeOutput(`${id}\n`);
      return 0;
    }
    const exitCode = await run(context, options, ui);
    ui.finishPull();
    return exitCode;
  },
});
