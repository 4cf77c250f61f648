import type { CommandGroup } from "../group.ts";

export const imageCommand: CommandGroup = {
  meta: {
    name: "image",
    description: "Manage images: the commands for them, by docker's other names",
    examples: [{ words: "gocker image ls", does: "The same as `gocker images`" }],
  },
  commands: {
    history: async () => (await import("./history.ts")).historyCommand,
    inspect: async () => (await import("./inspect.ts")).inspectCommandFor("image"),
    load: async () => (await import("./load.ts")).loadCommand,
    ls: async () => (await import("./images.ts")).imagesCommand,
    prune: async () => (await import("./image/prune.ts")).imagePruneCommand,
    pull: async () => (await import("./pull.ts")).pullCommand,
    rm: async () => (await import("./rmi.ts")).rmiCommand,
    save: async () => (await import("./save.ts")).saveCommand,
    tag: async () => (await import("./tag.ts")).tagCommand,
  },
  aliases: { list: "ls", remove: "rm" },
};
