import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { LayeredRoot } from "../../../src/container/layered-root.ts";
import { makeNodeAt, openAt, openDirectory } from "../../../src/linux/at.ts";
import { O_DIRECTORY, O_RDONLY, S_IFCHR, S_IFIFO } from "../../../src/linux/constants.ts";
import { setXattr } from "../../../src/linux/xattr.ts";
import { GockerError } from "../../../src/util/errors.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let directory: TemporaryDirectory;

beforeEach(() => {
  directory = new TemporaryDirectory("layers");
});

afterEach(() => {
  expect(directory.openFiles()).toEqual([]);
  directory[Symbol.dispose]();
});

const place = (layer: number, path: string) => `${directory.path}/${layer}/${path}`;
/** Layer 0 is the lowest. */
function file(layer: number, path: string, content: string) {
  mkdirSync(dirname(place(layer, path)), { recursive: true });
  writeFileSync(place(layer, path), content);
}
function link(layer: number, path: string, target: string) {
  mkdirSync(dirname(place(layer, path)), { recursive: true });
  symlinkSync(target, place(layer, path));
}
function node(layer: number, path: string, type: number) {
  mkdirSync(dirname(place(layer, path)), { recursive: true });
  using parent = openDirectory(dirname(place(layer, path)));
  makeNodeAt(parent.number, path.slice(path.lastIndexOf("/") + 1), type, 0);
}
/** A character device 0/0, which Linux 5.8 lets everybody make. */
const whiteout = (layer: number, path: string) => node(layer, path, S_IFCHR);
function opaque(layer: number, path: string) {
  mkdirSync(place(layer, path), { recursive: true });
  using parent = openDirectory(place(layer, path));
  using itself = openAt(parent.number, ".", O_RDONLY | O_DIRECTORY);
  setXattr(itself.number, "user.overlay.opaque", Buffer.from("y"));
}
function open(layers: number): LayeredRoot {
  const paths = Array.from({ length: layers }, (_, layer) => `${directory.path}/${layer}`);
  for (const path of paths) mkdirSync(path, { recursive: true });
  return LayeredRoot.open(paths, "user.overlay.opaque");
}
function read(layers: number, path: string): string | undefined {
  using root = open(layers);
  const content = root.readFile(path, 1000);
  return content === undefined ? undefined : Buffer.from(content).toString();
}
function names(layers: number, path: string): string[] | undefined {
  using root = open(layers);
  using entry = root.resolve(path);
  return entry?.kind === "directory" ? entry.names().toSorted() : undefined;
}

describe("layers", () => {
  test("the uppermost file counts, directories merge", () => {
    file(0, "etc/passwd", "low");
    file(0, "etc/group", "group");
    file(1, "etc/passwd", "high");
    file(2, "other", "x");
    expect(read(3, "/etc/passwd")).toBe("high");
    expect(read(3, "etc/group")).toBe("group");
    expect(names(3, "/etc")).toEqual(["group", "passwd"]);
    expect(names(3, "/")).toEqual(["etc", "other"]);
  });

  test("a whiteout hides what is below, not what is above", () => {
    file(0, "a", "0");
    whiteout(1, "a");
    expect(read(2, "/a")).toBeUndefined();
    expect(names(2, "/")).toEqual([]);
    file(2, "a", "2");
    expect(read(3, "/a")).toBe("2");
  });

  test("a whiteout between directories ends the merge", () => {
    file(0, "d/old", "0");
    whiteout(1, "d");
    file(2, "d/new", "2");
    expect(names(3, "/d")).toEqual(["new"]);
    expect(read(3, "/d/old")).toBeUndefined();
  });

  test("an opaque directory hides the lower ones", () => {
    file(0, "d/old", "0");
    file(1, "d/middle", "1");
    opaque(1, "d");
    file(2, "d/new", "2");
    expect(names(3, "/d")).toEqual(["middle", "new"]);
  });

  test("a file hides a directory, and a directory a file", () => {
    file(0, "x/inner", "0");
    file(1, "x", "file");
    expect(read(2, "/x/inner")).toBeUndefined();
    expect(read(2, "/x")).toBe("file");
    file(2, "x/again", "2");
    expect(names(3, "/x")).toEqual(["again"]);
  });

  test("the attribute that the kernel would ignore is ignored", () => {
    file(0, "d/old", "0");
    opaque(1, "d");
    using root = LayeredRoot.open([place(0, ""), place(1, "")]);
    using entry = root.resolve("/d/old");
    expect(entry?.kind).toBe("file");
  });
});

