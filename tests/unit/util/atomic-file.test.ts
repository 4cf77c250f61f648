import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sweepPrepared, writeFileAtomic } from "../../../src/util/atomic-file.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gocker-atomic-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a file is replaced, with the mode that was asked for", () => {
  const path = join(directory, "file");
  writeFileAtomic(path, "old");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  writeFileAtomic(path, new Uint8Array([110, 101, 119]), { mode: 0o640, durable: true });
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(readdirSync(directory)).toEqual(["file"]);
});

test("what fails leaves the old file and nothing else", () => {
  const path = join(directory, "taken");
  mkdirSync(join(path, "inside"), { recursive: true });
  expect(() => writeFileAtomic(path, "new")).toThrow();
  expect(readdirSync(directory)).toEqual(["taken"]);
});

test("what a killed process has prepared is swept away, that of one that lives is not", async () => {
  const dead = Bun.spawn(["true"]);
  await dead.exited;
  const names = [`.${process.pid}-0-abc.new`, "other.new", ".lock"];
  for (const name of [...names, `.${dead.pid}-1-076bikma.new`]) writeFileSync(join(directory, name), "");
  sweepPrepared(directory);
  expect(readdirSync(directory).toSorted()).toEqual(names.toSorted());
  sweepPrepared(join(directory, "not-there"));
});
