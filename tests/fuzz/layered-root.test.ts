import { ptr } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { type BigIntStats, fstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { type LayeredEntry, LayeredRoot } from "../../src/container/layered-root.ts";
import { makeNodeAt, namesIn, openAt, openDirectory, readLink, tryOpenAt } from "../../src/linux/at.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
} from "../../src/linux/constants.ts";
import { errnoName, errnos } from "../../src/linux/errno.ts";
import { OwnedFd } from "../../src/linux/fd.ts";
import { bindLibc, errno, libc } from "../../src/linux/libc.ts";
import { syscallNumber } from "../../src/linux/syscalls.ts";
import { setXattr } from "../../src/linux/xattr.ts";
import { isRoot, TemporaryDirectory } from "../helpers/temporary.ts";

/**
 * The view of layers without a mount must be what the container will see: random layers are mounted by the kernel, and
 * random paths looked up both ways.
 */
if (!isRoot) console.warn("fuzz of the layered root: skipped, it mounts overlays and needs root");

const mounts = bindLibc({
  mount: { args: ["cstring", "cstring", "cstring", "u64", "cstring"], returns: "i32" },
  umount2: { args: ["cstring", "i32"], returns: "i32" },
});

/** Small, fast and good enough; a failing seed can be run again. */
function generator(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}
type Random = ReturnType<typeof generator>;

const names = ["a", "b", "c"];
const randomName = (random: Random) => names[random(names.length)] as string;

function randomPath(random: Random): string {
  const parts = Array.from({ length: 1 + random(5) }, () => {
    const kind = random(10);
    if (kind === 0) return "..";
    return kind === 1 ? "." : randomName(random);
  });
  return `${random(3) === 0 ? "/" : ""}${parts.join(random(8) === 0 ? "//" : "/")}${random(8) === 0 ? "/" : ""}`;
}

function fillDirectory(random: Random, path: string, depth: number, layer: number): void {
  using directory = openDirectory(path);
  for (const name of names) {
    const place = `${path}/${name}`;
    switch (random(depth > 3 ? 6 : 9)) {
      case 0:
        writeFileSync(place, `${layer}:${place.length}`);
        break;
      case 1:
        symlinkSync(randomPath(random), place);
        break;
      case 2:
        if (layer > 0) makeNodeAt(directory.number, name, S_IFCHR, 0);
        break;
      case 3:
        makeNodeAt(directory.number, name, S_IFIFO, 0);
        break;
      case 4:
      case 5:
        break;
      default: {
        mkdirSync(place);
        fillDirectory(random, place, depth + 1, layer);
        using made = openAt(directory.number, name, O_RDONLY | O_DIRECTORY);
        if (layer > 0 && random(4) === 0) setXattr(made.number, "trusted.overlay.opaque", Buffer.from("y"));
      }
    }
  }
}

/** What the kernel finds, or the name of its error. */
function openInRoot(root: OwnedFd, path: string, noFollow: boolean): OwnedFd | string {
  const how = new BigUint64Array([
    BigInt(O_PATH | O_CLOEXEC | (noFollow ? O_NOFOLLOW : 0)),
    0n,
    BigInt(RESOLVE_IN_ROOT),
  ]);
  const bytes = Buffer.from(`${path}\0`);
  for (;;) {
    const fd = Number(libc.syscall(syscallNumber("openat2"), root.number, ptr(bytes), ptr(how), how.byteLength, 0, 0));
    if (fd >= 0) return new OwnedFd(fd);
    // Somebody has renamed or mounted something while a `..` was looked up, anywhere on the machine. openat2(2)
    if (errno() !== errnos.EAGAIN) return errnoName(errno());
  }
}

function describeFile(fd: OwnedFd, stat: BigIntStats): string {
  const type = Number(stat.mode) & S_IFMT;
  if (stat.isFile()) return `file ${readFileSync(`/proc/self/fd/${fd.number}`, "utf8")}`;
  return stat.isSymbolicLink() ? `link ${readLink(fd.number)}` : `type ${type.toString(8)}`;
}

function describeKernels(found: OwnedFd | string): string {
  if (typeof found === "string") return ["ENOENT", "ENOTDIR", "ELOOP"].includes(found) ? "nothing" : found;
  const stat = fstatSync(found.number, { bigint: true });
  if (!stat.isDirectory()) return describeFile(found, stat);
  using directory = openAt(found.number, ".", O_RDONLY | O_DIRECTORY);
  // A directory that only one layer has is listed as it is, whiteouts too, although looking them up finds nothing.
  const visible = namesIn(directory.number).filter((name) => {
    using entry = tryOpenAt(directory.number, name, O_PATH);
    return entry !== undefined;
  });
  return `directory ${visible.toSorted().join()}`;
}

function describeOurs(entry: LayeredEntry | undefined): string {
  if (entry === undefined) return "nothing";
  if (entry.kind === "directory") return `directory ${entry.names().toSorted().join()}`;
  return describeFile(entry.fd, entry.stat);
}

describe.skipIf(!isRoot)("the layered root sees what overlayfs shows", () => {
  test.each(Array.from({ length: 25 }, (_, seed) => seed))("seed %d", (seed) => {
    const random = generator(seed);
    using directory = new TemporaryDirectory("overlay");
    const layers = Array.from({ length: 2 + random(4) }, (_, layer) => `${directory.path}/${layer}`);
    for (const [layer, path] of layers.entries()) {
      mkdirSync(path);
      fillDirectory(random, path, 0, layer);
    }
    const target = `${directory.path}/merged`;
    mkdirSync(target);
    const options = `lowerdir=${layers.toReversed().join(":")}`;
    if (mounts.mount("overlay", target, "overlay", 1, options) < 0) {
      throw new Error(`mount: ${errnoName(errno())}`);
    }
    using cleanup = new DisposableStack();
    cleanup.defer(() => {
      const detach = 2;
      if (mounts.umount2(target, detach) < 0 && errno() !== errnos.EINVAL) throw new Error("umount failed");
    });
    using merged = openDirectory(target);
    using root = LayeredRoot.open(layers);
    let found = 0;
    for (let attempt = 0; attempt < 150; attempt++) {
      const path = randomPath(random);
      const noFollow = random(3) === 0;
      const kernels = openInRoot(merged, path, noFollow);
      using _close = typeof kernels === "string" ? undefined : kernels;
      using ours = root.resolve(path, { noFollow });
      const expected = describeKernels(kernels);
      expect(`${path} ${noFollow}: ${describeOurs(ours)}`).toBe(`${path} ${noFollow}: ${expected}`);
      if (expected !== "nothing") found++;
    }
    expect(found).toBeGreaterThan(0);
  });
});
