import type { CommandGroup } from "../group.ts";

export const networkCommand: CommandGroup = {
  meta: {
    name: "network",
    description: "Manage networks of containers",
    examples: [
      { words: "gocker network create blue", does: "A network, for run --network blue: names are known in it" },
      { words: "gocker network inspect blue", does: "Its addresses, and who is in it" },
      { words: "gocker network prune", does: "Remove those that no container wants to be in" },
    ],
  },
  commands: {
    connect: async () => (await import("./network/connect.ts")).networkConnectCommand,
    create: async () => (await import("./network/create.ts")).networkCreateCommand,
    disconnect: async () => (await import("./network/disconnect.ts")).networkDisconnectCommand,
    inspect: async () => (await import("./inspect.ts")).inspectCommandFor("network"),
    ls: async () => (await import("./network/ls.ts")).networkLsCommand,
    prune: async () => (await import("./network/prune.ts")).networkPruneCommand,
    repair: async () => (await import("./network/repair.ts")).networkRepairCommand,
    rm: async () => (await import("./network/rm.ts")).networkRmCommand,
  },
  aliases: { list: "ls", remove: "rm" },
};
