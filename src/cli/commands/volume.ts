import type { CommandGroup } from "../group.ts";

export const volumeCommand: CommandGroup = {
  meta: {
    name: "volume",
    description: "Manage volumes",
    examples: [
      { words: "gocker volume create db", does: "A volume, for run -v db:/var/lib/data" },
      { words: "gocker volume ls --filter dangling=true", does: "Those that no container has" },
      { words: "gocker volume prune", does: "Remove those of them that have no name" },
    ],
  },
  commands: {
    create: async () => (await import("./volume/create.ts")).volumeCreateCommand,
    inspect: async () => (await import("./inspect.ts")).inspectCommandFor("volume"),
    ls: async () => (await import("./volume/ls.ts")).volumeLsCommand,
    prune: async () => (await import("./volume/prune.ts")).volumePruneCommand,
    rm: async () => (await import("./volume/rm.ts")).volumeRmCommand,
  },
  aliases: { list: "ls", remove: "rm" },
};
