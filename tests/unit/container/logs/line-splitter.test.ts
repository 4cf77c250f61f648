import { expect, test } from "bun:test";
import { LineSplitter, longestPiece } from "../../../../src/container/logs/line-splitter.ts";

interface Piece {
  readonly text: string;
  readonly isLast: boolean;
  readonly time: number;
}

/** What becomes of chunks that come at the times 1, 2 and so on. */
function pieces(chunks: readonly (string | Uint8Array)[], encoding: "latin1" | "utf8" = "utf8"): Piece[] {
  const splitter = new LineSplitter();
  const found: Piece[] = [];
  const take = (piece: { source: Uint8Array; start: number; end: number; isLast: boolean; time: number }) => {
    const text = Buffer.from(piece.source.subarray(piece.start, piece.end)).toString(encoding);
    found.push({ text, isLast: piece.isLast, time: piece.time });
  };
  chunks.forEach((chunk, index) => splitter.split(Buffer.from(chunk), index + 1, take));
  splitter.flush(chunks.length + 1, take);
  return found;
}

const line = (text: string, time = 1): Piece => ({ text, isLast: true, time });
const cut = (text: string, time = 1): Piece => ({ text, isLast: false, time });

test("whole lines, and what has no newline at the end", () => {
  expect(pieces(["one\n\nthree\r\nfour"])).toEqual([line("one"), line(""), line("three\r"), cut("four", 2)]);
  expect(pieces([])).toEqual([]);
  expect(pieces([""])).toEqual([]);
});

test("a line of several chunks has the time of its end", () => {
  expect(pieces(["a", "b", "c\nd", "\n"])).toEqual([line("abc", 3), line("d", 4)]);
});

test.each([
  [longestPiece - 1, [longestPiece - 1], ""],
  [longestPiece, [longestPiece], ""],
  [longestPiece + 1, [longestPiece], "x"],
  [2 * longestPiece + 5, [longestPiece, longestPiece], "xxxxx"],
])("a line of %i bytes is cut as Docker cuts it", (length, lengths, rest) => {
  const text = "x".repeat(length);
  const expected = lengths.map((count) => cut("x".repeat(count)));
  const ends = length < longestPiece ? [line(text)] : [...expected, line(rest)];
  expect(pieces([`${text}\n`])).toEqual(ends);
  // However it comes.
  const bytes = `${text}\n`.split("");
  expect(pieces(bytes).map((piece) => ({ ...piece, time: 1 }))).toEqual(ends);
});

test("the pieces of a line have the time of the first, and the next line its own", () => {
  const long = "x".repeat(longestPiece);
  expect(pieces([long.slice(1), "x", "y", long.slice(1), "z\nnext\n"])).toEqual([
    cut(long, 2),
    cut(`y${long.slice(1)}`, 2),
    line("z", 2),
    line("next", 5),
  ]);
});

test.each(["\u00e9", "\u20ac", "\u{1f600}"])("no character is cut: %p", (character) => {
  const size = Buffer.byteLength(character);
  for (let before = 1; before < size; before++) {
    const start = "x".repeat(longestPiece - before);
    expect(pieces([`${start}${character}end\n`])).toEqual([cut(start), line(`${character}end`)]);
  }
  const start = "x".repeat(longestPiece - size);
  expect(pieces([`${start}${character}end\n`])).toEqual([cut(`${start}${character}`), line("end")]);
});

test("bytes that are no text are cut anywhere", () => {
  for (const byte of [0x80, 0xbf, 0xff, 0xf8]) {
    const found = pieces([new Uint8Array(longestPiece + 3).fill(byte)], "latin1");
    expect(found.map(({ text }) => text).join("")).toBe(String.fromCharCode(byte).repeat(longestPiece + 3));
    expect(found.map(({ text }) => text.length)).toEqual([longestPiece, 3]);
  }
});
