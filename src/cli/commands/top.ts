import { topContainer } from "../../engine/top.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { columnsOf, formatProcesses } from "../output/process-list.ts";
import { writeOutput } from "../output/write.ts";

/** Docker's width of a column. */
const columnWidth = 20;

export const topCommand = command({
  meta: {
    name: "top",
    description: "List a container's processes, as the host numbers them",
    usage: "CONTAINER [WORDS FOR PS]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY, endFlags: true },
    notes: [
      {
        heading: "Words for ps",
        text:
          "-ef (which is the default), -e, aux, ax, and -o with names of columns. No ps is run: neither the host's nor " +
          "the container's. Users and groups are named as the host names them.",
      },
    ],
    examples: [
      { words: "gocker top web", does: "Who started what, and when" },
      { words: "gocker top web aux", does: "How much processor and memory they use" },
      { words: "gocker top web -o pid,user,args", does: "Only that" },
    ],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const [reference = "", ...words] = operands;
    const columns = columnsOf(words);
    writeOutput(formatProcesses(await topContainer(openEngine(everywhere), reference), columns, columnWidth));
    return 0;
  },
});
