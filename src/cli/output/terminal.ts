import { isTerminal, windowSize } from "../../linux/terminal.ts";

/** The size of a terminal in character cells. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A terminal that does not tell its size (a serial line, a script) is taken for a classical one. */
const assumed: TerminalSize = { columns: 80, rows: 24 };

/**
 * The size of the terminal behind a descriptor, now; undefined when there is none behind it. `COLUMNS` wins over what
 * the terminal says.
 */
export function terminalSize(descriptor: number): TerminalSize | undefined {
  const size = windowSize(descriptor);
  if (size === undefined && !isTerminal(descriptor)) return undefined;
  return {
    columns: columnsOfEnvironment() ?? size?.width ?? assumed.columns,
    rows: size?.height ?? assumed.rows,
  };
}

/** Whether the terminal behind the descriptor moves its cursor: things can be redrawn in place. */
export function canRedraw(descriptor: number): boolean {
  return process.env["TERM"] !== "dumb" && isTerminal(descriptor);
}

/** How wide text for the descriptor may be: the terminal's width, or `COLUMNS`, or `otherwise`. */
export function outputWidth(descriptor: number, otherwise: number = assumed.columns): number {
  return terminalSize(descriptor)?.columns ?? columnsOfEnvironment() ?? otherwise;
}

/** Whether to colour what goes to the descriptor: a terminal that can, and nobody objects. no-color.org */
export function wantsColour(descriptor: number): boolean {
  const { NO_COLOR: objection, TERM: terminal } = process.env;
  return (objection ?? "") === "" && terminal !== "dumb" && isTerminal(descriptor);
}

function columnsOfEnvironment(): number | undefined {
  const columns = Number(process.env["COLUMNS"]);
  return Number.isSafeInteger(columns) && columns > 0 ? columns : undefined;
}
