import { closeSync, openSync, readSync } from "node:fs";
import { errorMessage, UsageError } from "../util/errors.ts";

/**
 * Reads a file of `KEY=value` lines, as `--env-file` and `--label-file` name them: see {@link parseKeyValueLines}.
 * @param kind of the file, and `what` its keys name, for the messages
 * @throws UsageError it cannot be read, is too long, or breaks the form of such files
 */
export function readKeyValueFile(path: string, kind: string, what: string): string[] {
  return parseKeyValueLines(readLimited(path, kind), path, what);
}

/** In bytes; the kernel lets arguments and environment together take a quarter of the stack, mostly 2 MiB. execve(2) */
const longest = 4 * 1024 * 1024;

function readLimited(path: string, kind: string): Uint8Array {
  const content = Buffer.alloc(longest + 1);
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
    throw new UsageError(`cannot read the ${kind} file ${path}: ${errorMessage(error)}`, { cause: error });
  }
  if (length > longest) throw new UsageError(`the ${kind} file ${path} is longer than ${longest} bytes`);
  return content.subarray(0, length);
}

/**
 * Reads lines of the form `KEY=value` or `KEY`; empty lines and those that begin with `#` are skipped. White space before
 * the key goes, the value stays as it is: quotes, `#` and spaces are part of it.
 * @param path for the messages, and `what` the keys name
 * @returns the lines that say something, from the key on
 * @throws UsageError with the number of the line
 */
export function parseKeyValueLines(content: Uint8Array, path: string, what: string): string[] {
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
    const key = line.split("=", 1)[0] as string;
    if (key === "") throw new UsageError(`${where}: no ${what} name before "="`);
    if (/\s/.test(key)) throw new UsageError(`${where}: the ${what} name "${key}" has white space in it`);
    if (line.includes("\0")) throw new UsageError(`${where}: a NUL character`);
    entries.push(line);
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
