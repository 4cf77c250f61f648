import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { reportError } from "../../../src/cli/errors.ts";
import { ownRights, type Rights } from "../../../src/cli/rights.ts";
import { OutputClosedError } from "../../../src/cli/output/write.ts";
import { errnos, systemCallError } from "../../../src/linux/errno.ts";
import { GockerError, NotFoundError, UsageError } from "../../../src/util/errors.ts";

const report = (error: unknown, debug = false) => reportError(error, { debug, colour: false });

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

test("one sentence and what to do", () => {
  const error = new NotFoundError("no such image: x", { hint: "pull it", cause: new Error("secret of the chain") });
  expect(report(error)).toEqual({ text: "gocker: no such image: x\n  hint: pull it\n", exitCode: 125 });
});

test("without a hint the sentence alone", () => {
  expect(report(new UsageError("that is wrong"))).toEqual({ text: "gocker: that is wrong\n", exitCode: 125 });
});

const codes: [code: string, exitCode: number][] = [
  ["COMMAND_NOT_FOUND", 127],
  ["COMMAND_NOT_EXECUTABLE", 126],
  ["NO_COMMAND", 125],
  ["constructor", 125],
];
test.each(codes)("%s ends with %d", (code, exitCode) => {
  expect(report(new GockerError(code, "x")).exitCode).toBe(exitCode);
});

test("errors of the operating system are no bugs, and some have a remedy", () => {
  expect(report(caught(() => readFileSync("/does/not/exist"))).text).toBe(
    "gocker: open /does/not/exist: no such file or directory (ENOENT)\n",
  );
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
  expect(report(full).text).toBe(
    "gocker: write: no space left on device (ENOSPC)\n" +
      "  hint: free some space, or keep gocker's things elsewhere with --root\n",
  );
  expect(report(systemCallError("mount_setattr", {}, 38)).text).toContain(
    "\n  hint: gocker needs Linux 5.12 or later;",
  );
});

const allRights: Rights = { isRoot: true, isInUserNamespace: false, missing: [] };
const refusals: [whose: string, rights: Rights, hint: string | undefined][] = [
  ["a user", { ...allRights, isRoot: false, missing: ["CAP_CHOWN"] }, "gocker must run as root: try sudo"],
  [
    "a user who may",
    { ...allRights, isRoot: false, isRootOptional: true },
    "gocker does not run as root, which may be why",
  ],
  ["root who may do everything", allRights, undefined],
  [
    "root of a container",
    { ...allRights, missing: ["CAP_SYS_ADMIN"] },
    "gocker runs as root without CAP_SYS_ADMIN, which",
  ],
  [
    "root of a narrow one",
    { ...allRights, missing: ["A", "B", "C", "D"] },
    "gocker runs as root without 4 capabilities,",
  ],
  [
    "root of a user namespace",
    { ...allRights, isInUserNamespace: true },
    "gocker runs as root of a user namespace only",
  ],
];
test.each(refusals)("what is refused to %s", (_, rights, hint) => {
  for (const number of [errnos.EPERM, errnos.EACCES]) {
    const error = systemCallError("mount", { step: "mount proc" }, number);
    const [sentence, advice, ...more] = reportError(error, { debug: false, colour: false, rights: () => rights })
      .text.trimEnd()
      .split("\n");
    expect(sentence).toStartWith("gocker: mount proc: mount: ");
    if (hint === undefined) expect(advice).toBeUndefined();
    else expect(advice).toStartWith(`  hint: ${hint}`);
    expect(more).toEqual([]);
  }
});

test("gocker knows its own rights", () => {
  const { isRoot, missing } = ownRights();
  expect(isRoot).toBe(process.getuid?.() === 0);
  const effective = /^CapEff:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const isMissing = (BigInt(`0x${effective}`) & 1n) === 0n;
  expect(missing.includes("CAP_CHOWN")).toBe(isMissing);
});

describe("anything else is a bug and says so", () => {
  const bugs = [
    ["an error", new TypeError("x is undefined")],
    ["a text", "a text"],
    ["nothing", undefined],
    ["null", null],
    ["an object", { code: "EPERM" }],
  ] as const;
  test.each(bugs)("%s", (_name, error) => {
    const { text, exitCode } = report(error);
    expect(text).toStartWith("gocker: internal error: ");
    expect(text).toContain("this is a bug in gocker");
    expect(exitCode).toBe(125);
  });
});

test("nobody who reads the output is nothing to tell of", () => {
  expect(report(new OutputClosedError("closed"))).toEqual({ text: "", exitCode: 141 });
});

test("a clean-up that fails is told beside what it followed", () => {
  const error = caught(() => {
    using stack = new DisposableStack();
    stack.defer(() => {
      throw new UsageError("the directory stays");
    });
    throw new GockerError("COMMAND_NOT_FOUND", "no such command");
  });
  expect(error).toBeInstanceOf(SuppressedError);
  expect(report(error)).toEqual({
    text: "gocker: no such command\nalso: the directory stays\n",
    exitCode: 127,
  });
});

test("of several failures each is told", () => {
  const error = new AggregateError([new NotFoundError("no a", { hint: "h" }), new NotFoundError("no b")], "2 of 3");
  expect(report(error).text).toBe("gocker: no a\n  hint: h\nalso: no b\n");
});

test("control characters of others cannot reach the terminal", () => {
  const error = new NotFoundError("no\u001b]0;x\u0007 such\nimage", { hint: "\u202etry" });
  expect(report(error).text).toBe("gocker: no\\x1b]0;x\\x07 such\nimage\n  hint: \\u202etry\n");
});

test("--debug tells the chain of causes with codes and stacks", () => {
  const root = new TypeError("deepest");
  const error = new NotFoundError("no such image", { cause: new GockerError("MIDDLE", "between", { cause: root }) });
  const { text } = report(error, true);
  expect(text).toContain("error: NotFoundError [NOT_FOUND]: no such image\n");
  expect(text).toContain("caused by: GockerError [MIDDLE]: between\n");
  expect(text).toContain("caused by: TypeError: deepest\n");
  expect(text).toContain("errors.test.ts");
});

test("a chain that bites its tail ends", () => {
  const error = new Error("round");
  error.cause = error;
  expect(report(error, true).text).toContain("error: Error: round");
});

test("colours only what it is told to", () => {
  const { text } = reportError(new UsageError("x", { hint: "y" }), { debug: false, colour: true });
  expect(text).toContain("\u001b[31mgocker:\u001b[39m x");
  expect(Bun.stripANSI(text)).toBe("gocker: x\n  hint: y\n");
});
