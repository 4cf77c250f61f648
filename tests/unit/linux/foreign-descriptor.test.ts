import { expect, test } from "bun:test";
import { fstatSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { OwnedFd } from "../../../src/linux/fd.ts";
import { findForeignDescriptor, takeForeignDescriptor } from "../../../src/linux/foreign-descriptor.ts";
import { openPidfd } from "../../../src/linux/process.ts";
import { until } from "../../helpers/until.ts";

/** A process that stands still until its standard input ends: one that is still being loaded opens and closes files. */
async function standing() {
  const child = Bun.spawn(["cat"], { stdin: "pipe", stdout: "ignore", stderr: "ignore" });
  const stat = () => readFileSync(`/proc/${child.pid}/stat`, "latin1");
  await until("it waits for input", () => stat().includes("(cat) S "));
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      await child.stdin.end();
      await child.exited;
    },
  };
}

test("what a process has open is found by what it is, and taken", async () => {
  await using child = await standing();
  const link = readlinkSync(`/proc/${child.pid}/fd/0`);
  expect(findForeignDescriptor(child.pid, link, 0)).toBe(0);
  expect(findForeignDescriptor(child.pid, "/dev/null", 0)).toBe(1);
  expect(findForeignDescriptor(child.pid, "/dev/null", 2)).toBe(2);
  expect(findForeignDescriptor(child.pid, link, 1)).toBeUndefined();
  using pidfd = new OwnedFd(openPidfd(child.pid) as number);
  using taken = takeForeignDescriptor(pidfd, 0, "take its input");
  expect(fstatSync(taken.number).ino).toBe(statSync(`/proc/${child.pid}/fd/0`).ino);
});

test("what it does not have open is told by its purpose", async () => {
  await using child = await standing();
  using pidfd = new OwnedFd(openPidfd(child.pid) as number);
  expect(() => takeForeignDescriptor(pidfd, 100_000, "take its input")).toThrow(
    "take its input: pidfd_getfd: bad file descriptor (EBADF)",
  );
});
