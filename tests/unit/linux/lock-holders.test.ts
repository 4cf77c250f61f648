import { expect, test } from "bun:test";
import { FileLock, isHeld } from "../../../src/linux/lock.ts";
import { killHolders } from "../../../src/linux/lock-holders.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const lock = JSON.stringify(import.meta.resolve("../../../src/linux/lock.ts"));

/** A process that runs a script to its first output, and waits. */
async function start(script: string) {
  const child = Bun.spawn([process.execPath, "-e", `${script}; console.log("there"); setInterval(() => {}, 1000);`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  await child.stdout.getReader().read();
  return child;
}

test("who holds a lock is killed, even if it stands still, and nobody who only has the file open", async () => {
  using directory = new TemporaryDirectory("holders");
  const path = `${directory.path}/lock`;
  expect(killHolders(path)).toBe(0);
  await using holder = await start(
    `const { FileLock } = await import(${lock}); globalThis.held = FileLock.tryAcquire(${JSON.stringify(path)}, "exclusive")`,
  );
  await using other = await start(`require("node:fs").openSync(${JSON.stringify(path)}, "r+")`);
  expect(isHeld(path)).toBe(true);
  holder.kill("SIGSTOP");
  expect(killHolders(path)).toBe(1);
  await holder.exited;
  expect(holder.signalCode).toBe("SIGKILL");
  expect(other.exitCode).toBeNull();
  using mine = FileLock.tryAcquire(path, "exclusive");
  expect(mine).toBeDefined();
});
