import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { changesOf } from "../../../src/container/changes.ts";
import { type LayeredDirectory, LayeredRoot } from "../../../src/container/layered-root.ts";
import { makeNodeAt, openDirectory } from "../../../src/linux/at.ts";
import { S_IFCHR } from "../../../src/linux/constants.ts";
import { opaqueAttribute, yes } from "../../../src/linux/overlay.ts";
import { setXattr } from "../../../src/linux/xattr.ts";
import { isRoot, TemporaryDirectory } from "../../helpers/temporary.ts";

let temporary: TemporaryDirectory;
beforeEach(() => {
  temporary = new TemporaryDirectory("changes");
  for (const name of ["upper", "low", "high"]) mkdirSync(at(name));
});
afterEach(() => temporary[Symbol.dispose]());

const at = (path: string) => `${temporary.path}/${path}`;
const directory = (path: string, mode = 0o755) => {
  mkdirSync(at(path), { recursive: true });
  chmodSync(at(path), mode);
};
const time = new Date("2024-01-01T00:00:00Z");
const file = (path: string, content = "") => {
  writeFileSync(at(path), content);
  utimesSync(at(path), time, time);
};
const whiteout = (parent: string, name: string) => {
  using opened = openDirectory(at(parent));
  makeNodeAt(opened.number, name, S_IFCHR, 0);
};
const opaque = (path: string) => {
  using opened = openDirectory(at(path));
  setXattr(opened.number, opaqueAttribute, yes);
};

function changes(): string[] {
  using image = LayeredRoot.open([at("low"), at("high")]);
  using lower = image.resolve("/") as LayeredDirectory;
  using upper = openDirectory(at("upper"));
  return changesOf(upper, lower).map(({ kind, path }) => `${kind} ${path}`);
}

describe.skipIf(!isRoot)("changesOf", () => {
  test("nothing", () => {
    file("low/file");
    expect(changes()).toEqual([]);
  });

  test("files that are added, changed and deleted, in the order of their paths", () => {
    directory("low/etc");
    directory("upper/etc");
    for (const name of ["changed", "deleted", "same", "other-mode"]) file(`low/etc/${name}`, "one");
    file("upper/etc/changed", "two!");
    file("upper/etc/same", "one");
    file("upper/etc/other-mode", "one");
    chmodSync(at("upper/etc/other-mode"), 0o600);
    whiteout("upper/etc", "deleted");
    whiteout("upper/etc", "never-there");
    file("upper/etc.d");
    directory("upper/new/deep");
    symlinkSync("etc", at("upper/new/deep/link"));
    expect(changes()).toEqual([
      "C /etc",
      "A /etc.d",
      "C /etc/changed",
      "D /etc/deleted",
      "C /etc/other-mode",
      "A /new",
      "A /new/deep",
      "A /new/deep/link",
    ]);
  });

  test("a directory that was only passed through is not told, one with another owner or mode is", () => {
    for (const layer of ["low", "upper"]) for (const name of ["same", "mode", "owner"]) directory(`${layer}/${name}`);
    chmodSync(at("upper/mode"), 0o700);
    chownSync(at("upper/owner"), 1, 1);
    expect(changes()).toEqual(["C /mode", "C /owner"]);
  });

  test("an opaque directory shows nothing of the one below it", () => {
    directory("low/data/sub");
    file("high/file");
    for (const name of ["gone", "kept"]) file(`low/data/${name}`, "one");
    directory("upper/data");
    opaque("upper/data");
    file("upper/data/kept", "another");
    file("upper/data/new");
    expect(changes()).toEqual(["C /data", "D /data/gone", "C /data/kept", "A /data/new", "D /data/sub"]);
  });

  test("a directory in the place of a file, and a file in the place of a directory", () => {
    directory("low/was-directory/sub");
    file("low/was-directory/sub/file");
    file("low/was-file");
    file("upper/was-directory");
    directory("upper/was-file");
    file("upper/was-file/new");
    expect(changes()).toEqual(["C /was-directory", "C /was-file", "A /was-file/new"]);
  });

  test("the image is all of its layers", () => {
    for (const layer of ["low", "high", "upper"]) directory(`${layer}/etc`);
    file("low/etc/low", "one");
    file("high/etc/high", "one");
    file("low/etc/hidden");
    whiteout("high/etc", "hidden");
    for (const name of ["low", "high"]) file(`upper/etc/${name}`, "one");
    file("upper/etc/hidden");
    expect(changes()).toEqual(["C /etc", "A /etc/hidden"]);
  });

  test("names that are no text", () => {
    writeFileSync(Buffer.from(at("upper/\xff"), "latin1"), "");
    expect(changes()).toEqual(["A /\xff"]);
  });
});
