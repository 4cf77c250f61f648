import { defineCommand } from "citty";
import { UsageError } from "../util/errors.ts";
import { nearestNames } from "../util/nearest.ts";
import type { Command, Invocation } from "./command.ts";
import { alternatives, type FlagDefinitions, type FlagValues, parseFlags } from "./flags.ts";
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
    images: async () => (await import("./commands/images.ts")).imagesCommand,
    rmi: async () => (await import("./commands/rmi.ts")).rmiCommand,
    ps: async () => (await import("./commands/ps.ts")).psCommand,
    rm: async () => (await import("./commands/rm.ts")).rmCommand,
    update: async () => (await import("./commands/update.ts")).updateCommand,
    version: async () => (await import("./commands/version.ts")).versionCommand,
    info: async () => (await import("./commands/info.ts")).infoCommand,
    inspect: async () => (await import("./commands/inspect.ts")).inspectCommand,
    port: async () => (await import("./commands/port.ts")).portCommand,
  },
});

type CommandLoader = () => Promise<Command>;

const commands = gocker.subCommands as Readonly<Record<string, CommandLoader>>;

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

async function dispatch(words: readonly string[], asDocker: boolean, settings: { debug: boolean }): Promise<number> {
  const global = parseFlags(words, globalFlags, { stopAtOperand: true });
  settings.debug = global.flags.debug;
  if (global.flags.version) return showVersion();
  const [name, ...rest] = global.operands;
  if (name === undefined || global.flags.help) return showGeneralHelp();
  // `gocker help run` is what many try first.
  if (name === "help") {
    return rest[0] === undefined ? showGeneralHelp() : dispatch([rest[0], "--help"], asDocker, settings);
  }
  const command = await findCommand(name);

  const common = commonFlags(command);
  const parsed = parseFlags(
    rest,
    { ...command.args, ...common },
    {
      command: name,
      stopAtOperand: command.meta.operands.endFlags === true,
      ...(command.meta.absent === undefined ? {} : { absent: command.meta.absent }),
    },
  );
  const flags = parsed.flags as unknown as FlagValues<typeof everywhere & { help: typeof help }>;
  settings.debug ||= flags.debug;
  if (flags.help) return showCommandHelp(command, common);
  checkOperands(command, parsed.operands);

  const invocation: Invocation<FlagDefinitions> = {
    flags: parsed.flags,
    operands: parsed.operands,
    asDocker,
    everywhere: {
      root: flags.root ?? global.flags.root,
      state: flags.state ?? global.flags.state,
      config: flags.config ?? global.flags.config,
      insecureRegistries: [...global.flags["insecure-registry"], ...flags["insecure-registry"]],
      debug: settings.debug,
    },
  };
  return command.invoke(invocation);
}

async function findCommand(name: string): Promise<Command> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load !== undefined) return load();
  const near = nearestNames(name, Object.keys(commands)).map((one) => `gocker ${one}`);
  const advice = near.length === 0 ? "" : `did you mean ${alternatives(near)}? `;
  throw new UsageError(`there is no command ${JSON.stringify(name)}`, {
    hint: `${advice}gocker --help lists the commands`,
  });
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
  const [{ programHelp }, layout] = await Promise.all([
    import("./help.ts"),
    import("./help-layout.ts").then((module) => module.helpLayout()),
  ]);
  const described = {
    name: "gocker",
    about: "containers from scratch: one file, no daemon, no helper programs",
    commands: await Promise.all(Object.values(commands).map((load) => load())),
    flags: globalFlags,
    examples: [
      { words: "gocker run -it alpine sh", does: "A shell in Alpine Linux" },
      { words: "gocker run --explain=only alpine", does: "Every system call that would make that container" },
      { words: "gocker COMMAND --help", does: "All about one command" },
      { words: "gocker oci --help", does: "gocker as the OCI runtime of containerd, CRI-O and podman" },
    ],
  };
  writeOutput(programHelp(described, layout));
  return 0;
}

async function showCommandHelp(command: Command, common: FlagDefinitions): Promise<number> {
  const [{ commandHelp }, layout] = await Promise.all([
    import("./help.ts"),
    import("./help-layout.ts").then((module) => module.helpLayout()),
  ]);
  writeOutput(commandHelp(command, common, layout));
  return 0;
}
