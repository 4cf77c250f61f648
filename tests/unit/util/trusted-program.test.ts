import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../../src/util/trusted-program.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

test("the first program of a name, and whether others may change it", () => {
  using directory = new TemporaryDirectory("programs");
  const places = ["one", "two", "three"].map((name) => join(directory.path, name));
  for (const place of places) mkdirSync(place);
  const [one = "", two = "", three = ""] = places;
  mkdirSync(join(one, "tool"));
  writeFileSync(join(two, "tool"), "");
  writeFileSync(join(three, "tool"), "");
  chmodSync(join(two, "tool"), 0o755);
  expect(findProgram("tool", places)).toEqual({ path: `${two}/tool`, isTrusted: true });
  for (const mode of [0o775, 0o757]) {
    chmodSync(join(two, "tool"), mode);
    expect(findProgram("tool", places)).toEqual({ path: `${two}/tool`, isTrusted: false });
  }
  expect(findProgram("other", places)).toBeUndefined();
});
