import { expect, test } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { makeDirectoryAt, openAt, openDirectory } from "../../../src/linux/at.ts";
import { changeOwner } from "../../../src/linux/change-owner.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY } from "../../../src/linux/constants.ts";
import { removeTreeAt } from "../../../src/linux/remove-tree.ts";
import { relabel } from "../../../src/linux/relabel.ts";
import { walkTree } from "../../../src/linux/walk-tree.ts";
import { getXattr } from "../../../src/linux/xattr.ts";
import { isRoot, TemporaryDirectory } from "../../helpers/temporary.ts";

function inodesOf(path: string): bigint[] {
  using top = openDirectory(path);
  const inodes: bigint[] = [];
  walkTree(top, (_fd, { ino }) => inodes.push(ino));
  return inodes;
}

test("visits everything once, parents first, and follows nothing", () => {
  using directory = new TemporaryDirectory("walk");
  const { path } = directory;
  mkdirSync(`${path}/tree/a/b`, { recursive: true });
  writeFileSync(`${path}/tree/a/file`, "x");
  writeFileSync(`${path}/outside`, "x");
  symlinkSync("../..", `${path}/tree/a/up`);
  symlinkSync(`${path}/outside`, `${path}/tree/link`);
  writeFileSync(Buffer.concat([Buffer.from(`${path}/tree/`), Buffer.from([0xff])]), "x");
  const expected = ["", "/a", "/a/b", "/a/file", "/a/up", "/link"].map((name) => `${path}/tree${name}`);
  const found = inodesOf(`${path}/tree`);
  expect(found).toHaveLength(7);
  const place = new Map(found.map((inode, index) => [inode, index]));
  const order = expected.map((one) => place.get(lstatSync(one, { bigint: true }).ino) as number);
  expect(order.every((one) => one >= 0)).toBe(true);
  const [top = -1, a = -1, b = -1] = order;
  expect(top).toBe(0);
  expect(a).toBeLessThan(b);
  expect(directory.openFiles()).toEqual([]);
});

test("a single file", () => {
  using directory = new TemporaryDirectory("walk");
  writeFileSync(`${directory.path}/file`, "x");
  using parent = openDirectory(directory.path);
  using file = openAt(parent.number, "file", O_PATH);
  let visits = 0;
  walkTree(file, () => visits++);
  expect(visits).toBe(1);
});

test("deep trees with few open files, with something to do on the way back", () => {
  using directory = new TemporaryDirectory("walk");
  const depth = 300;
  {
    using parent = openDirectory(directory.path);
    makeDirectoryAt(parent.number, "top", 0o700);
    let current = openAt(parent.number, "top", O_RDONLY | O_DIRECTORY);
    for (let level = 0; level < depth; level++) {
      for (const name of ["a", "z"]) makeDirectoryAt(current.number, name, 0o700);
      const next = openAt(current.number, level % 2 === 0 ? "a" : "z", O_RDONLY | O_DIRECTORY);
      current.close();
      current = next;
    }
    current.close();
  }
  using top = openDirectory(`${directory.path}/top`);
  let most = 0;
  let visits = 0;
  walkTree(top, () => {
    visits++;
    if (visits % 100 === 0) most = Math.max(most, readdirSync("/proc/self/fd").length);
  });
  expect(visits).toBe(1 + 2 * depth);
  expect(most).toBeLessThan(200);
  expect(directory.openFiles()).toHaveLength(1);
  using parent = openDirectory(directory.path);
  removeTreeAt(parent.number, "top");
});

test("what is moved away while it is walked is passed over", () => {
  using directory = new TemporaryDirectory("walk");
  const { path } = directory;
  const deep = `${path}/tree/${Array.from({ length: 80 }, () => "d").join("/")}`;
  mkdirSync(deep, { recursive: true });
  mkdirSync(`${path}/tree/d/d/a-later`);
  const last = lstatSync(deep, { bigint: true }).ino;
  using top = openDirectory(`${path}/tree`);
  let visits = 0;
  walkTree(top, (_fd, { ino }) => {
    visits++;
    if (ino !== last) return;
    renameSync(`${path}/tree/d`, `${path}/moved`);
    mkdirSync(`${path}/tree/d/d/another`, { recursive: true });
  });
  expect(visits).toBeGreaterThanOrEqual(81);
  expect(visits).toBeLessThanOrEqual(82);
  expect(directory.openFiles()).toHaveLength(1);
});

test.skipIf(!isRoot)("changeOwner spares links' targets, and what is the owner's already", () => {
  using directory = new TemporaryDirectory("owner");
  const { path } = directory;
  mkdirSync(`${path}/tree/sub`, { recursive: true });
  writeFileSync(`${path}/outside`, "x");
  symlinkSync(`${path}/outside`, `${path}/tree/sub/link`);
  using top = openDirectory(`${path}/tree`);
  changeOwner(top, { uid: 405, gid: 7 });
  for (const name of ["", "/sub", "/sub/link"]) {
    expect(lstatSync(`${path}/tree${name}`)).toMatchObject({ uid: 405, gid: 7 });
  }
  const { ctimeNs } = lstatSync(`${path}/tree/sub`, { bigint: true });
  changeOwner(top, { uid: 405, gid: 7 });
  expect(lstatSync(`${path}/tree/sub`, { bigint: true }).ctimeNs).toBe(ctimeNs);
  expect(lstatSync(`${path}/outside`)).toMatchObject({ uid: 0, gid: 0 });
});

test.skipIf(!isRoot)("relabel sets the attribute that SELinux reads", () => {
  using directory = new TemporaryDirectory("label");
  const { path } = directory;
  mkdirSync(`${path}/tree/sub`, { recursive: true });
  symlinkSync("nowhere", `${path}/tree/sub/link`);
  using top = openDirectory(`${path}/tree`);
  relabel(top, "system_u:object_r:container_file_t:s0");
  using parent = openDirectory(`${path}/tree/sub`);
  using link = openAt(parent.number, "link", O_PATH);
  for (const file of [top, parent, link]) {
    expect(Buffer.from(getXattr(file.number, "security.selinux") ?? []).toString()).toBe(
      "system_u:object_r:container_file_t:s0\0",
    );
  }
});
