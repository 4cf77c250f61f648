import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mount } from "../../../src/oci/runtime-spec.ts";
import { readBundle } from "../../../src/runtime/bundle.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

test("mounts name places of the host whole, and places in the root directory from there", () => {
  using directory = new TemporaryDirectory("bundle");
  const real = join(directory.path, "real");
  mkdirSync(real);
  symlinkSync("real", join(directory.path, "rootfs"));
  const mounts: Mount[] = [
    { destination: "/a", type: "bind", source: "data" },
    { destination: "/b", source: "../data", options: ["rbind"] },
    { destination: "/c", type: "tmpfs", source: "data" },
    { destination: `${real}/proc`, type: "bind", source: "/proc" },
    { destination: `${real}s/x`, type: "bind", source: "/proc" },
  ];
  const spec = { ociVersion: "1.2.0", root: { path: "rootfs" }, mounts };
  writeFileSync(join(directory.path, "config.json"), JSON.stringify(spec));
  const bundle = readBundle(directory.path);
  expect(bundle.rootfs).toBe(real);
  expect(bundle.spec.mounts?.map(({ destination, source }) => [destination, source])).toEqual([
    ["/a", join(directory.path, "data")],
    ["/b", join(directory.path, "../data")],
    ["/c", "data"],
    ["/proc", "/proc"],
    [`${real}s/x`, "/proc"],
  ]);
});

test("a root directory that is none is told by its property", () => {
  using directory = new TemporaryDirectory("bundle");
  writeFileSync(join(directory.path, "config.json"), JSON.stringify({ ociVersion: "1.2.0", root: { path: "rootfs" } }));
  const path = join(directory.path, "rootfs");
  expect(() => readBundle(directory.path)).toThrow(`the bundle's root directory (root.path) does not exist: ${path}`);
  writeFileSync(path, "");
  expect(() => readBundle(directory.path)).toThrow(`root.path: ${path} is no directory`);
});
