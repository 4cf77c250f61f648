import { InvalidDocumentError, UsageError } from "../util/errors.ts";
import { parseKeyValueLines, readKeyValueFile } from "./key-value-file.ts";

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
    ...files.flatMap((file) => resolveLines(readKeyValueFile(file, "environment", "variable"), host)),
    ...entries.map((entry) => resolveEntry(entry, host)),
  ];
}

function resolveEntry(entry: string, host: HostEnvironment): string {
  if (entry === "" || entry.startsWith("=")) throw new UsageError(`invalid environment variable: ${entry || '""'}`);
  if (entry.includes("=")) return entry;
  const value = host[entry];
  return value === undefined ? entry : `${entry}=${value}`;
}

/**
 * Reads the lines of an `--env-file`, see {@link parseKeyValueLines}; `KEY` alone takes the host's value, or says nothing.
 * @param path for the messages
 * @throws UsageError with the number of the line
 */
export function parseEnvironmentFile(content: Uint8Array, path: string, host: HostEnvironment): string[] {
  return resolveLines(parseKeyValueLines(content, path, "variable"), host);
}

function resolveLines(entries: readonly string[], host: HostEnvironment): string[] {
  return entries.flatMap((entry) => {
    if (entry.includes("=")) return [entry];
    return host[entry] === undefined ? [] : [`${entry}=${host[entry]}`];
  });
}

/** The key of an entry, for messages: values may be secret. */
function nameOf(entry: string): string {
  return JSON.stringify(entry.split("=", 1)[0]);
}
