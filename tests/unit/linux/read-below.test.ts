import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";

import { openDirectory } from "../../../src/linux/at.ts";
import { readBelow } from "../../../src/linux/read-below.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let directory: TemporaryDirectory;
beforeAll(() => {
  directory = new TemporaryDirectory("read-below");
  const root = `${directory.path}/root`;
  mkdirSync(`${root}/etc`, { recursive: true });
  writeFileSync(`${directory.path}/outside`, "outside");
  writeFileSync(`${root}/etc/file`, "inside");
  writeFileSync(`${root}/etc/empty`, "");
  symlinkSync("/etc/file", `${root}/absolute`);
  symlinkSync("../../outside", `${root}/etc/relative`);
  symlinkSync("circle", `${root}/circle`);
  symlinkSync("/proc/self/exe", `${root}/nowhere`);
  Bun.spawnSync(["mkfifo", `${root}/fifo`]);
});
afterAll(() => directory[Symbol.dispose]());

function read(path: string, limit = 100): string | undefined {
  using root = openDirectory(`${directory.path}/root`);
  const content = readBelow(root.number, path, limit);
  return content === undefined ? undefined : Buffer.from(content).toString();
}

test.each([
  ["/etc/file", "inside"],
  ["etc/file", "inside"],
  ["/../../etc/file", "inside"],
  ["/absolute", "inside"],
  ["/etc/empty", ""],
])("%s is read", (path, content) => {
  expect(read(path)).toBe(content);
});

test.each(["/etc/relative", "/etc", "/no/such", "/etc/file/below", "/circle", "/nowhere", "/fifo"])(
  "%s is no file of the container's that can be read",
  (path) => {
    expect(read(path)).toBeUndefined();
  },
);

test("one that is too large is refused", () => {
  expect(read("/etc/file", 6)).toBe("inside");
  expect(() => read("/etc/file", 5)).toThrow("/etc/file of the container has 6 bytes, more than 5");
});

test("nothing stays open", () => {
  read("/etc/file");
  read("/fifo");
  expect(directory.openFiles()).toEqual([]);
});
