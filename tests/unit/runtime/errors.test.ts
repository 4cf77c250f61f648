import { describe, expect, test } from "bun:test";
import { type ErrnoName, errnos } from "../../../src/linux/errno.ts";
import type { Step } from "../../../src/linux/launch/plan.ts";
import type { FailedStep } from "../../../src/linux/launch/status.ts";
import { ExecutionError, launchError } from "../../../src/runtime/errors.ts";
import { SystemCallError } from "../../../src/util/errors.ts";

function attempt(name: ErrnoName, path = "/bin/tool"): FailedStep {
  const step: Step = { label: `Execute ${path}`, group: "process", syscall: "execve", args: [path], path };
  return { step, errno: errnos[name] };
}

test("no error when the program runs, whatever was tolerated on the way", () => {
  expect(launchError({ reported: [] }, "tool")).toBeUndefined();
  expect(launchError({ reported: [attempt("ENOENT")] }, "tool")).toBeUndefined();
});

describe("the program", () => {
  test.each(["ENOENT", "ENOTDIR"] as const)("is not found: %s gives 127", (name) => {
    const error = launchError({ reported: [], fatal: attempt(name) }, "/bin/tool");
    expect(error).toBeInstanceOf(ExecutionError);
    expect(error).toMatchObject({ exitCode: 127, program: "/bin/tool", code: "COMMAND_NOT_FOUND" });
  });

  test.each(["EACCES", "ENOEXEC", "EISDIR", "ELOOP", "E2BIG", "ETXTBSY", "ENOMEM", "EPERM"] as const)(
    "cannot be executed: %s gives 126",
    (name) => {
      const error = launchError({ reported: [], fatal: attempt(name) }, "/bin/tool");
      expect(error).toMatchObject({ exitCode: 126, code: "COMMAND_NOT_EXECUTABLE" });
    },
  );

  test("is found in one directory and not fit, and missing in those after it: 126, as execvp has it", () => {
    const reported = [attempt("ENOENT", "/a/tool"), attempt("EACCES", "/b/tool")];
    const error = launchError({ reported, fatal: attempt("ENOENT", "/c/tool") }, "tool");
    expect(error).toMatchObject({ exitCode: 126, message: "cannot run tool: permission denied" });
  });

  test("is nowhere in the PATH: 127 and no word of the directories", () => {
    const error = launchError(
      { reported: [attempt("ENOENT", "/a/tool")], fatal: attempt("ENOTDIR", "/b/tool") },
      "tool",
    );
    expect(error).toMatchObject({
      exitCode: 127,
      message: "cannot run tool: executable file not found in the container's PATH",
    });
  });

  test("with a path is told the reason", () => {
    const error = launchError({ reported: [], fatal: attempt("ENOENT") }, "./tool");
    expect(error?.message).toBe("cannot run ./tool: no such file or directory");
  });
});

test("another step that failed is told by its words, its path and its error", () => {
  const step: Step = {
    label: "Mount proc at /proc",
    group: "file system",
    syscall: "move_mount",
    args: [],
    path: "/proc",
  };
  const error = launchError({ reported: [], fatal: { step, errno: errnos.EPERM } }, "tool");
  expect(error).toBeInstanceOf(SystemCallError);
  expect(error?.message).toBe("mount proc at /proc: move_mount /proc: operation not permitted (EPERM)");
  expect(error).toMatchObject({ syscall: "move_mount", path: "/proc", errnoName: "EPERM" });
});

test("what a step says to do about an error comes with it", () => {
  const step: Step = {
    label: "Find /proc",
    group: "file system",
    syscall: "openat2",
    args: [],
    hints: { ELOOP: "make a directory there" },
  };
  const hintOf = (name: ErrnoName) => launchError({ reported: [], fatal: { step, errno: errnos[name] } }, "tool")?.hint;
  expect(hintOf("ELOOP")).toBe("make a directory there");
  expect(hintOf("ENOENT")).toBeUndefined();
});
