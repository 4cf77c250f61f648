import type { CommandGroup } from "../group.ts";

export const systemCommand: CommandGroup = {
  meta: {
    name: "system",
    description: "All that gocker has here: what it takes on the disk, and what of it may go",
    examples: [{ words: "gocker system prune", does: "Remove what is of no use any more" }],
  },
  commands: {
    df: async () => (await import("./system/df.ts")).systemDfCommand,
    events: async () => (await import("./events.ts")).eventsCommand,
    info: async () => (await import("./info.ts")).infoCommand,
    prune: async () => (await import("./system/prune.ts")).systemPruneCommand,
  },
};
