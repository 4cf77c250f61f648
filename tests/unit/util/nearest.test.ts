import { expect, test } from "bun:test";
import { nearestNames } from "../../../src/util/nearest.ts";

const names = ["run", "rm", "rmi", "pull", "images", "inspect", "version"];

test("finds what was most likely meant", () => {
  expect(nearestNames("imagse", names)).toEqual(["images"]);
  expect(nearestNames("rnu", names)).toEqual(["run"]);
  expect(nearestNames("insp", names)).toEqual(["inspect"]);
  expect(nearestNames("vresion", names)).toEqual(["version"]);
  expect(nearestNames("rmx", names)).toEqual(["rm", "rmi"]);
});

test("and nothing when nothing is near", () => {
  expect(nearestNames("zzzzzz", names)).toEqual([]);
  expect(nearestNames("", names)).toEqual([]);
  expect(nearestNames("run", [])).toEqual([]);
});
