import { expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { openDirectory } from "../../../src/linux/at.ts";
import { libc } from "../../../src/linux/libc.ts";
import { withEnvironment } from "../../../src/runtime/environment.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\nhomeless:x:5:5:::\n";

function environment(env: readonly string[], uid: number, etc: (path: string) => void): readonly string[] {
  using directory = new TemporaryDirectory("environment");
  mkdirSync(`${directory.path}/root/etc`, { recursive: true });
  writeFileSync(`${directory.path}/outside`, "root:x:0:0::/outside:\n");
  etc(`${directory.path}/root/etc`);
  using root = openDirectory(`${directory.path}/root`);
  return withEnvironment({ cwd: "/", env: [...env], user: { uid, gid: 0 } }, root.number).env ?? [];
}

/** Descriptors that tests have to close. */
const held: number[] = [];
const usual = (path: string) => writeFileSync(`${path}/passwd`, passwd);

test("HOME is the user's where it is missing or empty", () => {
  expect(environment(["A=b"], 1000, usual)).toEqual(["A=b", "HOME=/home/user"]);
  expect(environment(["HOME=", "A=b"], 0, usual)).toEqual(["HOME=/root", "A=b"]);
  expect(environment(["HOME=/mine"], 0, usual)).toEqual(["HOME=/mine"]);
});

test("HOME is / where the container's files do not say it", () => {
  expect(environment([], 77, usual)).toEqual(["HOME=/"]);
  expect(environment([], 5, usual)).toEqual(["HOME=/"]);
  expect(environment([], 0, () => {})).toEqual(["HOME=/"]);
  expect(environment([], 0, (path) => mkdirSync(`${path}/passwd`))).toEqual(["HOME=/"]);
});

test.each([
  ["relative", "relative"],
  ["with a NUL", "/nul\0"],
  ["too long", `/${"x".repeat(4095)}`],
])("HOME is / where it could not be one: %s", (_, home) => {
  const write = (path: string) => writeFileSync(`${path}/passwd`, `root:x:0:0::${home}:/bin/sh\n`);
  expect(environment([], 0, write)).toEqual(["HOME=/"]);
});

test("no link leads out of the container", () => {
  expect(environment([], 0, (path) => symlinkSync("../../outside", `${path}/passwd`))).toEqual(["HOME=/"]);
});

test("a file that somebody keeps back with a lease is not waited for", () => {
  // fcntl(2): the holder of a lease is told by SIGIO that somebody wants the file.
  const [setLease, writeLease] = [1024, 1];
  const ignore = () => {};
  process.on("SIGIO", ignore);
  try {
    const home = environment([], 1000, (path) => {
      usual(path);
      const file = openSync(`${path}/passwd`, "r+");
      expect(libc.fcntl(file, setLease, writeLease)).toBe(0);
      held.push(file);
    });
    expect(home).toEqual(["HOME=/"]);
  } finally {
    for (const file of held.splice(0)) closeSync(file);
    process.off("SIGIO", ignore);
  }
});

test("the last of several counts, and lines without a value are names too", () => {
  expect(environment(["A=1", "HOME=/h", "A=2", "B", "B=3"], 0, usual)).toEqual(["HOME=/h", "A=2", "B=3"]);
});
