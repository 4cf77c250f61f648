import { expect, test } from "bun:test";
import { Dictionary, listOrNil, NilDictionary, nilList, omitEmpty } from "../../../src/util/document.ts";

const json = (value: unknown) => JSON.stringify(value);

test("dictionaries have their names in order, whatever these are", () => {
  const dictionary = Dictionary.of({ b: 1, a: 2, ["__proto__"]: 3 });
  expect(json(dictionary)).toBe('{"__proto__":3,"a":2,"b":1}');
  expect([dictionary.get("b"), dictionary.get("toString"), dictionary.zero]).toEqual([1, undefined, ""]);
  expect(json(Dictionary.of(null))).toBe("{}");
});

test("what nobody has made is null in JSON, and empty otherwise", () => {
  expect(json({ list: nilList, map: new NilDictionary() })).toBe('{"list":null,"map":null}');
  expect([nilList.length, new NilDictionary().size]).toEqual([0, 0]);
  expect(json([listOrNil([]), listOrNil(undefined), listOrNil(["a"])])).toBe('[null,null,["a"]]');
});

test("fields that say nothing are left out of JSON alone", () => {
  const structure = omitEmpty(
    { a: "", b: 0, c: null, d: [], e: new Dictionary(), f: false, g: "", h: "x" },
    ...(["a", "b", "c", "d", "e", "f", "h"] as const),
  );
  expect(json(structure)).toBe('{"g":"","h":"x"}');
  expect(structure.a).toBe("");
  expect(Object.keys(structure)).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"]);
});
