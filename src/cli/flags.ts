import type { BooleanArgDef, EnumArgDef, StringArgDef } from "citty";
import { UsageError } from "../util/errors.ts";
import { nearestNames } from "../util/nearest.ts";

/** What the help needs to know of a flag beside citty's description, alias, value hint and default. */
interface FlagHelp {
  /** The heading under which `--help` lists the flag; "Options" when left out. */
  readonly group?: string;
}

/** A switch: `--rm`, `--rm=false`. False unless given. */
export type BooleanFlag = Omit<BooleanArgDef, "default"> & FlagHelp & { readonly type: "boolean" };

/** A flag with a value; `repeated` ones may come several times and give a list. */
export type TextFlag = StringArgDef & FlagHelp & { readonly type: "string"; readonly repeated?: boolean };

/** A flag with a value out of `options`; with `bare` the value may be left out, and is `bare` then (`--explain`). */
export type EnumFlag = EnumArgDef &
  FlagHelp & { readonly type: "enum"; readonly options: readonly string[]; readonly bare?: string };

/** citty's definition of an argument, for the kinds of flags that Docker's grammar knows. */
export type FlagDefinition = BooleanFlag | TextFlag | EnumFlag;

/** A command's flags by their long names, without the dashes. */
export type FlagDefinitions = Readonly<Record<string, FlagDefinition>>;

/** What {@link parseFlags} makes of one definition. */
export type FlagValue<Definition> = Definition extends { readonly repeated: true }
  ? string[]
  : Definition extends { readonly type: "boolean" }
    ? boolean
    : | (Definition extends { readonly type: "enum"; readonly options: readonly (infer Option extends string)[] }
          ? Option
          : string)
      | (Definition extends { readonly default: string } ? never : undefined);

/** The values of a command's flags by their long names. */
export type FlagValues<Definitions> = { -readonly [Name in keyof Definitions]: FlagValue<Definitions[Name]> };

export interface FlagGrammar {
  /** The command whose flags they are, for messages: `run`; none for gocker's own. */
  readonly command?: string;
  /** Stop at the first word that is no flag: everything from there on belongs to somebody else. */
  readonly stopAtOperand: boolean;
  /** Flags that Docker's command of this name has and gocker's has not. */
  readonly absent?: ReadonlySet<string>;
  /** Others of those, with what speaks against them. */
  readonly refused?: ReadonlyMap<string, string>;
}

export interface ParsedFlags<Definitions> {
  readonly flags: FlagValues<Definitions>;
  /** The words that are no flags: the operands, or all from the first operand on. */
  readonly operands: string[];
  /** Which flags were given, also if they were given their default. */
  readonly given: ReadonlySet<string>;
}

/**
 * Reads flags as Docker does (the grammar of its flag library, spf13/pflag): `--flag value`, `--flag=value`, `-f value`,
 * `-fvalue`, `-f=value`, clusters such as `-it` whose last letter may take a value, switches with `=true` or `=false`,
 * `--` as the end of flags, the last of several wins. A name never means its opposite: `--no-trunc` is a flag of
 * its own. citty's own parser cannot do this: it does not stop at the first operand, keeps only the last of
 * repeated flags, reads every `--no-x` as "not x" and takes any unknown flag.
 *
 * @throws {UsageError} for an unknown flag (with the nearest known one), a missing or a wrong value
 */
export function parseFlags<const Definitions extends FlagDefinitions>(
  words: readonly string[],
  definitions: Definitions,
  grammar: FlagGrammar,
): ParsedFlags<Definitions> {
  return new FlagParser(definitions, grammar).parse(words) as ParsedFlags<Definitions>;
}

interface NamedFlag {
  readonly name: string;
  readonly definition: FlagDefinition;
}

class FlagParser {
  readonly #grammar: FlagGrammar;
  /** By long names and by further ones, letters included. */
  readonly #flags = new Map<string, NamedFlag>();
  readonly #letters = new Map<string, NamedFlag>();
  readonly #values: Record<string, string | boolean | string[] | undefined> = {};
  readonly #given = new Set<string>();

