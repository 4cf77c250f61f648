import type { CommandGroup } from "../group.ts";

export const imageCommand: CommandGroup = {
  meta: {
    name: "image",
    description: "Manage images: the commands for them, by docker's other names",
    examples: [{ words: "gocker image ls", does: "The same as `gocker images`" }],
  },
  commands: {
    inspect: async () => (await import("./inspect.ts")).inspectCommandFor("image"),
    load: async () => (await import("./load.ts")).loadCommand,
    ls: async () => (await import("./images.ts")).imagesCommand,
    pull: async () => (await import("./pull.ts")).pullCommand,
    rm: async () => (await import("./rmi.ts")).rmiCommand,
  },
  aliases: { list: "ls", remove: "rm" },
};
