import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launchError } from "../../../../src/runtime/errors.ts";
import type { Step } from "../../../../src/linux/launch/plan.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addExecutableCheck, programCandidates } from "../../../../src/runtime/plan/exec-lookup.ts";
import { runPlan, shellSteps } from "../../../helpers/launched-plan.ts";
import { TemporaryDirectory } from "../../../helpers/temporary.ts";

const user = { uid: 0, gid: 0 };

test("the places of a program are those of the last PATH, or its own path", () => {
  const places = (program: string, ...env: string[]) => programCandidates({ args: [program], env });
  expect(places("tool", "PATH=/no", "PATH=/a:/b/::relative:/a")).toEqual(["/a/tool", "/b/tool"]);
  expect(places("./tool", "PATH=/a")).toEqual(["./tool"]);
  expect(places("", "PATH=/a")).toEqual([""]);
  expect(places("tool", "PATH=")).toEqual(["/usr/local/sbin/tool"]);
  expect(places("tool")).toHaveLength(6);
  expect(() => programCandidates({ args: [] })).toThrow("process.args: nothing to execute");
});

describe("the check for the program", () => {
  let directory: TemporaryDirectory;
  const at = (name: string) => join(directory.path, name);
  beforeAll(() => {
    directory = new TemporaryDirectory("exec-lookup");
    // Others than root must come this far.
    chmodSync(directory.path, 0o755);
    for (const name of ["empty", "plain", "folder", "good"]) mkdirSync(at(name));
    mkdirSync(at("folder/tool"));
    writeFileSync(at("plain/tool"), "text", { mode: 0o644 });
    writeFileSync(at("good/tool"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(at("good/secret"), "#!/bin/sh\n", { mode: 0o700 });
  });
  afterAll(() => directory[Symbol.dispose]());

  /** What is said of a program before the plan goes on, which then says that it did. */
  async function check(program: string, path: readonly string[], before: readonly Step[] = []) {
    const env = [`PATH=${path.map(at).join(":")}`];
    const builder = new PlanBuilder();
    addExecutableCheck(builder, { args: [program], env, cwd: "/", user });
    const { outcome, stdout } = await runPlan({ steps: [...before, ...builder.steps, ...shellSteps("echo went on")] });
    const error = launchError(outcome, program);
    expect(stdout).toBe(error === undefined ? "went on\n" : "");
    return error === undefined ? "found" : error.message;
  }

  test("finds it in the first place, the last and one between", async () => {
    expect(await check("tool", ["good", "empty"])).toBe("found");
    expect(await check("tool", ["empty", "good", "plain"])).toBe("found");
    expect(await check("tool", ["empty", "folder", "plain", "good"])).toBe("found");
    expect(await check(at("good/tool"), [])).toBe("found");
  });

  test.each([
    ["tool", ["empty", "missing"], "cannot run tool: executable file not found in the container's PATH"],
    ["tool", ["empty", "plain", "empty/x"], "cannot run tool: permission denied"],
    ["tool", ["plain"], "cannot run tool: permission denied"],
    ["tool", ["folder", "empty"], "cannot run tool: is a directory"],
    ["tool", ["folder"], "cannot run tool: is a directory"],
    ["", [], "cannot run : executable file not found in the container's PATH"],
    ["/missing/tool", [], "cannot run /missing/tool: no such file or directory"],
    ["/etc", [], "cannot run /etc: is a directory"],
    ["/etc/passwd/x", [], "cannot run /etc/passwd/x: not a directory"],
  ])("says why %j in %j cannot be executed", async (program, path, message) => {
    expect(await check(program, path)).toBe(message);
  });

  test("searches a PATH that is longer than a step can leave out", async () => {
    const empty = Array.from({ length: 100 }, (_, index) => `none-${index}`);
    for (const position of [0, 1, 37, 38, 39, 75, 76, 77, 100]) {
      const path = empty.toSpliced(position, 0, "good");
      expect(await check("tool", path)).toBe("found");
    }
    expect(await check("tool", empty)).toBe("cannot run tool: executable file not found in the container's PATH");
    expect(await check("tool", empty.toSpliced(50, 0, "plain"))).toBe("cannot run tool: permission denied");
    const exactly = empty.slice(0, 37);
    expect(await check("tool", [...exactly, "good"])).toBe("found");
    expect(await check("tool", [...exactly, "empty", "good"])).toBe("found");
  });

  test.skipIf(process.getuid?.() !== 0)("looks with the rights of the user by then", async () => {
    const become: Step = { label: "user", group: "process", syscall: "setresuid", args: [1234, 1234, 1234] };
    expect(await check("secret", ["good"])).toBe("found");
    expect(await check("secret", ["good"], [become])).toBe("cannot run secret: permission denied");
    expect(await check("tool", ["good"], [become])).toBe("found");
  });

  test("gives the exit codes of a shell", async () => {
    const code = async (program: string) => {
      const builder = new PlanBuilder();
      addExecutableCheck(builder, { args: [program], cwd: "/", user });
      const { outcome } = await runPlan({ steps: builder.steps });
      return launchError(outcome, program);
    };
    expect(await code("/etc")).toMatchObject({ exitCode: 126 });
    expect(await code("/missing")).toMatchObject({ exitCode: 127 });
    expect(await code("no-such-program")).toMatchObject({ exitCode: 127 });
  });
});
