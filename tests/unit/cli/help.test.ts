import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "../../../src/cli/command.ts";
import { aliases } from "../../../src/cli/flags.ts";
import { type CommandGroup, findCommand, isGroup } from "../../../src/cli/group.ts";
import { commandHelp, programHelp, wrap } from "../../../src/cli/help.ts";
import { style } from "../../../src/cli/output/style.ts";

const directory = resolve(import.meta.dir, "../../../src/cli/commands");
const layout = { style: style(false), width: 80 };

/** What each file of the folder defines. */
const defined = await Promise.all(
  readdirSync(directory)
    .filter((file) => file.endsWith(".ts") && file !== "several.ts")
    .map(async (file): Promise<[name: string, found: Command | CommandGroup]> => {
      const name = file.replace(/\.ts$/, "");
      const module = (await import(join(directory, file))) as Record<string, Command | CommandGroup>;
      return [name, module[`${name}Command`] as Command | CommandGroup];
    }),
);

/** Every command that there is, those of groups too, by the words that are typed for it. */
const commands = (
  await Promise.all(
    defined.map(async ([name, found]): Promise<[name: string, command: Command][]> => {
      if (!isGroup(found)) return [[name, found]];
      const table = { program: `gocker ${name}`, commands: found.commands };
      const words = Object.keys(found.commands);
      return Promise.all(
        words.map(async (word) => [`${name} ${word}`, (await findCommand(table, word)) as Command] as const),
      ) as Promise<[string, Command][]>;
    }),
  )
).flat();

describe.each(commands)("%s", (name, command) => {
  test("has a name, one line of description and examples that begin with gocker", () => {
    expect(command.meta.name).toBe(name);
    expect(command.meta.description).toMatch(/^[A-Z][^\n]+[^.]$/);
    for (const { words } of command.meta.examples ?? []) expect(words).toContain("gocker ");
  });

  test("each of its flags is described, and no name is taken twice", () => {
    const names = Object.entries(command.args).flatMap(([flag, definition]) => [flag, ...aliases(definition)]);
    expect(new Set(names).size).toBe(names.length);
    for (const definition of Object.values(command.args)) expect(definition.description).toMatch(/^[A-Z].*[^.]$/);
    for (const absent of command.meta.absent ?? []) expect(names).not.toContain(absent);
  });

  test("its help names every flag and keeps to the window", () => {
    const help = commandHelp(command, {}, layout);
    for (const [flag, definition] of Object.entries(command.args)) {
      expect(help).toContain(`--${flag}`);
      for (const letter of aliases(definition).filter((alias) => alias.length === 1))
        expect(help).toContain(`-${letter}, `);
    }
    for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });
});

test("the help of run", () => {
  const run = commands.find(([name]) => name === "run")?.[1] as Command;
  const help = commandHelp(run, {}, layout);
  expect(help).toContain("The words after the image:\n");
  expect(help).toContain("  -e, --env KEY[=VALUE]...            Set a variable; KEY alone passes ");
  expect(help).toContain("      --network, --net NETWORK...     A network of gocker's (bridge), host,");
  expect(help).toContain("      --explain[=only]                Show every system call that makes the");
});

test("the help of gocker lists the commands", () => {
  const all = defined.map(([, command]) => command);
  const help = programHelp({ name: "gocker", about: "", commands: all, flags: {}, examples: [] }, layout);
  const widest = Math.max(...defined.map(([name]) => name.length));
  for (const [name, { meta }] of defined) expect(help).toContain(`  ${name.padEnd(widest)}   ${meta.description}\n`);
});

test("wraps text between words, and leaves what is laid out by hand", () => {
  expect(wrap("one two three\n\n  as  it  is  here\nfour", 8)).toEqual([
    "one two",
    "three",
    "",
    "  as  it  is  here",
    "four",
  ]);
  expect(wrap("averylongword x", 5)).toEqual(["averylongword", "x"]);
});
