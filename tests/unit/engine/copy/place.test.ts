import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { openSource, openTarget, type Place } from "../../../../src/engine/copy/place.ts";
import { openDirectory } from "../../../../src/linux/at.ts";
import type { OwnedFd } from "../../../../src/linux/fd.ts";
import { TreeMerger } from "../../../../src/linux/merge-tree.ts";
import { ConflictError, NotFoundError } from "../../../../src/util/errors.ts";
import { isRoot, TemporaryDirectory } from "../../../helpers/temporary.ts";

let temporary: TemporaryDirectory;
let from: OwnedFd;
let to: OwnedFd;
beforeEach(() => {
  temporary = new TemporaryDirectory("place");
  for (const side of ["from", "to", "outside"]) mkdirSync(`${temporary.path}/${side}`);
  mkdirSync(`${temporary.path}/from/dir/sub`, { recursive: true });
  writeFileSync(`${temporary.path}/from/file`, "new");
  writeFileSync(`${temporary.path}/from/dir/inner`, "inner");
  symlinkSync("file", `${temporary.path}/from/link`);
  symlinkSync("dir", `${temporary.path}/from/link-to-dir`);
  symlinkSync("/outside/../../outside", `${temporary.path}/from/out`);
  from = openDirectory(`${temporary.path}/from`);
  to = openDirectory(`${temporary.path}/to`);
});
afterEach(() => {
  from.close();
  to.close();
  temporary[Symbol.dispose]();
});

const at = (path: string) => `${temporary.path}/to/${path}`;

test("a copy does not take the place of a pipe of the host, named by itself or by a link", () => {
  Bun.spawnSync(["mkfifo", at("pipe")]);
  symlinkSync("pipe", at("link"));
  using root = openDirectory("/");
  using found = openSource({ root: from, path: "/file", name: "file" }, false);
  for (const path of [at("pipe"), at("link")]) {
    expect(() => openTarget({ root, path, name: path, isHost: true }, found)).toThrow(ConflictError);
  }
  expect(lstatSync(at("pipe")).isFIFO()).toBe(true);
});

function copy(source: string, target: string, followLink = false): void {
  const place = (root: OwnedFd, path: string): Place => ({ root, path, name: path });
  using found = openSource(place(from, source), followLink);
  using goal = openTarget(place(to, target), found);
  const merger = new TreeMerger(goal.directory, {
    owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
  });
  if (goal.name !== undefined) merger.copyEntry(found.entry, goal.directory, goal.name);
  else if (found.entry.kind === "directory") merger.copyContents(found.entry, goal.directory);
}

/** All that is on the side that is copied to. */
const result = () => readdirSync(`${temporary.path}/to`, { recursive: true, encoding: "utf8" }).toSorted();

