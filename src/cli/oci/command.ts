import { type ArgsDef, type CommandDef, defineCommand } from "citty";
import type { StateStore } from "../../runtime/state-store.ts";
import type { Operands } from "../command.ts";
import type { FlagDefinitions, FlagValues } from "../flags.ts";

/** citty's description of a command of the runtime, and what its grammar and help need besides. */
export interface OciCommandMeta {
  readonly name: string;
  readonly description: string;
  /** What follows the command's name: `[OPTIONS] ID`. */
  readonly usage: string;
  readonly operands: Operands;
  /** The exit code of an error: 1 unless told. */
  readonly failure?: number;
}

/** One call of a command of the runtime. */
export interface OciInvocation<Flags> {
  readonly flags: FlagValues<Flags>;
  readonly operands: readonly string[];
  readonly store: StateStore;
  /** The root directory is the default one, which is made when it is first needed. */
  readonly isDefaultRoot: boolean;
  /** New containers get their cgroups from systemd. Of the others their state tells. */
  readonly systemdCgroup: boolean;
  /** See `CreateOptions.isRootless`. */
  readonly isRootless: boolean;
  /** Tells of what is no error, on standard error and in the log. */
  readonly warn: (message: string) => void;
  /** Tells of what is only of interest with `--debug`. */
  readonly debug: (message: string) => void;
}

/** A command of the runtime. */
export interface OciCommand extends Omit<CommandDef, "args" | "meta"> {
  readonly meta: OciCommandMeta;
  readonly args: FlagDefinitions;
  /** Does what the command is for and returns the exit code. */
  invoke(invocation: OciInvocation<FlagDefinitions>): Promise<number>;
}

/** Defines a command of the runtime; `run` returns the exit code. */
export function ociCommand<const Flags extends FlagDefinitions>(definition: {
  readonly meta: OciCommandMeta;
  readonly flags: Flags;
  run(invocation: OciInvocation<Flags>): Promise<number>;
}): OciCommand {
  const { meta, flags } = definition;
  const invoke = (invocation: OciInvocation<FlagDefinitions>) => definition.run(invocation as OciInvocation<Flags>);
  return { ...defineCommand({ meta, args: flags as ArgsDef }), meta, args: flags, invoke };
}

/** The flags that `create` and `run` have in common. */
export const creationFlags = {
  bundle: { type: "string", alias: "b", valueHint: "DIR", description: "The bundle (default: the current directory)" },
  "console-socket": {
    type: "string",
    valueHint: "PATH",
    description: "A unix socket that takes the terminal's master side",
  },
  "pid-file": { type: "string", valueHint: "FILE", description: "Write the number of the first process there" },
  "pidfd-socket": {
    type: "string",
    valueHint: "PATH",
    description: "A unix socket that takes a pidfd of the first process",
  },
  "no-pivot": {
    type: "boolean",
    description: "Change the root as switch_root does, for hosts that run from their initial RAM disk",
  },
  "no-new-keyring": { type: "boolean", description: "Leave the container the caller's keyring" },
  "preserve-fds": {
    type: "string",
    valueHint: "N",
    description: "Hand on so many descriptors after the standard ones",
  },
} as const satisfies FlagDefinitions;
