import { defineCommand } from "citty";
import { UsageError } from "../util/errors.ts";
import type { Command, EverywhereOptions, Invocation } from "./command.ts";
import { type FlagDefinitions, type FlagValues, parseFlags } from "./flags.ts";
import { type CommandGroup, type Commands, type CommandTable, findCommand, isGroup } from "./group.ts";
import { writeError, writeOutput } from "./output/write.ts";

/** What may stand before the command and after it. */
const everywhere = {
  root: {
    type: "string",
    valueHint: "DIR",
    description: "Keep images and containers there (GOCKER_ROOT, else /var/lib/gocker)",
  },
  state: {
    type: "string",
    valueHint: "DIR",
    description: "Keep what a boot may forget there (GOCKER_STATE, else /run/gocker)",
  },
  config: {
    type: "string",
    valueHint: "FILE",
    description: "Settings of the registries (GOCKER_CONFIG, else /etc/gocker/config.json)",
  },
  "insecure-registry": {
    type: "string",
    repeated: true,
    valueHint: "HOST[:PORT]",
    description: "Talk to this registry without TLS that can be trusted",
  },
  debug: { type: "boolean", alias: "D", description: "Tell what is being done, and all about errors" },
} as const satisfies FlagDefinitions;

const help = { type: "boolean", alias: "h", description: "Show this help" } as const;

const globalFlags = {
  ...everywhere,
  version: { type: "boolean", alias: "v", description: "Show gocker's version" },
  help,
} as const satisfies FlagDefinitions;

/** gocker as citty defines it: each command's code is read only when it is called. */
const gocker = defineCommand({
  meta: { name: "gocker" },
  subCommands: {
    run: async () => (await import("./commands/run.ts")).runCommand,
    create: async () => (await import("./commands/create.ts")).createCommand,
    start: async () => (await import("./commands/start.ts")).startCommand,
    stop: async () => (await import("./commands/stop.ts")).stopCommand,
    restart: async () => (await import("./commands/restart.ts")).restartCommand,
    kill: async () => (await import("./commands/kill.ts")).killCommand,
    attach: async () => (await import("./commands/attach.ts")).attachCommand,
    exec: async () => (await import("./commands/exec.ts")).execCommand,
    logs: async () => (await import("./commands/logs.ts")).logsCommand,
    pull: async () => (await import("./commands/pull.ts")).pullCommand,
    load: async () => (await import("./commands/load.ts")).loadCommand,
    save: async () => (await import("./commands/save.ts")).saveCommand,
    tag: async () => (await import("./commands/tag.ts")).tagCommand,
    history: async () => (await import("./commands/history.ts")).historyCommand,
    images: async () => (await import("./commands/images.ts")).imagesCommand,
    rmi: async () => (await import("./commands/rmi.ts")).rmiCommand,
    ps: async () => (await import("./commands/ps.ts")).psCommand,
    rm: async () => (await import("./commands/rm.ts")).rmCommand,
    update: async () => (await import("./commands/update.ts")).updateCommand,
    image: async () => (await import("./commands/image.ts")).imageCommand,
    generate: async () => (await import("./commands/generate.ts")).generateCommand,
    container: async () => (await import("./commands/container.ts")).containerCommand,
    system: async () => (await import("./commands/system.ts")).systemCommand,
    volume: async () => (await import("./commands/volume.ts")).volumeCommand,
    network: async () => (await import("./commands/network.ts")).networkCommand,
    cp: async () => (await import("./commands/cp.ts")).cpCommand,
    diff: async () => (await import("./commands/diff.ts")).diffCommand,
    pause: async () => (await import("./commands/pause.ts")).pauseCommand,
    unpause: async () => (await import("./commands/unpause.ts")).unpauseCommand,
    rename: async () => (await import("./commands/rename.ts")).renameCommand,
    stats: async () => (await import("./commands/stats.ts")).statsCommand,
    top: async () => (await import("./commands/top.ts")).topCommand,
    wait: async () => (await import("./commands/wait.ts")).waitCommand,
    events: async () => (await import("./commands/events.ts")).eventsCommand,
    version: async () => (await import("./commands/version.ts")).versionCommand,
    info: async () => (await import("./commands/info.ts")).infoCommand,
    inspect: async () => (await import("./commands/inspect.ts")).inspectCommand,
    port: async () => (await import("./commands/port.ts")).portCommand,
  },
});

/** Groups of commands are among them. */
const commands: CommandTable = { program: "gocker", commands: gocker.subCommands as unknown as Commands };

/**
 * The command line: does what the words ask for, reports what goes wrong, and returns the exit code.
 * @param words without the program's own name
 * @param program the name by which gocker was called; `docker` gives Docker's rule for the words after the image
 */
export async function main(words: readonly string[], program = process.argv0.split("/").at(-1)): Promise<number> {
  const settings = { debug: false };
  try {
    return await dispatch(words, program === "docker", settings);
  } catch (error) {
    const [{ reportError }, { wantsColour }] = await Promise.all([
      import("./errors.ts"),
      import("./output/terminal.ts"),
    ]);
    const { text, exitCode } = reportError(error, { debug: settings.debug, colour: wantsColour(2) });
    writeError(text);
    return exitCode;
  }
}

/** What all parts of one call share. */
interface Call {
  readonly asDocker: boolean;
  readonly settings: { debug: boolean };
}