// The table of docker's documentation, `docker container cp`.
describe.skipIf(!isRoot)("docker's rules for paths", () => {
  const made = (...paths: string[]) => {
    for (const path of paths) {
      if (path.endsWith("/")) mkdirSync(at(path), { recursive: true });
      else writeFileSync(at(path), "old, and longer");
    }
  };

  test.each<[what: string, source: string, there: string[], target: string, expected: string[]]>([
    ["a file to a path that does not exist", "/file", [], "/x", ["x"]],
    ["a file to an existing file", "/file", ["x"], "/x", ["x"]],
    ["a file into a directory", "/file", ["d/"], "/d", ["d", "d/file"]],
    ["a file into a directory, with a slash", "/file", ["d/"], "/d/", ["d", "d/file"]],
    ["a file into the root directory", "/file", [], "/", ["file"]],
    ["a file into the root directory, by a dot", "file", [], ".", ["file"]],
    ["a directory to a path that does not exist", "/dir", [], "/x", ["x", "x/inner", "x/sub"]],
    ["a directory to a path that does not exist, with a slash", "/dir/", [], "/x/", ["x", "x/inner", "x/sub"]],
    ["its contents to a path that does not exist", "/dir/.", [], "/x", ["x", "x/inner", "x/sub"]],
    ["a directory into a directory", "/dir", ["d/"], "/d", ["d", "d/dir", "d/dir/inner", "d/dir/sub"]],
    ["its contents into a directory", "/dir/.", ["d/"], "/d", ["d", "d/inner", "d/sub"]],
    ["by dots", "/dir/sub/..", ["d/"], "/d", ["d", "d/inner", "d/sub"]],
    ["into one of its name", "/dir", ["dir/", "dir/old"], "/", ["dir", "dir/inner", "dir/old", "dir/sub"]],
    ["a link", "/link", [], "/x", ["x"]],
    [
      "a link with a slash, which is a directory",
      "/link-to-dir/",
      ["d/"],
      "/d",
      ["d", "d/link-to-dir", "d/link-to-dir/inner", "d/link-to-dir/sub"],
    ],
  ])("%s", (_what, source, there, target, expected) => {
    made(...there);
    copy(source, target);
    expect(result()).toEqual(expected);
  });

  test("a file is replaced, not written to", () => {
    made("x");
    symlinkSync("x", at("y"));
    copy("/file", "/x");
    expect(readFileSync(at("x"), "utf8")).toBe("new");
    // A link to a file stands for it.
    writeFileSync(at("x"), "old");
    copy("/file", "/y");
    expect([readFileSync(at("x"), "utf8"), readlinkSync(at("y"))]).toEqual(["new", "x"]);
  });

  test("a link that leads to nothing is where the file comes to be", () => {
    made("d/");
    symlinkSync("d/made", at("dangling"));
    copy("/file", "/dangling");
    expect(readFileSync(at("d/made"), "utf8")).toBe("new");
  });

  test("links are copied as links, or followed", () => {
    copy("/link", "/as-link");
    copy("/link", "/followed", true);
    expect(readlinkSync(at("as-link"))).toBe("file");
    expect(readFileSync(at("followed"), "utf8")).toBe("new");
    copy("/link-to-dir", "/directory", true);
    expect(result()).toContain("directory/inner");
  });

  test.each<[what: string, source: string, there: string[], target: string, kind: new (...words: never[]) => Error]>([
    ["nothing", "/none", [], "/x", NotFoundError],
    ["a file as a directory", "/file/.", [], "/x", NotFoundError],
    ["a file to a directory that is not there", "/file", [], "/x/", NotFoundError],
    ["a file to a path without a parent", "/file", [], "/x/y", NotFoundError],
    ["a directory to a path without a parent", "/dir", [], "/x/y", NotFoundError],
    ["a file below a file", "/file", ["x"], "/x/y", NotFoundError],
    ["a file to a file as a directory", "/file", ["x"], "/x/", ConflictError],
    ["a directory to a file", "/dir", ["x"], "/x", ConflictError],
    ["a directory over a file of its name", "/dir", ["dir"], "/", ConflictError],
    ["a file over a directory of its name", "/file", ["file/"], "/", ConflictError],
    ["a link that leads out", "/out/inner", [], "/x", NotFoundError],
  ])("%s is refused", (_what, source, there, target, kind) => {
    made(...there);
    const before = result();
    expect(() => copy(source, target)).toThrow(kind);
    expect(result()).toEqual(before);
  });

  test("links in a circle", () => {
    symlinkSync("b", at("a"));
    symlinkSync("a", at("b"));
    expect(() => copy("/file", "/a")).toThrow(ConflictError);
  });

  test("no link on either side leads out", () => {
    writeFileSync(`${temporary.path}/outside/secret`, "secret");
    const outside = `${temporary.path}/outside`;
    symlinkSync(outside, `${temporary.path}/from/absolute`);
    symlinkSync("../outside", `${temporary.path}/from/relative`);
    symlinkSync(outside, at("absolute"));
    symlinkSync("../outside/new", at("relative"));
    for (const link of ["absolute", "relative"]) {
      expect(() => copy(`/${link}/secret`, "/x")).toThrow(NotFoundError);
      expect(() => copy(`/${link}`, "/x", true)).toThrow(NotFoundError);
    }
    expect(() => copy("/file", "/absolute/x")).toThrow(NotFoundError);
    expect(() => copy("/file", "/relative")).toThrow(NotFoundError);
    expect(readdirSync(outside)).toEqual(["secret"]);
    expect(lstatSync(at("absolute")).isSymbolicLink()).toBe(true);
  });
});
