import { defineCommand } from "citty";
import { UsageError } from "../../util/errors.ts";
import { nearestNames } from "../../util/nearest.ts";
import { alternatives, type FlagDefinitions, parseFlags } from "../flags.ts";
import { writeOutput } from "../output/write.ts";
import type { OciCommand } from "./command.ts";
import { InterruptedError } from "./interrupted.ts";
import { OciLog } from "./log.ts";
import { isCallRootless, ownCaller, parseRootless } from "./rootless.ts";
import { defaultStateRoot, givenStateRoot } from "./state-root.ts";

const help = { type: "boolean", alias: "h", description: "Show this help" } as const;

/** What may stand before the command, as runc has it. */
const globalFlags = {
  root: {
    type: "string",
    valueHint: "DIR",
    description:
      "Keep the containers' states there (default: /run/gocker/oci; without root $XDG_RUNTIME_DIR/gocker/oci)",
  },
  log: { type: "string", valueHint: "FILE", description: "Write errors and warnings there too" },
  "log-format": { type: "enum", options: ["text", "json"], default: "text", description: "How they are written" },
  "systemd-cgroup": {
    type: "boolean",
    description: "Have systemd make the cgroups of new containers: cgroupsPath is SLICE:PREFIX:NAME then",
  },
  rootless: {
    type: "string",
    valueHint: "BOOL",
    default: "auto",
    description: "true: let containers go without a cgroup where none may be made; auto: when not the host's root",
  },
  debug: { type: "boolean", description: "Tell more" },
  version: { type: "boolean", alias: "v", description: "Show the versions of gocker and of the specification" },
  help,
} as const satisfies FlagDefinitions;

/** The runtime as citty defines it: each command's code is read only when it is called. */
const runtime = defineCommand({
  meta: { name: "gocker oci" },
  subCommands: {
    create: async () => (await import("./commands/create.ts")).createCommand,
    start: async () => (await import("./commands/start.ts")).startCommand,
    run: async () => (await import("./commands/run.ts")).runCommand,
    exec: async () => (await import("./commands/exec.ts")).execCommand,
    state: async () => (await import("./commands/state.ts")).stateCommand,
    kill: async () => (await import("./commands/kill.ts")).killCommand,
    delete: async () => (await import("./commands/delete.ts")).deleteCommand,
    pause: async () => (await import("./commands/pause.ts")).pauseCommand,
    resume: async () => (await import("./commands/resume.ts")).resumeCommand,
    update: async () => (await import("./commands/update.ts")).updateCommand,
    events: async () => (await import("./commands/events.ts")).eventsCommand,
    list: async () => (await import("./commands/list.ts")).listCommand,
    ps: async () => (await import("./commands/ps.ts")).psCommand,
    features: async () => (await import("./commands/features.ts")).featuresCommand,
    spec: async () => (await import("./commands/spec.ts")).specCommand,
    checkpoint: async () => (await import("./commands/checkpoint.ts")).checkpointCommand,
    restore: async () => (await import("./commands/checkpoint.ts")).restoreCommand,
  },
});

const commands = runtime.subCommands as Readonly<Record<string, () => Promise<OciCommand>>>;

/**
 * The command line of the OCI runtime, as containerd, CRI-O and podman call runc's. Reports what goes wrong on standard
 * error and in the log, and returns the exit code.
 * @param words without `oci`
 */
export async function main(words: readonly string[]): Promise<number> {
  const log = new OciLog();
  let failure = 1;
  try {
    const global = parseFlags(words, globalFlags, { stopAtOperand: true });
    const { flags } = global;
    log.open({ file: flags.log, format: flags["log-format"], debug: flags.debug });
    if (flags.version) return await showVersion();
    const [name, ...rest] = global.operands;
    if (name === undefined || flags.help) return await showHelp();
    const isRootless = isCallRootless(parseRootless(flags.rootless), ownCaller());
    log.debug(`gocker oci ${name}: ${rest.join(" ")}`);
    const command = await findCommand(name);
    failure = command.meta.failure ?? 1;
    const parsed = parseFlags(
      rest,
      { ...command.args, help },
      {
        command: `oci ${name}`,
        stopAtOperand: command.meta.operands.endFlags === true,
      },
    );
    if ((parsed.flags as { readonly help: boolean }).help) return await showCommandHelp(command);
    checkOperands(command, parsed.operands);
    const { StateStore } = await import("../../runtime/state-store.ts");
    return await command.invoke({
      flags: parsed.flags,
      operands: parsed.operands,
      // Its place is made, and checked, for who asks for it: some commands have nothing to do with containers.
      get store() {
        return new StateStore(givenStateRoot(flags.root) ?? defaultStateRoot());
      },
      isDefaultRoot: flags.root === undefined,
      systemdCgroup: flags["systemd-cgroup"],
      isRootless,
      warn: (message) => log.warn(message),
      debug: (message) => log.debug(message),
    });
  } catch (error) {
    await log.fail(error);
    return error instanceof InterruptedError ? 128 + error.signal : failure;
  }
}

async function findCommand(name: string): Promise<OciCommand> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load !== undefined) return load();
  const near = nearestNames(name, Object.keys(commands)).map((one) => `gocker oci ${one}`);
  const advice = near.length === 0 ? "" : `did you mean ${alternatives(near)}? `;
  throw new UsageError(`there is no command ${JSON.stringify(name)}`, {
    hint: `${advice}gocker oci --help lists the commands`,
  });
}

function checkOperands(command: OciCommand, operands: readonly string[]): void {
  const { name, usage } = command.meta;
  const { minimum, maximum } = command.meta.operands;
  if (operands.length >= minimum && operands.length <= maximum) return;
  throw new UsageError(`oci ${name} got ${operands.length} arguments`, { hint: `usage: gocker oci ${name} ${usage}` });
}

async function showVersion(): Promise<number> {
  const [{ version }, { ociVersionMax }] = await Promise.all([
    import("../../util/version.ts"),
    import("../../runtime/features.ts"),
  ]);
  writeOutput(`gocker-oci version ${version}\nspec: ${ociVersionMax}\n`);
  return 0;
}

async function showHelp(): Promise<number> {
  const [{ programHelp }, { helpLayout }] = await Promise.all([import("../help.ts"), import("../help-layout.ts")]);
  const described = {
    name: "gocker oci",
    about: "the OCI runtime, for containerd, CRI-O, podman and all that call runc",
    commands: await Promise.all(Object.values(commands).map((load) => load())),
    flags: globalFlags,
    examples: [
      { words: "gocker oci run --bundle DIR ID", does: "Run the container that a bundle describes" },
      { words: "podman --runtime /usr/local/bin/gocker-oci run alpine true", does: "The same by a link of that name" },
    ],
  };
  writeOutput(programHelp(described, helpLayout()));
  return 0;
}

async function showCommandHelp(command: OciCommand): Promise<number> {
  const [{ commandHelp }, { helpLayout }] = await Promise.all([import("../help.ts"), import("../help-layout.ts")]);
  writeOutput(commandHelp(command, { help }, helpLayout(), "gocker oci"));
  return 0;
}
