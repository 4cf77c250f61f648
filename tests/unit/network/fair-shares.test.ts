import { expect, test } from "bun:test";
import { FairShares } from "../../../src/network/fair-shares.ts";

test("what is given up is the oldest of who has most, and what was used is young again", () => {
  const shares = new FairShares<string, string>();
  expect([shares.size, shares.dispensable]).toEqual([0, undefined]);
  for (const thing of ["b1", "a1", "a2", "a3"]) shares.use(thing.charAt(0), thing);
  expect([shares.size, shares.dispensable, [...shares]]).toEqual([4, "a1", ["b1", "a1", "a2", "a3"]]);
  shares.use("a", "a1");
  expect([shares.size, shares.dispensable]).toEqual([4, "a2"]);
  shares.remove("a", "a2");
  shares.remove("a", "a2");
  shares.use("b", "b2");
  shares.use("b", "b3");
  expect([shares.size, shares.dispensable]).toEqual([5, "b1"]);
  for (const thing of ["a1", "a3", "b1", "b2", "b3"]) shares.remove(thing.charAt(0), thing);
  expect([shares.size, shares.dispensable, [...shares]]).toEqual([0, undefined, []]);
});
