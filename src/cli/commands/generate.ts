import type { CommandGroup } from "../group.ts";

export const generateCommand: CommandGroup = {
  meta: {
    name: "generate",
    description: "Write files for other programs",
    examples: [
      {
        words: "gocker generate systemd > /etc/systemd/system/gocker.service",
        does: "Containers that outlive a reboot",
      },
    ],
  },
  commands: {
    systemd: async () => (await import("./generate/systemd.ts")).generateSystemdCommand,
  },
};
