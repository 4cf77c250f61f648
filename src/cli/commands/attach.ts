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
          "A container with a terminal goes on after ctrl-p ctrl-q, which is typed, and after a signal to gocker, which " +
          "is not passed on: with --no-stdin ctrl-C is one. Signals, ctrl-C too, are passed on to a container without a " +
          "terminal (--sig-proxy=false: they end gocker alone); the third SIGINT or SIGTERM within two seconds ends " +
          "gocker, too, with exit code 1. So does the closing of gocker's own terminal, which no container is told of.",
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
