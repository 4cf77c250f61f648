import { type ArgsDef, type CommandDef, type CommandMeta as CittyMeta, defineCommand } from "citty";
import type { FlagDefinitions, FlagValues } from "./flags.ts";

/** How many operands a command takes, and what they are called in its usage line. */
export interface Operands {
  readonly minimum: number;
  /** Infinity for any number. */
  readonly maximum: number;
  /** The first operand ends the flags: what follows is not gocker's (`run`). */
  readonly endFlags?: boolean;
}

/** A line of a command's help: what one types, and what it does. */
export interface Example {
  readonly words: string;
  readonly does: string;
}

/** citty's description of a command, and what gocker's help and grammar need besides. */
export interface CommandMeta extends CittyMeta {
  readonly name: string;
  /** One line, as `gocker --help` shows it. */
  readonly description: string;
  /** What follows the command's name: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  readonly operands: Operands;
  readonly examples?: readonly Example[];
  /** A paragraph of help with its heading. */
  readonly notes?: readonly { readonly heading: string; readonly text: string }[];
  /** Flags that Docker's command of this name has and gocker's has not. */
  readonly absent?: ReadonlySet<string>;
  /** Others of those, with what speaks against them. */
  readonly refused?: ReadonlyMap<string, string>;
}

/** What may stand before every command and after it. Paths may be relative; an empty text counts as not given. */
export interface EverywhereOptions {
  readonly root: string | undefined;
  readonly state: string | undefined;
  readonly config: string | undefined;
  readonly insecureRegistries: readonly string[];
  readonly debug: boolean;
}

/** One call of a command: its words read, its surroundings known. */
export interface Invocation<Flags> {
  readonly flags: FlagValues<Flags>;
  readonly operands: readonly string[];
  /** Called by a link named `docker`, and so to behave like Docker where the two differ. */
  readonly asDocker: boolean;
  /** The options that every command has: see `openEngine`. */
  readonly everywhere: EverywhereOptions;
}

/** A command of gocker: citty's definition whose words are read by {@link parseFlags} of flags.ts. */
export interface Command extends Omit<CommandDef, "args" | "meta"> {
  readonly meta: CommandMeta;
  readonly args: FlagDefinitions;
  /** Does what the command is for and returns the exit code. */
  invoke(invocation: Invocation<FlagDefinitions>): Promise<number>;
}

/** Defines a command; `run` returns the exit code. */
export function command<const Flags extends FlagDefinitions>(definition: {
  readonly meta: CommandMeta;
  readonly flags: Flags;
  run(invocation: Invocation<Flags>): Promise<number>;
}): Command {
  const { meta, flags } = definition;
  const invoke = (invocation: Invocation<FlagDefinitions>) => definition.run(invocation as Invocation<Flags>);
  // citty's definitions allow more than gocker's, and write them mutable.
  return { ...defineCommand({ meta, args: flags as ArgsDef }), meta, args: flags, invoke };
}
