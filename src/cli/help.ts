import type { CommandMeta, Example } from "./command.ts";
import { aliases, type FlagDefinition, type FlagDefinitions, valueHint } from "./flags.ts";
import type { Style } from "./output/style.ts";
import { padEnd } from "./output/table.ts";

export interface HelpLayout {
  readonly style: Style;
  /** In character cells. */
  readonly width: number;
}

/** What the help tells of a command. */
interface HelpedCommand {
  readonly meta: Pick<CommandMeta, "name" | "description" | "usage" | "notes" | "examples">;
  readonly args: FlagDefinitions;
}

/** Descriptions of flags begin no further right than this. */
const widestFlag = 34;

const repetition = "Flags with ... may come several times.";

/**
 * The help of one command: `gocker run --help`.
 * @param program the words before the command's name
 */
export function commandHelp(
  command: HelpedCommand,
  common: FlagDefinitions,
  layout: HelpLayout,
  program = "gocker",
): string {
  const { meta, args } = command;
  const { style } = layout;
  return [
    `${style.bold(`${program} ${meta.name}`)}: ${meta.description}\n`,
    section("Usage", [`${program} ${meta.name} ${meta.usage}`.trimEnd(), "", repetition], style),
    ...flagSections(args, layout),
    ...(meta.notes ?? []).map((note) => section(note.heading, wrap(note.text, layout.width - 2), style)),
    ...flagSections(common, layout, "Everywhere"),
    ...exampleSections(meta.examples ?? [], style),
  ].join("\n");
}

/** What {@link programHelp} tells of a command line with commands. */
export interface HelpedProgram {
  /** The words before a command's name. */
  readonly name: string;
  readonly about: string;
  readonly commands: readonly { readonly meta: Pick<CommandMeta, "name" | "description"> }[];
  readonly flags: FlagDefinitions;
  readonly examples: readonly Example[];
}

/** The help of gocker itself, or of a command line within it. */
export function programHelp({ name, about, commands, flags, examples }: HelpedProgram, layout: HelpLayout): string {
  const { style } = layout;
  const widest = Math.max(...commands.map(({ meta }) => meta.name.length));
  return [
    `${style.bold(name)}: ${about}\n`,
    section("Usage", [`${name} [OPTIONS] COMMAND [ARG...]`, "", repetition], style),
    section(
      "Commands",
      commands.map(({ meta }) => `${style.cyan(padEnd(meta.name, widest))}   ${meta.description}`),
      style,
    ),
    ...flagSections(flags, layout, "Options"),
    ...exampleSections(examples, style),
  ].join("\n");
}

function section(heading: string, lines: readonly string[], style: Style): string {
  return `${style.bold(`${heading}:`)}\n${lines.map((line) => (line === "" ? "\n" : `  ${line}\n`)).join("")}`;
}

function exampleSections(examples: readonly Example[], style: Style): string[] {
  if (examples.length === 0) return [];
  const lines = examples.flatMap(({ words, does }) => [style.cyan(words), `    ${does}`]);
  return [section("Examples", lines, style)];
}

function flagSections(flags: FlagDefinitions, layout: HelpLayout, otherwise = "Options"): string[] {
  const groups = new Map<string, string[]>();
  for (const [name, flag] of Object.entries(flags)) {
    const heading = flag.group ?? otherwise;
    const lines = groups.get(heading) ?? [];
    lines.push(...flagLines(name, flag, layout));
    groups.set(heading, lines);
  }
  return [...groups].map(([heading, lines]) => section(heading, lines, layout.style));
}

function flagLines(name: string, flag: FlagDefinition, { style, width }: HelpLayout): string[] {
  const left = flagWords(name, flag);
  const indent = " ".repeat(widestFlag + 2);
  const description = wrap(describe(flag), Math.max(20, width - indent.length - 2));
  if (left.length > widestFlag) return [style.cyan(left), ...description.map((line) => indent + line)];
  return description.map((line, index) => (index === 0 ? `${style.cyan(padEnd(left, widestFlag))}  ` : indent) + line);
}

function flagWords(name: string, flag: FlagDefinition): string {
  const letters = aliases(flag).filter((alias) => alias.length === 1);
  const others = aliases(flag).filter((alias) => alias.length > 1);
  const short = letters.length === 0 ? "    " : `${letters.map((letter) => `-${letter}`).join(", ")}, `;
  const long = [name, ...others].map((one) => `--${one}`).join(", ");
  if (flag.type === "boolean") return short + long;
  const value = valueHint(name, flag);
  if (flag.type === "enum" && flag.bare !== undefined) return `${short}${long}[=${value}]`;
  // The dots of usage lines: it may come several times.
  return `${short}${long} ${value}${flag.type === "string" && flag.repeated === true ? "..." : ""}`;
}

function describe(flag: FlagDefinition): string {
  const remark = flag.type === "boolean" || flag.default === undefined ? "" : ` (default: ${flag.default})`;
  return `${flag.description}${remark}`;
}

/** Breaks text into lines; line feeds of its own stay. */
export function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    // Lines that are laid out by hand begin with a blank.
    if (paragraph.startsWith(" ") || paragraph === "") return [paragraph];
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    return [...lines, line];
  });
}
