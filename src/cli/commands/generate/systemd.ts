import { findContainer } from "../../../engine/find-container.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { writeOutput } from "../../output/write.ts";
import { bootUnit, containerUnit } from "./units.ts";

export const generateSystemdCommand = command({
  meta: {
    name: "systemd",
    description: "Write a unit of systemd for all containers, or for one",
    usage: "[CONTAINER]",
    operands: { minimum: 0, maximum: 1 },
    notes: [
      {
        heading: "What to do with it",
        text:
          "As /etc/systemd/system/gocker.service, and enabled by `systemctl enable --now gocker`, it starts after each " +
          "boot what `--restart always` and `unless-stopped` are for, and stops that before a shutdown. The unit of a " +
          "single container runs it as a service of its own, whose policy is systemd's.",
      },
    ],
    examples: [
      { words: "gocker generate systemd >gocker.service", does: "The unit that starts containers after a boot" },
      { words: "gocker generate systemd web", does: "A service of one container" },
    ],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const context = openEngine(everywhere);
    const [reference] = operands;
    const place = { program: process.execPath, root: context.root, state: context.state };
    if (reference === undefined) writeOutput(bootUnit(place));
    else writeOutput(containerUnit(place, (await findContainer(context, reference)).record));
    return 0;
  },
});
