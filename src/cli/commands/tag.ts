import { tagImage } from "../../engine/tag.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";

export const tagCommand = command({
  meta: {
    name: "tag",
    description: "Give an image one more name",
    usage: "IMAGE[:TAG] NEW_NAME[:TAG]",
    operands: { minimum: 2, maximum: 2 },
    examples: [{ words: "gocker tag alpine:3.19 registry.example.com/base:1", does: "The image has both names then" }],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const [image = "", name = ""] = operands;
    await tagImage(openEngine(everywhere), image, name);
    return 0;
  },
});
