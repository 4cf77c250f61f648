import { renameContainer } from "../../engine/rename.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";

export const renameCommand = command({
  meta: {
    name: "rename",
    description: "Give a container another name",
    usage: "CONTAINER NEW_NAME",
    operands: { minimum: 2, maximum: 2 },
    examples: [{ words: "gocker rename web web-old", does: "Running or not; its host name stays" }],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const [reference = "", name = ""] = operands;
    await renameContainer(openEngine(everywhere), reference, name);
    return 0;
  },
});
