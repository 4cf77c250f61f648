import type { ImageConfigExecution } from "../oci/image-config.ts";
import { GockerError } from "../util/errors.ts";

/** What decides what a container executes. */
export interface CommandSource {
  /** Everything after the image on the command line. */
  readonly words: readonly string[];
  /** `words` always follow ENTRYPOINT, as Docker has it. */
  readonly dockerWords?: boolean;
  /** `--entrypoint`: replaces the image's; the empty string clears it. */
  readonly entrypoint?: string | undefined;
  readonly image: Pick<ImageConfigExecution, "Entrypoint" | "Cmd"> | undefined;
}

/** Neither the image nor the user says what to run. */
export class NoCommandError extends GockerError {
  override readonly name = "NoCommandError";
  constructor() {
    super("NO_COMMAND", "no command specified", {
      hint: "the image has neither ENTRYPOINT nor CMD: put a command after it, such as `gocker run IMAGE sh`",
    });
  }
}

/**
 * The arguments of the container's first process.
 *
 * - No words: ENTRYPOINT followed by CMD.
 * - The first word does not begin with `-`: the words are the command, ENTRYPOINT and CMD are not used. This is
 *   gocker's own rule: `gocker run bitnami/kubectl bash` gives a shell.
 * - The first word begins with `-`: the words are arguments of ENTRYPOINT in place of CMD; a first word `--` is dropped.
 * - With `entrypoint` or `dockerWords` Docker's rule holds: the words follow ENTRYPOINT and replace CMD, and an
 *   ENTRYPOINT of the user's leaves the image's CMD out.
 *
 * @throws NoCommandError nothing is left to run
 */
export function resolveCommand(source: CommandSource): string[] {
  const { entrypoint, command } = splitCommand(source);
  const words = [...entrypoint, ...command];
  if (words.length === 0) throw new NoCommandError();
  return words;
}

/** What {@link resolveCommand} puts together: what comes from an ENTRYPOINT, and what follows it. */
export interface SplitCommand {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

/** The two parts of {@link resolveCommand}'s arguments, either of which may be empty. */
export function splitCommand({ words, dockerWords, entrypoint, image }: CommandSource): SplitCommand {
  if (entrypoint !== undefined) return { entrypoint: entrypoint === "" ? [] : [entrypoint], command: words };
  const own = image?.Entrypoint ?? [];
  const [first] = words;
  if (first === undefined) return { entrypoint: own, command: image?.Cmd ?? [] };
  if (dockerWords === true) return { entrypoint: own, command: words };
  if (first === "--") return { entrypoint: own, command: words.slice(1) };
  return first.startsWith("-") ? { entrypoint: own, command: words } : { entrypoint: [], command: words };
}

/**
 * What to tell a user whose command was not found in the container: how to reach the image's ENTRYPOINT, when the
 * words were taken for a command although the image has one; and where gocker's own options stand, when the image has
 * none and an option was taken for the command.
 * @returns undefined when neither is what happened
 */
export function commandNotFoundHint(source: CommandSource, imageName: string): string | undefined {
  const imageEntrypoint = source.image?.Entrypoint ?? [];
  const [first] = source.words;
  if (source.entrypoint !== undefined || first === undefined) return undefined;
  if (imageEntrypoint.length === 0) {
    return first.startsWith("-")
      ? `the image has no ENTRYPOINT that could take ${first}; options of gocker's own come before the image`
      : undefined;
  }
  if (source.dockerWords === true || first.startsWith("-")) return undefined;
  const example = ["gocker run", imageName, "--", ...source.words.map(quoteWord)].join(" ");
  return `the image has ENTRYPOINT ${JSON.stringify(imageEntrypoint)}; to pass arguments to it write: ${example}`;
}

/** A word as a shell would need it written. */
function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
