import { expect, test } from "bun:test";

import { runQueue } from "../../../scripts/lib/queue.mjs";

interface Piece {
  readonly name: string;
  readonly alone: string | undefined;
  readonly shares: string | undefined;
}

const piece = (name: string, more: Partial<Piece> = {}): Piece => ({
  name,
  alone: undefined,
  shares: undefined,
  ...more,
});

/** Runs a queue in which the pieces end in the order of their beginning. @returns what ran at each beginning */
async function beginnings(pieces: readonly Piece[], slots: number): Promise<string[]> {
  const running: string[] = [];
  const seen: string[] = [];
  const ends: (() => void)[] = [];
  const end = () => ends.shift()?.();
  await runQueue(pieces, slots, async ({ name }) => {
    running.push(name);
    seen.push(running.join(" "));
    // After all that may begin has begun.
    setImmediate(end);
    await new Promise<void>((resolve) => ends.push(resolve));
    running.splice(running.indexOf(name), 1);
  });
  expect(running).toEqual([]);
  return seen;
}

test("as many pieces at once as there are slots, in their order", async () => {
  const pieces = ["a", "b", "c", "d"].map((name) => piece(name));
  expect(await beginnings(pieces, 2)).toEqual(["a", "a b", "b c", "c d"]);
  expect(await beginnings(pieces, 1)).toEqual(["a", "b", "c", "d"]);
  expect(await beginnings([], 2)).toEqual([]);
});

test("what shares something waits for the other, and lets the next pass", async () => {
  const pieces = [
    piece("a", { shares: "image" }),
    piece("b", { shares: "image" }),
    piece("c"),
    piece("d", { shares: "port" }),
  ];
  expect(await beginnings(pieces, 3)).toEqual(["a", "a c", "a c d", "c d b"]);
});

test("what runs alone has nothing beside it", async () => {
  const pieces = [piece("a"), piece("b", { alone: "memory" }), piece("c", { alone: "memory" }), piece("d")];
  expect(await beginnings(pieces, 3)).toEqual(["a", "a d", "b", "c"]);
  expect(await beginnings(pieces.slice(1), 3)).toEqual(["b", "c", "d"]);
});

test("an error comes out", async () => {
  await expect(
    runQueue([piece("a"), piece("b")], 2, async ({ name }) => {
      if (name === "b") throw new Error("b fails");
      await Promise.resolve();
    }),
  ).rejects.toThrow("b fails");
});