  constructor(definitions: FlagDefinitions, grammar: FlagGrammar) {
    this.#grammar = grammar;
    for (const [name, definition] of Object.entries(definitions)) {
      const flag = { name, definition };
      this.#flags.set(name, flag);
      for (const alias of aliases(definition)) (alias.length > 1 ? this.#flags : this.#letters).set(alias, flag);
      this.#values[name] = initialValue(definition);
    }
  }

  parse(words: readonly string[]): ParsedFlags<FlagDefinitions> {
    const operands: string[] = [];
    const rest = [...words];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (word === "--") {
        operands.push(...rest);
        break;
      }
      if (word === "-" || !word.startsWith("-")) {
        operands.push(word);
        if (!this.#grammar.stopAtOperand) continue;
        operands.push(...rest);
        break;
      }
      if (word.startsWith("--")) this.#long(word, rest);
      else this.#cluster(word, rest);
      // Who asks for help gets it, whatever else stands there.
      if (this.#values["help"] === true) break;
    }
    return { flags: this.#values as FlagValues<FlagDefinitions>, operands, given: this.#given };
  }

  #long(word: string, rest: string[]): void {
    const equals = word.indexOf("=");
    const given = word.slice(2, equals < 0 ? undefined : equals);
    if (given === "" || given.startsWith("-")) throw this.#misuse(`${JSON.stringify(word)} is not a flag`);
    const flag = this.#flags.get(given);
    if (flag === undefined) throw this.#unknownLong(given);
    const bare = bareValue(flag.definition);
    if (equals >= 0) this.#set(flag, word.slice(equals + 1));
    else if (bare !== undefined) this.#set(flag, bare);
    else this.#setFrom(flag, `--${given}`, rest);
  }

  #cluster(word: string, rest: string[]): void {
    const letters = Array.from(word.slice(1));
    for (const [index, letter] of letters.entries()) {
      const flag = this.#letters.get(letter);
      if (flag === undefined) throw this.#unknownLetter(letter, word);
      const after = letters.slice(index + 1).join("");
      if (after.length > 1 && after.startsWith("=")) return this.#set(flag, after.slice(1));
      const bare = bareValue(flag.definition);
      if (bare === undefined) {
        return after === "" ? this.#setFrom(flag, `-${letter}`, rest) : this.#set(flag, after);
      }
      this.#set(flag, bare);
    }
  }

  /** Sets a flag from the next word, whatever that looks like. */
  #setFrom(flag: NamedFlag, given: string, rest: string[]): void {
    const value = rest.shift();
    if (value !== undefined) return this.#set(flag, value);
    throw this.#misuse(`${given} needs a value (${given} ${valueHint(flag.name, flag.definition)})`);
  }

  #set({ name, definition }: NamedFlag, text: string): void {
    const before = this.#values[name];
    this.#given.add(name);
    if (definition.type === "boolean") this.#values[name] = this.#boolean(name, text);
    else if (Array.isArray(before)) before.push(text);
    else if (definition.type === "enum" && !definition.options.includes(text)) {
      throw this.#misuse(`--${name} must be ${alternatives(definition.options)}, not ${JSON.stringify(text)}`);
    } else this.#values[name] = text;
  }

  #boolean(name: string, text: string): boolean {
    if (truths.has(text)) return true;
    if (falsehoods.has(text)) return false;
    throw this.#misuse(`--${name} is true or false, not ${JSON.stringify(text)}`);
  }

  #unknownLong(given: string): UsageError {
    if (this.#grammar.absent?.has(given) === true) return this.#absent(`--${given}`);
    const reason = this.#grammar.refused?.get(given);
    if (reason !== undefined)
      return this.#misuse(`--${given} is a flag of Docker's that gocker does not take: ${reason}`);
    const near = nearestNames(given, this.#flags.keys()).map((name) => `--${name}`);
    const letters = Array.from(given);
    const switches = letters.every((letter) => this.#letters.get(letter)?.definition.type === "boolean");
    if (letters.length > 1 && switches) near.unshift(`-${given}`);
    const advice = near.length === 0 ? undefined : `did you mean ${alternatives(near)}?`;
    return this.#misuse(`unknown flag --${given}`, advice);
  }

  #unknownLetter(letter: string, word: string): UsageError {
    const [long = ""] = word.slice(1).split("=", 1);
    const advice = this.#flags.has(long) ? `did you mean --${long}?` : undefined;
    if (advice === undefined && this.#grammar.absent?.has(letter) === true) return this.#absent(`-${letter}`);
    const where = word === `-${letter}` ? "" : ` in ${word}`;
    return this.#misuse(`unknown flag -${letter}${where}`, advice);
  }

  #absent(flag: string): UsageError {
    return this.#misuse(`${flag} is a flag of Docker's that gocker does not have yet`);
  }

  #misuse(message: string, advice?: string): UsageError {
    const { command } = this.#grammar;
    const help = `${command === undefined ? "gocker" : `gocker ${command}`} --help lists the flags`;
    return new UsageError(command === undefined ? message : `${command}: ${message}`, {
      hint: advice === undefined ? help : `${advice} ${help}`,
    });
  }
}

/** The spellings that Go's strconv.ParseBool takes, which are Docker's. */
const truths: ReadonlySet<string> = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const falsehoods: ReadonlySet<string> = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** The flag's other names: letters (`-e`) and further long names (`--net`). */
export function aliases(definition: FlagDefinition): readonly string[] {
  const { alias } = definition;
  if (alias === undefined) return [];
  return typeof alias === "string" ? [alias] : alias;
}

/** What stands for the flag's value in help and messages. */
export function valueHint(name: string, definition: FlagDefinition): string {
  if (definition.type === "enum") return definition.valueHint ?? definition.options.join("|");
  return definition.valueHint ?? name.toUpperCase();
}

/** The value of the flag when it stands alone; undefined when it needs one. */
function bareValue(definition: FlagDefinition): string | undefined {
  if (definition.type === "boolean") return "true";
  return definition.type === "enum" ? definition.bare : undefined;
}

function initialValue(definition: FlagDefinition): string | boolean | string[] | undefined {
  if (definition.type === "boolean") return false;
  if (definition.type === "string" && definition.repeated === true) return [];
  return definition.default;
}

/** `a, b or c`, for messages. */
export function alternatives(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} or ${last}`;
}
