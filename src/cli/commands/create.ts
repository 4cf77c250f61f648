import { create } from "../../engine/create.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { TerminalUi } from "../output/run-ui.ts";
import { writeOutput } from "../output/write.ts";
import { absentRunFlags, runFlags } from "./run/flags.ts";
import { runOptions, runSurroundings } from "./run/options.ts";

const { detach: _detach, "detach-keys": _keys, "sig-proxy": _signals, explain: _explain, ...flags } = runFlags;

export const createCommand = command({
  meta: {
    name: "create",
    description: "Make a container of an image, to be started later",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY, endFlags: true },
    absent: absentRunFlags,
    examples: [
      { words: "gocker create --name web nginx", does: "A container that `gocker start web` starts" },
      { words: "gocker start -a $(gocker create alpine echo hi)", does: "The same as `gocker run alpine echo hi`" },
    ],
  },
  flags,
  async run({ flags: given, operands, asDocker, everywhere }) {
    const [image = "", ...words] = operands;
    const flagsOfRun = {
      ...given,
      detach: false,
      "detach-keys": undefined,
      "sig-proxy": undefined,
      explain: undefined,
    };
    const options = runOptions(flagsOfRun, [image, ...words], runSurroundings(asDocker));
    const context = openEngine(everywhere);
    using ui = await TerminalUi.create({
      debug: everywhere.debug,
      quiet: given.quiet,
      verb: "Pulled",
      subject: image,
    });
    const id = await create(context, options, ui);
    ui.finishPull();
    writeOutput(`${id}\n`);
    return 0;
  },
});
