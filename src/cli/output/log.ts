import { writeError } from "./write.ts";
import { harmless, style } from "./style.ts";

/** What gocker tells beside its results, on standard error. */
export interface Log {
  /** What is being done. Shown only to people: on a terminal, or with `--debug`. */
  info(message: string): void;
  /** Something that the user should know; always shown. */
  warn(message: string): void;
  /** What helps to understand gocker itself: only with `--debug`. */
  debug(message: string): void;
}

/**
 * The log for this process. Levels and the collapsing of repeated messages are consola's, of which only the core is
 * loaded (its full form costs seven milliseconds), and not even that while there is nobody to read.
 * @param colour whether standard error wants colour
 */
export async function createLog(options: {
  readonly debug: boolean;
  readonly terminal: boolean;
  readonly colour: boolean;
}): Promise<Log> {
  const dress = style(options.colour);
  // Messages hold what an image or a registry says.
  const warn = (message: string) => writeError(`${dress.yellow("gocker: warning:")} ${harmless(message, "\n")}\n`);
  if (!options.debug && !options.terminal) return { info: ignore, warn, debug: ignore };

  const { createConsola, LogLevels } = await import("consola/core");
  const consola = createConsola({
    level: options.debug ? LogLevels.debug : LogLevels.info,
    reporters: [
      {
        log({ type, args }) {
          const text = harmless(args.map(String).join(" "), "\n");
          if (type === "warn") warn(text);
          else writeError(type === "debug" ? `${dress.dim(text)}\n` : `${text}\n`);
        },
      },
    ],
  });
  return {
    info: (message) => consola.info(message),
    warn: (message) => consola.warn(message),
    debug: (message) => consola.debug(message),
  };
}

function ignore(): void {}
