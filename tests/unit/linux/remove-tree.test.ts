import { expect, test } from "bun:test";
import { linkSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { makeDirectoryAt, openAt, openDirectory } from "../../../src/linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../../../src/linux/constants.ts";
import { removeTreeAt } from "../../../src/linux/remove-tree.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

test("removes files, links and directories, and follows nothing", () => {
  using directory = new TemporaryDirectory("remove");
  const { path } = directory;
  mkdirSync(`${path}/kept`);
  writeFileSync(`${path}/kept/file`, "x");
  mkdirSync(`${path}/tree/a/b`, { recursive: true });
  writeFileSync(`${path}/tree/a/file`, "x");
  symlinkSync(`${path}/kept`, `${path}/tree/link`);
  symlinkSync("../../../kept", `${path}/tree/a/b/link`);
  writeFileSync(Buffer.concat([Buffer.from(`${path}/tree/`), Buffer.from([0xff])]), "x");
  symlinkSync("kept", `${path}/link`);
  using parent = openDirectory(path);
  removeTreeAt(parent.number, "tree");
  removeTreeAt(parent.number, "link");
  removeTreeAt(parent.number, "missing");
  expect(readdirSync(path)).toEqual(["kept"]);
  expect(readFileSync(`${path}/kept/file`, "utf8")).toBe("x");
});

test("removes trees deeper than any path, with few descriptors", () => {
  using directory = new TemporaryDirectory("remove");
  using parent = openDirectory(directory.path);
  makeDirectoryAt(parent.number, "deep", 0o700);
  let current = openAt(parent.number, "deep", O_RDONLY | O_DIRECTORY);
  for (let depth = 0; depth < 1000; depth++) {
    // The name that the walk itself gives to what it moves.
    const name = depth % 3 === 0 ? ".deep-0" : "d".repeat(100);
    makeDirectoryAt(current.number, name, 0o700);
    const next = openAt(current.number, name, O_RDONLY | O_DIRECTORY);
    current.close();
    current = next;
  }
  current.close();
  removeTreeAt(parent.number, "deep");
  expect(readdirSync(directory.path)).toEqual([]);
});

test("counts what it frees: each file once, and none that has a name left", () => {
  using directory = new TemporaryDirectory("remove");
  const { path } = directory;
  mkdirSync(`${path}/tree/a`, { recursive: true });
  writeFileSync(`${path}/tree/file`, "x".repeat(100));
  linkSync(`${path}/tree/file`, `${path}/tree/a/again`);
  writeFileSync(`${path}/outside`, "x".repeat(10));
  linkSync(`${path}/outside`, `${path}/tree/inside`);
  using parent = openDirectory(path);
  const freed = { bytes: 0 };
  removeTreeAt(parent.number, "tree", freed);
  expect(freed.bytes).toBe(100);
  removeTreeAt(parent.number, "outside", freed);
  expect(freed.bytes).toBe(110);
});
