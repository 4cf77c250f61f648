import { describe, expect, test } from "bun:test";
import { checkRestart, parseRestart } from "../../../../src/cli/commands/run/restart-flag.ts";
import { UsageError } from "../../../../src/util/errors.ts";

describe("parseRestart", () => {
  test.each([
    ["", undefined],
    ["no", undefined],
    ["no:0", undefined],
    ["always", { name: "always" }],
    ["always:", { name: "always" }],
    ["always:0", { name: "always" }],
    ["unless-stopped", { name: "unless-stopped" }],
    ["on-failure", { name: "on-failure" }],
    ["on-failure:", { name: "on-failure" }],
    ["on-failure:0", { name: "on-failure" }],
    ["on-failure:+3", { name: "on-failure", maximumRetries: 3 }],
    ["on-failure:10", { name: "on-failure", maximumRetries: 10 }],
  ] as const)("%p is %p", (text, expected) => {
    expect(parseRestart(text)).toEqual(expected as ReturnType<typeof parseRestart>);
  });

  test.each([
    [":3", "there is no policy before the colon"],
    [":", "there is no policy before the colon"],
    ["on-failure:many", "the number of retries must be a whole number"],
    ["on-failure:1.5", "the number of retries must be a whole number"],
    ["on-failure:3:4", "the number of retries must be a whole number"],
    ["on-failure: 3", "the number of retries must be a whole number"],
    ["on-failure:-1", "the number of retries cannot be negative"],
    ["always:3", "only on-failure can have a number of retries"],
    ["no:1", "only on-failure can have a number of retries"],
    ["unless-stopped:-1", "only on-failure can have a number of retries"],
    ["sometimes", 'there is no policy "sometimes"'],
    ["Always", 'there is no policy "Always"'],
    ["toString", 'there is no policy "toString"'],
  ])("%p is refused: %s", (text, reason) => {
    expect(() => parseRestart(text)).toThrow(new UsageError(`invalid --restart ${JSON.stringify(text)}: ${reason}`));
  });
});

test("--rm leaves nothing that could start again", () => {
  const refused = new UsageError("conflicting options: cannot specify both --restart and --rm");
  expect(() => checkRestart({ name: "always" }, true)).toThrow(refused);
  expect(() => checkRestart({ name: "always" }, false)).not.toThrow();
  expect(() => checkRestart(parseRestart("no"), true)).not.toThrow();
});
