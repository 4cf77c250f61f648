import { defaultDetachKeys, parseDetachKeys } from "../../container/detach-keys.ts";
import { attachToContainer } from "../../engine/attach.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";

export const attachCommand = command({
  meta: {
    name: "attach",
    description: "Show what a running container writes, and give it input",
    usage: "[OPTIONS] CONTAINER",
    operands: { minimum: 1, maximum: 1 },
    notes: [
      {
        heading: "Leaving",
        text:
          "A container with a terminal goes on after ctrl-p ctrl-q. Signals, ctrl-C too, are passed on to one without " +
          "(--sig-proxy=false: they end gocker alone).",
      },
    ],
    examples: [{ words: "gocker attach shell", does: "Back to a container that was left with ctrl-p ctrl-q" }],
  },
  flags: {
    "detach-keys": {
      type: "string",
      valueHint: "KEYS",
      description: "Keys that leave a container with a terminal (ctrl-p,ctrl-q)",
    },
    "no-stdin": { type: "boolean", description: "Give it no input" },
    "sig-proxy": { type: "enum", options: ["true", "false"], bare: "true", description: "Pass signals on (true)" },
  },
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    const [reference = ""] = operands;
    return await attachToContainer(context, reference, {
      input: !flags["no-stdin"],
      detachKeys: parseDetachKeys(flags["detach-keys"] || defaultDetachKeys),
      signals: flags["sig-proxy"] !== "false",
    });
  },
});
