import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { createSandbox, gockerBinary } from "../helpers/binary.ts";

// The helper of the end-to-end tests has to notice what they leave behind.
test("a sandbox is gone after its test", async () => {
  let directory: string;
  {
    await using sandbox = await createSandbox();
    ({ directory } = sandbox);
    const { exitCode, stderr } = await sandbox.gocker(["info", "--format", "json"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  }
  expect(existsSync(directory)).toBe(false);
});

test("gocker uses the sandbox's directories", async () => {
  await using sandbox = await createSandbox();
  const { stdout } = await sandbox.gocker(["info"]);
  expect(stdout).toContain(sandbox.root);
  expect(stdout).toContain(sandbox.state);
});

test("a mount that a test left is undone and reported", async () => {
  const sandbox = await createSandbox();
  const point = join(sandbox.root, "a folder");
  await mkdir(point);
  expect(Bun.spawnSync(["mount", "-t", "tmpfs", "tmpfs", point]).exitCode).toBe(0);
  expect(sandbox.mounts()).toEqual([point]);
  await expect(sandbox[Symbol.asyncDispose]()).rejects.toThrow(`mount ${point}`);
  expect(existsSync(sandbox.directory)).toBe(false);
});

test("stdin reaches the command", async () => {
  await using sandbox = await createSandbox();
  // `load` reads an archive from stdin; this is none.
  const { exitCode, stderr } = await sandbox.gocker(["load"], { stdin: "no archive" });
  expect(exitCode).toBe(125);
  expect(stderr).not.toBe("");
});

test("a process that a test left is killed and reported", async () => {
  const sandbox = await createSandbox();
  // It waits for an archive that never comes.
  const child = Bun.spawn([gockerBinary(), "load"], {
    env: { ...sandbox.environment },
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
  while (!sandbox.processes().includes(child.pid)) {
    expect(child.exitCode).toBeNull();
    await Bun.sleep(1);
  }
  await expect(sandbox[Symbol.asyncDispose]()).rejects.toThrow(`process ${child.pid} `);
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
});
