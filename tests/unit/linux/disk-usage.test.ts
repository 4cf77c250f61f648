import { expect, test } from "bun:test";
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { diskUsage } from "../../../src/linux/disk-usage.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

test("counts the bytes of files, hard links once, and neither directories nor what links lead to", () => {
  using directory = new TemporaryDirectory("usage");
  using elsewhere = new TemporaryDirectory("usage-elsewhere");
  writeFileSync(`${elsewhere.path}/large`, "x".repeat(10_000));
  const at = (name: string) => `${directory.path}/${name}`;
  expect(diskUsage(directory.path)).toBe(0);
  mkdirSync(at("a/b/c"), { recursive: true });
  writeFileSync(at("a/one"), "12345");
  writeFileSync(at("a/b/c/two"), "123");
  writeFileSync(Buffer.concat([Buffer.from(at("a/")), Buffer.from([0xff, 0x0a])]), "1234");
  linkSync(at("a/one"), at("a/b/link"));
  symlinkSync(elsewhere.path, at("to-directory"));
  // A link's own text may be kept in its inode: then it takes no blocks.
  const links = diskUsage(directory.path) - (5 + 3 + 4);
  expect([0, elsewhere.path.length]).toContain(links);
  expect(directory.openFiles()).toEqual([]);
});

test("holes do not count", () => {
  using directory = new TemporaryDirectory("usage");
  writeFileSync(`${directory.path}/sparse`, "x");
  truncateSync(`${directory.path}/sparse`, 1 << 30);
  expect(diskUsage(directory.path)).toBeLessThan(1 << 20);
});

test("trees deeper than any path can say", () => {
  using directory = new TemporaryDirectory("usage");
  const script = "for i in $(seq 400); do mkdir dddddddddddddddd && cd dddddddddddddddd; done; printf 12345 >file";
  expect(Bun.spawnSync(["sh", "-c", script], { cwd: directory.path }).exitCode).toBe(0);
  expect(diskUsage(directory.path)).toBe(5);
});
