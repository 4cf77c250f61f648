import { UsageError } from "../util/errors.ts";
import { nearestNames } from "../util/nearest.ts";
import type { Command, CommandMeta } from "./command.ts";
import { alternatives } from "./flags.ts";

/** Commands that belong together under one word: `gocker volume`, of which `gocker volume ls` is one. */
export interface CommandGroup {
  readonly meta: Pick<CommandMeta, "name" | "description" | "examples">;
  /** By the words after the group's name. Each command's code is read only when it is called. */
  readonly commands: Commands;
  /** Further words for some of them: `list` for `ls`. */
  readonly aliases?: Readonly<Record<string, string>>;
}

export type Commands = Readonly<Record<string, () => Promise<Command | CommandGroup>>>;

/** Whether a word stands for a group and not for a command. */
export function isGroup(found: Command | CommandGroup): found is CommandGroup {
  return "commands" in found;
}

/** Where commands are looked up: gocker's own, or those of a group. */
export interface CommandTable {
  /** The words before a command's name: `gocker`, `gocker volume`. */
  readonly program: string;
  readonly commands: Commands;
  readonly aliases?: Readonly<Record<string, string>> | undefined;
}

/**
 * The command or group that a word stands for. Its name is what follows `gocker`: one command may be in several groups.
 * @throws UsageError there is none
 */
export async function findCommand(table: CommandTable, word: string): Promise<Command | CommandGroup> {
  const { commands, aliases = {} } = table;
  const name = (Object.hasOwn(aliases, word) ? aliases[word] : undefined) ?? word;
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) throw noSuchCommand(table, word);
  return named(await load(), [...table.program.split(" ").slice(1), name].join(" "));
}

/** What the help of a table lists, by the words that are typed there. */
export function allCommands({ commands }: CommandTable): Promise<(Command | CommandGroup)[]> {
  return Promise.all(Object.entries(commands).map(async ([name, load]) => named(await load(), name)));
}

function named(found: Command | CommandGroup, name: string): Command | CommandGroup {
  return isGroup(found) ? { ...found, meta: { ...found.meta, name } } : { ...found, meta: { ...found.meta, name } };
}

function noSuchCommand({ program, commands, aliases = {} }: CommandTable, word: string): UsageError {
  const names = [...Object.keys(commands), ...Object.keys(aliases)];
  const near = nearestNames(word, names).map((one) => `${program} ${one}`);
  const advice = near.length === 0 ? "" : `did you mean ${alternatives(near)}? `;
  const what = program === "gocker" ? JSON.stringify(word) : JSON.stringify(`${program} ${word}`);
  return new UsageError(`there is no command ${what}`, { hint: `${advice}${program} --help lists the commands` });
}
