import { errorMessage, GockerError } from "../util/errors.ts";
import { harmless, type Style, style } from "./output/style.ts";
import { hintForRefusal, ownRights, type Rights } from "./rights.ts";
import { OutputClosedError } from "./output/write.ts";

/** What an error comes to at the command line. */
export interface ErrorReport {
  /** Lines for standard error, each with its line feed; empty when there is nothing to say. */
  readonly text: string;
  readonly exitCode: number;
}

/** gocker itself failed or was misused; 126 and 127 are the command's, as a shell has them. */
const failed = 125;

const exitCodes: ReadonlyMap<string, number> = new Map([
  ["COMMAND_NOT_EXECUTABLE", 126],
  ["COMMAND_NOT_FOUND", 127],
  // As Docker has it.
  ["NOT_RUNNING", 1],
  ["LEFT_ALONE", 1],
]);

/** 128 + SIGPIPE: how a program ends whose reader has gone. */
const readerGone = 141;

/** What to do about errors of the operating system, where the error itself does not say it. */
const systemHints: ReadonlyMap<unknown, string> = new Map([
  [
    "ENOSYS",
    "gocker needs Linux 5.12 or later; inside of another container, its seccomp filter may be what refuses this",
  ],
  ["ENOSPC", "free some space, or keep gocker's things elsewhere with --root"],
  ["EDQUOT", "free some space, or keep gocker's things elsewhere with --root"],
  ["EROFS", "keep gocker's things on a file system that can be written, with --root and --state"],
  ["EMFILE", "raise the limit of open files (ulimit -n)"],
  ["ENFILE", "the whole system has too many open files: raise fs.file-max"],
]);

/**
 * What to tell of an error, and the exit code: one sentence and a hint; with `debug` also what caused it, and where.
 * Any error that is neither gocker's nor the operating system's is a bug, and is told as one.
 */
export function reportError(
  error: unknown,
  options: {
    readonly debug: boolean;
    readonly colour: boolean;
    /** gocker's own, unless told. */
    readonly rights?: () => Rights;
  },
): ErrorReport {
  if (error instanceof OutputClosedError) return { text: "", exitCode: readerGone };
  const dress = style(options.colour);
  const { main, besides } = unpack(error);
  const lines = [describe(main, dress, options.rights ?? ownRights)];
  for (const other of besides) lines.push(`${dress.red("also:")} ${messageOf(other)}`);
  if (options.debug) lines.push(...trace(main, dress), ...besides.flatMap((other) => trace(other, dress)));
  return { text: `${lines.join("\n")}\n`, exitCode: exitCodeOf(main) };
}

/** The error that matters in one sentence, without a hint and without colours: for logs. */
export function errorSentence(error: unknown): string {
  return messageOf(unpack(error).main);
}

function exitCodeOf(error: unknown): number {
  return (error instanceof GockerError ? exitCodes.get(error.code) : undefined) ?? failed;
}

function describe(error: unknown, dress: Style, rights: () => Rights): string {
  const head = dress.red("gocker:");
  const hint = hintOf(error, rights);
  const advice = hint === undefined ? "" : `\n  ${dress.cyan("hint:")} ${hint}`;
  if (isExpected(error)) return `${head} ${messageOf(error)}${advice}`;
  return (
    `${head} internal error: ${messageOf(error)}\n` +
    `  ${dress.cyan("hint:")} this is a bug in gocker. Please report it with the output of \`gocker info\` and of this ` +
    "command with --debug"
  );
}

/** The error that matters, and those of the clean-up after it. */
function unpack(error: unknown): { main: unknown; besides: unknown[] } {
  // `using`: the clean-up failed (`error`) after something else had (`suppressed`).
  if (error instanceof SuppressedError) {
    const inner = unpack(error.suppressed);
    return { main: inner.main, besides: [...inner.besides, error.error] };
  }
  if (error instanceof AggregateError && !(error instanceof GockerError) && error.errors.length > 0) {
    const [main, ...besides] = error.errors.map(unpack).flatMap((one) => [one.main, ...one.besides]);
    return { main, besides };
  }
  return { main: error, besides: [] };
}

/** An error that can happen although gocker is right. */
function isExpected(error: unknown): boolean {
  return error instanceof GockerError || isSystemError(error);
}

interface SystemError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
}

/** An error of node:fs and its kin: the operating system refused something. */
function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as Partial<SystemError>;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) && typeof syscall === "string";
}

function messageOf(error: unknown): string {
  if (error instanceof GockerError) return harmless(error.message, "\n");
  if (!isSystemError(error)) {
    return harmless(error instanceof Error ? `${error.name}: ${error.message}` : String(error), "\n");
  }
  // "ENOENT: no such file or directory, open '/x'" is how node:fs puts it.
  const reason = /^[A-Z0-9]+: ([^,]+)/.exec(error.message)?.[1] ?? error.message;
  const what = error.path === undefined ? error.syscall : `${error.syscall} ${error.path}`;
  return harmless(`${what}: ${reason} (${error.code})`, "\n");
}

function hintOf(error: unknown, rights: () => Rights): string | undefined {
  if (error instanceof GockerError && error.hint !== undefined) return harmless(error.hint, "\n");
  if (!(error instanceof Error)) return undefined;
  const { code } = error as Partial<SystemError>;
  return code === "EPERM" || code === "EACCES" ? hintForRefusal(rights()) : systemHints.get(code);
}

/** The error with everything that caused it, and the stack of each. */
function trace(error: unknown, dress: Style): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  for (let current = error; current !== undefined && !seen.has(current); current = causeOf(current)) {
    seen.add(current);
    const relation = current === error ? "error" : "caused by";
    const code = current instanceof GockerError ? ` [${current.code}]` : "";
    const name = current instanceof Error ? current.name : typeof current;
    lines.push(dress.bold(`${relation}: ${name}${code}: ${plainMessage(current)}`));
    lines.push(...stackOf(current).map((line) => dress.dim(line)));
    if (current instanceof AggregateError) {
      for (const inner of current.errors) lines.push(...trace(inner, dress).map((line) => `  ${line}`));
    }
  }
  return lines;
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

function plainMessage(error: unknown): string {
  return harmless(errorMessage(error), "\n");
}

function stackOf(error: unknown): string[] {
  if (!(error instanceof Error) || error.stack === undefined) return [];
  return error.stack.split("\n").filter((line) => /^\s+at /.test(line));
}
