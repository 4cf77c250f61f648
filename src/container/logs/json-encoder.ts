import type { LinePiece } from "./line-splitter.ts";
import type { LogStream } from "./log-writer.ts";
import { ByTime, type RecordEncoder } from "./record-encoder.ts";

const encoder = new TextEncoder();
const head = encoder.encode('{"log":"');
const hexadecimal = encoder.encode("0123456789abcdef");
/** What one byte can become: `\u0000`. */
const longestEscape = 6;

/** The bytes that stand for themselves. Docker's encoder also escapes what HTML would take for its own. */
const isPlain = new Uint8Array(256).fill(1, 0x20, 0x80);
for (const character of '"\\<>&') isPlain[character.charCodeAt(0)] = 0;

const [backslash, quote, lineFeed, carriageReturn] = [0x5c, 0x22, 0x0a, 0x0d];
const [letterN, letterR, letterU] = [0x6e, 0x72, 0x75];
const replacement = 0xfffd;
const lineSeparator = 0x2028;

/** What follows a record's text. */
interface Tails {
  readonly whole: Uint8Array;
  readonly cut: Uint8Array;
}

/**
 * Docker's json-file: `{"log":"text\n","stream":"stdout","attrs":{…},"time":"2026-03-01T12:30:00.5Z"}`. A piece that does
 * not end its line has no `\n`. What is no UTF-8 becomes U+FFFD byte by byte, as Go reads it.
 */
export class JsonEncoder implements RecordEncoder {
  readonly #tails: Readonly<Record<LogStream, ByTime<Tails>>>;
  readonly #frame: number;

  /** @param attributes for `attrs`, which is left out when there are none */
  constructor(attributes: Readonly<Record<string, string>>) {
    const names = Object.keys(attributes).sort();
    const pairs = names.map((name) => `${jsonText(name)}:${jsonText(attributes[name] ?? "")}`);
    const attrs = pairs.length === 0 ? "" : `,"attrs":{${pairs.join(",")}}`;
    const tails = (stream: LogStream) =>
      new ByTime((time) => {
        const tail = `","stream":"${stream}"${attrs},"time":"${time}"}\n`;
        return { whole: encoder.encode(`\\n${tail}`), cut: encoder.encode(tail) };
      });
    this.#tails = { stdout: tails("stdout"), stderr: tails("stderr") };
    const timeAndNames = 128;
    this.#frame = encoder.encode(attrs).length + timeAndNames;
  }

  longest(length: number): number {
    return length * longestEscape + this.#frame;
  }

  encode(target: Uint8Array, at: number, stream: LogStream, piece: LinePiece): number {
    target.set(head, at);
    const end = escapeText(target, at + head.length, piece.source, piece.start, piece.end);
    const tails = this.#tails[stream].at(piece.time);
    const tail = piece.isLast ? tails.whole : tails.cut;
    target.set(tail, end);
    return end + tail.length;
  }
}

function escapeText(target: Uint8Array, to: number, source: Uint8Array, from: number, end: number): number {
  let at = to;
  for (let index = from; index < end;) {
    let byte = source[index] as number;
    // Nearly all that comes.
    while (isPlain[byte] === 1) {
      target[at++] = byte;
      if (++index === end) return at;
      byte = source[index] as number;
    }
    if (byte < 0x80) {
      at = escapeByte(target, at, byte);
      index++;
    } else {
      const length = characterLength(source, index, end);
      if (length === 0) {
        at = escapeUnit(target, at, replacement);
        index++;
      } else if (length === 3 && isLineSeparator(source, index)) {
        at = escapeUnit(target, at, lineSeparator | ((source[index + 2] as number) & 1));
        index += length;
      } else {
        for (const last = index + length; index < last; index++) target[at++] = source[index] as number;
      }
    }
  }
  return at;
}

function escapeByte(target: Uint8Array, at: number, byte: number): number {
  if (byte === backslash || byte === quote || byte === lineFeed || byte === carriageReturn) {
    target[at] = backslash;
    target[at + 1] = byte === lineFeed ? letterN : byte === carriageReturn ? letterR : byte;
    return at + 2;
  }
  return escapeUnit(target, at, byte);
}

/** `\u` and four digits, stored one by one: a call of the engine's own for each takes ten times as long. */
function escapeUnit(target: Uint8Array, at: number, unit: number): number {
  target[at] = backslash;
  target[at + 1] = letterU;
  target[at + 2] = hexadecimal[unit >> 12] as number;
  target[at + 3] = hexadecimal[(unit >> 8) & 0xf] as number;
  target[at + 4] = hexadecimal[(unit >> 4) & 0xf] as number;
  target[at + 5] = hexadecimal[unit & 0xf] as number;
  return at + longestEscape;
}

/**
 * The length of the character of UTF-8 that begins at `index`; 0 when none does, which includes surrogates, characters
 * beyond U+10FFFF and needlessly long forms. RFC 3629, section 4
 */
function characterLength(source: Uint8Array, index: number, end: number): number {
  const first = source[index] as number;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || index + length > end) return 0;
  const second = source[index + 1] as number;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const greatest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > greatest) return 0;
  for (let offset = 2; offset < length; offset++) {
    if (((source[index + offset] as number) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** U+2028 and U+2029, which end lines in JavaScript. */
function isLineSeparator(source: Uint8Array, index: number): boolean {
  return source[index] === 0xe2 && source[index + 1] === 0x80 && ((source[index + 2] as number) & 0xfe) === 0xa8;
}

/** A text as Docker's encoder writes it, quotes included. */
function jsonText(text: string): string {
  const source = encoder.encode(text);
  const target = new Uint8Array(source.length * longestEscape);
  const end = escapeText(target, 0, source, 0, source.length);
  return `"${new TextDecoder().decode(target.subarray(0, end))}"`;
}
