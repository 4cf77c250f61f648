import { expect, test } from "bun:test";
import { withoutAbsent } from "../../../src/util/without-absent.ts";

test("what is undefined is left out, and nothing else", () => {
  expect(withoutAbsent<Record<string, unknown>>({ a: 0, b: undefined, c: "", d: null, e: false })).toStrictEqual({
    a: 0,
    c: "",
    d: null,
    e: false,
  });
  expect(withoutAbsent<{ a: number }>({ a: undefined })).toBeUndefined();
  expect(withoutAbsent({})).toBeUndefined();
});