describe("links", () => {
  test("cross layers, and never lead out", () => {
    file(0, "usr/etc/passwd", "inside");
    link(1, "etc", "/usr/etc");
    link(2, "up", "../../../../../../usr/etc/passwd");
    link(2, "relative/link", "../usr/./etc//passwd");
    expect(read(3, "/etc/passwd")).toBe("inside");
    expect(read(3, "/up")).toBe("inside");
    expect(read(3, "/relative/link")).toBe("inside");
    expect(read(3, "/relative/../../etc/passwd")).toBe("inside");
  });

  test("to the host's files find nothing", () => {
    link(0, "etc/passwd", "/proc/self/root/etc/passwd");
    link(0, "out", `${directory.path}/secret`);
    writeFileSync(`${directory.path}/secret`, "secret");
    expect(read(1, "/etc/passwd")).toBeUndefined();
    expect(read(1, "/out")).toBeUndefined();
  });

  test("circles and long chains find nothing", () => {
    link(0, "a", "b");
    link(0, "b", "a");
    link(0, "self", "self/x");
    for (let number = 0; number < 50; number++) link(0, `chain${number}`, `chain${number + 1}`);
    file(0, "chain50", "end");
    expect(read(1, "/a")).toBeUndefined();
    expect(read(1, "/self")).toBeUndefined();
    expect(read(1, "/chain0")).toBeUndefined();
    expect(read(1, "/chain20")).toBe("end");
  });

  test("the last one is not followed when asked so", () => {
    file(0, "file", "x");
    link(0, "link", "file");
    using root = open(1);
    using entry = root.resolve("/link", { noFollow: true });
    expect(entry?.kind === "file" && entry.stat.isSymbolicLink()).toBe(true);
    using followed = root.resolve("/link");
    expect(followed?.kind === "file" && followed.stat.isFile()).toBe(true);
  });

  test("a trailing slash wants a directory", () => {
    file(0, "file", "x");
    file(0, "dir/file", "x");
    link(0, "to-file", "file");
    link(0, "to-dir", "dir");
    link(0, "slash", "file/");
    using root = open(1);
    for (const path of ["/file/", "/to-file/", "/file/.", "/slash", "/file/../file"]) {
      expect(root.resolve(path)).toBeUndefined();
    }
    using entry = root.resolve("/to-dir/", { noFollow: true });
    expect(entry?.kind).toBe("directory");
  });

  test("endless work is an error", () => {
    mkdirSync(place(0, Array(500).fill("d").join("/")), { recursive: true });
    using root = open(1);
    const path = `${"d/".repeat(500)}${"../d/".repeat(600)}x`;
    expect(() => root.resolve(path)).toThrow(GockerError);
  });
});

describe("readFile", () => {
  test("does not open what is no regular file", () => {
    node(0, "fifo", S_IFIFO);
    mkdirSync(place(0, "dir"));
    link(0, "to-fifo", "fifo");
    expect(read(1, "/fifo")).toBeUndefined();
    expect(read(1, "/to-fifo")).toBeUndefined();
    expect(read(1, "/dir")).toBeUndefined();
    expect(read(1, "/missing")).toBeUndefined();
  });

  test("refuses what is too large", () => {
    file(0, "big", "x".repeat(1001));
    file(0, "fits", "x".repeat(1000));
    expect(() => read(1, "/big")).toThrow(/1001 bytes, more than 1000/);
    expect(read(1, "/fits")).toHaveLength(1000);
    expect(read(1, "/empty")).toBeUndefined();
  });

  test("names too long for the kernel find nothing", () => {
    expect(read(1, `/${"x".repeat(256)}`)).toBeUndefined();
    expect(read(1, "/x".repeat(2049))).toBeUndefined();
  });

  test("names that are not UTF-8 are kept", () => {
    mkdirSync(place(0, ""), { recursive: true });
    writeFileSync(Buffer.concat([Buffer.from(place(0, "")), Buffer.from([0xff, 0xfe])]), "x");
    file(0, "ü", "x");
    expect(names(1, "/")).toEqual(["\xc3\xbc", "\xff\xfe"]);
    expect(read(1, "/ü")).toBe("x");
  });
});

test("the root itself", () => {
  file(0, "a", "0");
  expect(names(1, "/")).toEqual(["a"]);
  expect(names(1, "")).toEqual(["a"]);
  expect(names(1, "/..")).toEqual(["a"]);
});
