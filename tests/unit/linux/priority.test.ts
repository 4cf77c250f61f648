import { expect, test } from "bun:test";
import { getPriority } from "node:os";
import { raisePriority } from "../../../src/linux/priority.ts";
import { isRoot } from "../../helpers/temporary.ts";

test.skipIf(!isRoot)("this thread comes before others for a while, and not later than before", () => {
  const usual = getPriority();
  {
    using _raised = raisePriority(usual - 3);
    expect(getPriority()).toBe(usual - 3);
    using _less = raisePriority(usual);
    expect(getPriority()).toBe(usual - 3);
  }
  expect(getPriority()).toBe(usual);
});
