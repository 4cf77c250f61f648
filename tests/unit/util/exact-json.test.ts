import { expect, test } from "bun:test";
import { parseExactJson } from "../../../src/util/exact-json.ts";

test("integers beyond 2^53 stay exact", () => {
  const text = '{"a":[18446744073709551615,-9223372036854775808],"b":9007199254740991,"c":1.5,"d":1e300,"e":"1"}';
  const value = parseExactJson(text);
  expect(value).toEqual({
    a: [18446744073709551615n, -9223372036854775808n],
    b: 9007199254740991,
    c: 1.5,
    d: 1e300,
    e: "1",
  });
});

test("the shortest integers that a number cannot hold stay exact", () => {
  expect(parseExactJson("9007199254740993")).toBe(9007199254740993n);
  expect(parseExactJson('{"a":{"b":[-9007199254740993]}}')).toEqual({ a: { b: [-9007199254740993n] } });
  expect(parseExactJson('{"a":999999999999999,"b":-999999999999999}')).toEqual({
    a: 999999999999999,
    b: -999999999999999,
  });
});

test("what is not JSON is a SyntaxError", () => {
  expect(() => parseExactJson("{")).toThrow(SyntaxError);
});