/** What was said of {@link everywhere}, before the command and after it. */
type EverywhereValues = FlagValues<typeof everywhere>;

async function dispatch(words: readonly string[], asDocker: boolean, settings: { debug: boolean }): Promise<number> {
  const global = parseFlags(words, globalFlags, { stopAtOperand: true });
  settings.debug = global.flags.debug;
  if (global.flags.version) return showVersion();
  const [name, ...rest] = global.operands;
  if (name === undefined || global.flags.help) return showGeneralHelp();
  // `gocker help run` is what many try first.
  if (name === "help") return rest.length === 0 ? showGeneralHelp() : showHelpOf(rest, commands);
  return invoke(await findCommand(commands, name), rest, [global.flags], { asDocker, settings });
}

/** @param before what stood before the command of {@link everywhere}, from left to right */
async function invoke(
  found: Command | CommandGroup,
  words: readonly string[],
  before: readonly EverywhereValues[],
  call: Call,
): Promise<number> {
  if (isGroup(found)) return invokeInGroup(found, words, before, call);
  const common = commonFlags(found);
  const parsed = parseFlags(
    words,
    { ...found.args, ...common },
    {
      command: found.meta.name,
      stopAtOperand: found.meta.operands.endFlags === true,
      ...(found.meta.absent === undefined ? {} : { absent: found.meta.absent }),
      ...(found.meta.refused === undefined ? {} : { refused: found.meta.refused }),
    },
  );
  const flags = parsed.flags as unknown as EverywhereValues & FlagValues<{ help: typeof help }>;
  call.settings.debug ||= flags.debug;
  if (flags.help) return showCommandHelp(found);
  checkOperands(found, parsed.operands);
  const invocation: Invocation<FlagDefinitions> = {
    flags: parsed.flags,
    operands: parsed.operands,
    asDocker: call.asDocker,
    everywhere: everywhereOptions([...before, flags], call.settings.debug),
  };
  return found.invoke(invocation);
}

async function invokeInGroup(
  group: CommandGroup,
  words: readonly string[],
  before: readonly EverywhereValues[],
  call: Call,
): Promise<number> {
  const { flags, operands } = parseFlags(
    words,
    { ...everywhere, help },
    { command: group.meta.name, stopAtOperand: true },
  );
  call.settings.debug ||= flags.debug;
  const [name, ...rest] = operands;
  if (name === undefined || flags.help) return showGroupHelp(group);
  return invoke(await findCommand(tableOf(group), name), rest, [...before, flags], call);
}

function tableOf({ meta, commands: own, aliases }: CommandGroup): CommandTable {
  return { program: `gocker ${meta.name}`, commands: own, aliases };
}

/** The last one given counts, as everywhere; registries add up. */
function everywhereOptions(given: readonly EverywhereValues[], debug: boolean): EverywhereOptions {
  const last = (name: "root" | "state" | "config") => given.findLast((flags) => flags[name] !== undefined)?.[name];
  return {
    root: last("root"),
    state: last("state"),
    config: last("config"),
    insecureRegistries: given.flatMap((flags) => flags["insecure-registry"]),
    debug,
  };
}

/** The flags that every command has; a command that uses one's letter itself (`run -h`) keeps it. */
function commonFlags(command: Command): FlagDefinitions {
  const letters = new Set(Object.values(command.args).flatMap((flag) => flag.alias ?? []));
  const free = (flag: FlagDefinitions[string]) => {
    if (flag.alias === undefined || !letters.has(flag.alias as string)) return flag;
    const { alias: _taken, ...rest } = flag;
    return rest as FlagDefinitions[string];
  };
  return Object.fromEntries(Object.entries({ ...everywhere, help }).map(([name, flag]) => [name, free(flag)]));
}

function checkOperands(command: Command, operands: readonly string[]): void {
  const { name, usage, operands: wanted } = command.meta;
  const { minimum, maximum } = wanted;
  if (operands.length >= minimum && operands.length <= maximum) return;
  const number = operands.length < minimum ? minimum : maximum;
  const atLeast = minimum === maximum ? "" : operands.length < minimum ? "at least " : "at most ";
  const reason = number === 0 ? "takes no arguments" : `needs ${atLeast}${number} argument${number === 1 ? "" : "s"}`;
  throw new UsageError(`${name} ${reason}, and got ${operands.length === 0 ? "none" : operands.length}`, {
    hint: `usage: gocker ${name} ${usage}`,
  });
}

async function showVersion(): Promise<number> {
  const { version } = await import("../util/version.ts");
  writeOutput(`gocker version ${version}\n`);
  return 0;
}

async function showGeneralHelp(): Promise<number> {
  return (await import("./show-help.ts")).showGeneralHelp(commands, globalFlags);
}

async function showGroupHelp(group: CommandGroup): Promise<number> {
  return (await import("./show-help.ts")).showGroupHelp(group, tableOf(group), { ...everywhere, help });
}

async function showCommandHelp(command: Command): Promise<number> {
  return (await import("./show-help.ts")).showCommandHelp(command, commonFlags(command));
}

/** `gocker help run`, `gocker help volume ls`; what follows a command's name does not matter. */
async function showHelpOf([name = "", ...rest]: readonly string[], table: CommandTable): Promise<number> {
  const found = await findCommand(table, name);
  if (!isGroup(found)) return showCommandHelp(found);
  return rest.length === 0 ? showGroupHelp(found) : showHelpOf(rest, tableOf(found));
}
