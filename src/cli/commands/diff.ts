import { diffContainer } from "../../engine/diff.ts";
import { fromByteString } from "../../linux/at.ts";
import { isTerminal } from "../../linux/terminal.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { harmless } from "../output/style.ts";
import { writeOutput } from "../output/write.ts";

export const diffCommand = command({
  meta: {
    name: "diff",
    description: "List which files of its image a container has changed",
    usage: "CONTAINER",
    operands: { minimum: 1, maximum: 1 },
    notes: [{ heading: "Letters", text: "A is added, C is changed, D is deleted. What is in volumes is not told." }],
    examples: [{ words: "gocker diff web", does: "Whether or not it runs" }],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const [reference = ""] = operands;
    const changes = await diffContainer(openEngine(everywhere), reference);
    const lines = changes.map(({ kind, path }) => `${kind} ${path}\n`).join("");
    // The container chose the names: programs get their bytes, a terminal what it can show.
    writeOutput(isTerminal(1) ? harmless(fromByteString(lines), "\n") : Buffer.from(lines, "latin1"));
    return 0;
  },
});
