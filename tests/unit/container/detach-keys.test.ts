import { describe, expect, test } from "bun:test";

import { defaultDetachKeys, KeySequence, parseDetachKeys } from "../../../src/container/detach-keys.ts";
import { UsageError } from "../../../src/util/errors.ts";

describe("parseDetachKeys", () => {
  test.each([
    [defaultDetachKeys, [16, 17]],
    ["a", [97]],
    ["A,b,~", [65, 98, 126]],
    ["ctrl-@", [0]],
    ["ctrl-a,ctrl-z", [1, 26]],
    ["ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", [27, 28, 29, 30, 31]],
    ["DEL", [127]],
    ["ctrl-e,e,-", [5, 101, 45]],
  ])("%j", (text, bytes) => {
    expect([...parseDetachKeys(text)]).toEqual(bytes);
  });

  test.each([
    ["", ""],
    [",", ""],
    ["a,", ""],
    ["ab", "ab"],
    ["ctrl-", "ctrl-"],
    ["ctrl-A", "ctrl-A"],
    ["ctrl-é", "ctrl-é"],
    ["ctrl-1,a", "ctrl-1"],
    ["Ctrl-p", "Ctrl-p"],
    ["del", "del"],
    ["a,é", "é"],
  ])("%j has something that is no key", (text, key) => {
    expect(() => parseDetachKeys(text)).toThrow(UsageError);
    expect(() => parseDetachKeys(text)).toThrow(
      `invalid detach keys ${JSON.stringify(text)}: ${JSON.stringify(key)} is no key`,
    );
  });
});

describe("KeySequence", () => {
  /** What goes on of texts that come one after the other, until the sequence is complete. */
  const typing = (sequence: string, texts: readonly string[]) => {
    const keys = new KeySequence(Buffer.from(sequence));
    let passed = "";
    for (const text of texts) {
      const taken = keys.take(Buffer.from(text));
      passed += Buffer.from(taken.passed).toString();
      if (taken.complete) return { passed, complete: true };
    }
    return { passed, complete: false, rest: Buffer.from(keys.rest()).toString() };
  };

  test.each([
    ["in one piece", ["xPQ"], "x"],
    ["key by key", ["x", "P", "Q"], "x"],
    ["with its first key before it", ["PPQ"], "P"],
    ["with its first key before it, key by key", ["P", "P", "Q"], "P"],
    ["with something after it, which nobody gets", ["xPQy"], "x"],
  ])("is found %s", (_, texts, passed) => {
    expect(typing("PQ", texts)).toEqual({ passed, complete: true });
  });

  test("what only begins like it goes on whole, as soon as that is known", () => {
    const keys = new KeySequence(Buffer.from("PQR"));
    const take = (text: string) => Buffer.from(keys.take(Buffer.from(text)).passed).toString();
    expect(["aP", "Q", "b", "P", "Pc", "PQ", "PQR"].map(take)).toEqual(["a", "", "PQb", "", "PPc", "", "PQ"]);
  });

  test.each([
    ["aab", "aaab", "a"],
    ["abab", "abaabab", "aba"],
    ["abac", "ababac", "ab"],
    ["aa", "baa", "b"],
    ["a", "xa", "x"],
  ])("%s is found in %s, where a longer beginning of it is another one", (sequence, text, passed) => {
    for (const texts of [[text], text.split("")]) expect(typing(sequence, texts)).toEqual({ passed, complete: true });
  });

  test("what is held back when nothing more comes is not lost", () => {
    expect(typing("PQR", ["xPQ"])).toEqual({ passed: "x", complete: false, rest: "PQ" });
    expect(typing("PQR", ["PQx"])).toEqual({ passed: "PQx", complete: false, rest: "" });
  });

  test("can be found again", () => {
    const keys = new KeySequence(Buffer.from("PQ"));
    expect(keys.take(Buffer.from("PQ")).complete).toBe(true);
    expect(keys.take(Buffer.from("Q"))).toEqual({ passed: Uint8Array.of(81), complete: false });
    expect(keys.take(Buffer.from("PQ")).complete).toBe(true);
  });

  test("whatever is typed, all of it goes on but the first sequence and what follows", () => {
    // Of two letters, so that beginnings of the sequence come all the time.
    let seed = 1;
    const letters = (count: number) =>
      Array.from({ length: count }, () => ((seed = (seed * 48_271) % 2_147_483_647) & 4 ? "a" : "b")).join("");
    for (let round = 0; round < 300; round++) {
      const sequence = letters(1 + (round % 5));
      const text = letters(40);
      const at = text.indexOf(sequence);
      const pieces = text.match(new RegExp(`.{1,${1 + (round % 7)}}`, "g")) ?? [];
      const { passed, complete, rest = "" } = typing(sequence, pieces);
      expect({ sequence, text, complete, passed: passed + rest }).toEqual({
        sequence,
        text,
        complete: at >= 0,
        passed: at >= 0 ? text.slice(0, at) : text,
      });
    }
  });
});
