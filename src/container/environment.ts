import { closeSync, openSync, readSync } from "node:fs";
import { errorMessage, InvalidDocumentError, UsageError } from "../util/errors.ts";

/** Docker's PATH for containers on Linux. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What goes into a container's environment. Later sources win over earlier ones. */
export interface EnvironmentSource {
  readonly hostname: string;
  /** The container has a terminal: TERM is set. */
  readonly terminal: boolean;
  /** The image's `Env`. */
  readonly image: readonly string[];
  /** From {@link resolveUserEnvironment}: `KEY=value`, or `KEY` alone to have it not at all. */
  readonly user: readonly string[];
  /** The user's home directory by the container's passwd. */
  readonly home: string;
}

/**
 * The environment of the container's first process, `KEY=value` in the order in which the keys first came up. HOME is
 * added when nobody set it, or set it to nothing. gocker's own environment has no part in it.
 * @throws InvalidDocumentError a value of the image's cannot be given to a process
 */
export function buildEnvironment(source: EnvironmentSource): string[] {
  const variables = new Map<string, string>([
    ["PATH", defaultPath],
    ["HOSTNAME", source.hostname],
  ]);
  if (source.terminal) variables.set("TERM", "xterm");
  for (const entry of [...source.image, ...source.user]) {
    if (entry.includes("\0")) {
      throw new InvalidDocumentError(`the environment variable ${nameOf(entry)} holds a NUL character`);
    }
    const at = entry.indexOf("=");
    if (at === -1) variables.delete(entry);
    else variables.set(entry.slice(0, at), entry.slice(at + 1));
  }
  if ((variables.get("HOME") ?? "") === "") variables.set("HOME", source.home);
  return Array.from(variables, ([key, value]) => `${key}=${value}`);
}

/** Where {@link resolveUserEnvironment} looks up keys without a value: gocker's own environment. */
export type HostEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * What the user asked for with `--env-file` and `-e`, the files first, as entries for {@link buildEnvironment}.
 *
 * `KEY` alone takes the value from the host's environment. Where it is not set there, `-e KEY` removes the image's
 * variable and a line of a file does nothing, as with Docker.
 * @throws UsageError an entry without a name, a file that cannot be read or breaks the form of such files
 */
export function resolveUserEnvironment(
  entries: readonly string[],
  files: readonly string[],
  host: HostEnvironment,
): string[] {
  return [
    ...files.flatMap((file) => parseEnvironmentFile(readEnvironmentFile(file), file, host)),
    ...entries.map((entry) => resolveEntry(entry, host)),
  ];
}

function resolveEntry(entry: string, host: HostEnvironment): string {
  if (entry === "" || entry.startsWith("=")) throw new UsageError(`invalid environment variable: ${entry || '""'}`);
  if (entry.includes("=")) return entry;
  const value = host[entry];
  return value === undefined ? entry : `${entry}=${value}`;
}

/** In bytes; the kernel lets arguments and environment together take a quarter of the stack, mostly 2 MiB. execve(2) */
const longestEnvironmentFile = 4 * 1024 * 1024;

function readEnvironmentFile(path: string): Uint8Array {
  const content = Buffer.alloc(longestEnvironmentFile + 1);
  let length = 0;
  try {
    const file = openSync(path, "r");
    try {
      // Piece by piece: pipes give little at once, and devices never end.
      for (let count = -1; count !== 0 && length < content.length; length += count) {
        count = readSync(file, content, length, content.length - length, null);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new UsageError(`cannot read the environment file ${path}: ${errorMessage(error)}`, { cause: error });
  }
  if (length > longestEnvironmentFile) {
    throw new UsageError(`the environment file ${path} is longer than ${longestEnvironmentFile} bytes`);
  }
  return content.subarray(0, length);
}

/**
 * Reads the lines of an `--env-file`: `KEY=value` or `KEY`; empty lines and those that begin with `#` are skipped.
 * White space before the key goes, the value stays as it is: quotes, `#` and spaces are part of it.
 * @param path for the messages
 * @throws UsageError with the number of the line
 */
export function parseEnvironmentFile(content: Uint8Array, path: string, host: HostEnvironment): string[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const entries: string[] = [];
  for (const [index, bytes] of splitLines(content).entries()) {
    const where = `${path}:${index + 1}`;
    let line: string;
    try {
      // A byte order mark, as files of Windows begin with, counts as white space here.
      line = decoder.decode(bytes).replace(/\r$/, "").trimStart();
    } catch (error) {
      throw new UsageError(`${where}: not UTF-8 text`, { cause: error });
    }
    if (line === "" || line.startsWith("#")) continue;
    const at = line.indexOf("=");
    const key = at === -1 ? line : line.slice(0, at);
    if (key === "") throw new UsageError(`${where}: no variable name before "="`);
    if (/\s/.test(key)) throw new UsageError(`${where}: the variable name "${key}" has white space in it`);
    if (line.includes("\0")) throw new UsageError(`${where}: a NUL character`);
    if (at !== -1) entries.push(line);
    else if (host[key] !== undefined) entries.push(`${key}=${host[key]}`);
  }
  return entries;
}

function splitLines(content: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let end = content.indexOf(10); end !== -1; end = content.indexOf(10, start)) {
    lines.push(content.subarray(start, end));
    start = end + 1;
  }
  if (start < content.length) lines.push(content.subarray(start));
  return lines;
}

/** The key of an entry, for messages: values may be secret. */
function nameOf(entry: string): string {
  return JSON.stringify(entry.split("=", 1)[0]);
}
