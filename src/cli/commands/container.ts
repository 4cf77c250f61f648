import type { CommandGroup } from "../group.ts";

/** As docker has them: nearly all of these stand for themselves, too. */
export const containerCommand: CommandGroup = {
  meta: {
    name: "container",
    description: "Manage containers: the commands for them under one word",
    examples: [
      { words: "gocker container ls -a", does: "As gocker ps -a" },
      { words: "gocker container prune", does: "Remove those that do not run" },
    ],
  },
  commands: {
    attach: async () => (await import("./attach.ts")).attachCommand,
    cp: async () => (await import("./cp.ts")).cpCommand,
    create: async () => (await import("./create.ts")).createCommand,
    diff: async () => (await import("./diff.ts")).diffCommand,
    exec: async () => (await import("./exec.ts")).execCommand,
    inspect: async () => (await import("./inspect.ts")).inspectCommandFor("container"),
    kill: async () => (await import("./kill.ts")).killCommand,
    logs: async () => (await import("./logs.ts")).logsCommand,
    ls: async () => (await import("./ps.ts")).psCommand,
    pause: async () => (await import("./pause.ts")).pauseCommand,
    port: async () => (await import("./port.ts")).portCommand,
    prune: async () => (await import("./container/prune.ts")).containerPruneCommand,
    rename: async () => (await import("./rename.ts")).renameCommand,
    restart: async () => (await import("./restart.ts")).restartCommand,
    rm: async () => (await import("./rm.ts")).rmCommand,
    run: async () => (await import("./run.ts")).runCommand,
    start: async () => (await import("./start.ts")).startCommand,
    stats: async () => (await import("./stats.ts")).statsCommand,
    stop: async () => (await import("./stop.ts")).stopCommand,
    top: async () => (await import("./top.ts")).topCommand,
    unpause: async () => (await import("./unpause.ts")).unpauseCommand,
    update: async () => (await import("./update.ts")).updateCommand,
    wait: async () => (await import("./wait.ts")).waitCommand,
  },
  aliases: { list: "ls", ps: "ls", remove: "rm" },
};
