import type { Command } from "./command.ts";
import type { FlagDefinitions } from "./flags.ts";
import { allCommands, type CommandGroup, type CommandTable } from "./group.ts";
import { commandHelp, programHelp } from "./help.ts";
import { helpLayout } from "./help-layout.ts";
import { writeOutput } from "./output/write.ts";

/** Prints what gocker itself can do. */
export async function showGeneralHelp(table: CommandTable, flags: FlagDefinitions): Promise<number> {
  const described = {
    name: "gocker",
    about: "containers from scratch: one file, no daemon, no helper programs",
    commands: await allCommands(table),
    flags,
    examples: [
      { words: "gocker run -it alpine sh", does: "A shell in Alpine Linux" },
      { words: "gocker run --explain=only alpine", does: "Every system call that would make that container" },
      { words: "gocker COMMAND --help", does: "All about one command" },
      { words: "gocker oci --help", does: "gocker as the OCI runtime of containerd, CRI-O and podman" },
    ],
  };
  writeOutput(programHelp(described, helpLayout()));
  return 0;
}

/** Prints the commands of a group. */
export async function showGroupHelp(
  group: CommandGroup,
  table: CommandTable,
  common: FlagDefinitions,
): Promise<number> {
  const { description, examples = [] } = group.meta;
  const described = {
    name: table.program,
    about: description,
    commands: await allCommands(table),
    flags: common,
    examples,
  };
  writeOutput(programHelp(described, helpLayout()));
  return 0;
}

/** Prints all about one command. */
export function showCommandHelp(command: Command, common: FlagDefinitions): number {
  writeOutput(commandHelp(command, common, helpLayout()));
  return 0;
}
