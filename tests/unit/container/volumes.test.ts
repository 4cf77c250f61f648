import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { LayeredRoot } from "../../../src/container/layered-root.ts";
import { VolumeStore } from "../../../src/container/volumes.ts";
import type { VolumeRequest } from "../../../src/container/volume-requests.ts";
import { makeNodeAt, openAt, openDirectory } from "../../../src/linux/at.ts";
import { O_RDONLY, S_IFCHR, S_IFIFO } from "../../../src/linux/constants.ts";
import { setXattr } from "../../../src/linux/xattr.ts";
import { ConflictError, NotFoundError } from "../../../src/util/errors.ts";
import { isRoot, TemporaryDirectory } from "../../helpers/temporary.ts";
import { describeTree } from "../../helpers/tree.ts";

let directory: TemporaryDirectory;
let volumes: VolumeStore;
const layer = (number: number, path = "") => `${directory.path}/layers/${number}${path}`;

beforeEach(() => {
  directory = new TemporaryDirectory("volumes");
  volumes = VolumeStore.open(directory.path);
  for (const number of [0, 1]) mkdirSync(layer(number), { recursive: true });
});
afterEach(() => {
  expect(directory.openFiles()).toEqual([]);
  directory[Symbol.dispose]();
});

async function prepare(change: Partial<VolumeRequest> = {}) {
  using image = LayeredRoot.open([layer(0), layer(1)], "user.overlay.opaque");
  const request = { name: "data", anonymous: false, target: "/srv/data", readOnly: false, noCopy: false, ...change };
  const [mounted] = await volumes.prepare([request], { container: "0".repeat(64), image, owner: { uid: 0, gid: 0 } });
  return mounted as NonNullable<typeof mounted>;
}

const inside = () => readdirSync(`${directory.path}/volumes`).toSorted();
const content = () => readdirSync(volumes.dataPath("data")).toSorted();

describe("prepare", () => {
  test("makes a named volume once", async () => {
    expect(await prepare()).toEqual({
      name: "data",
      anonymous: false,
      source: volumes.dataPath("data"),
      target: "/srv/data",
      readOnly: false,
    });
    writeFileSync(`${volumes.dataPath("data")}/mine`, "x");
    await prepare();
    expect(content()).toEqual(["mine"]);
    expect(volumes.read("data")).toMatchObject({ name: "data", anonymous: false });
    expect(inside()).toEqual([".lock", "data"]);
  });

  test("no name is in the way of the store's own files", async () => {
    for (const name of ["lock", "x".repeat(255)]) {
      await prepare({ name });
      expect(volumes.read(name).name).toBe(name);
      expect(await volumes.remove(name, () => [])).toBe(true);
    }
    expect(inside()).toEqual([".lock"]);
  });

  test("one that must exist is not made", async () => {
    await expect(prepare({ mustExist: true })).rejects.toThrow(NotFoundError);
    await prepare();
    expect((await prepare({ mustExist: true })).source).toBe(volumes.dataPath("data"));
  });

  test("two at the same time make one volume", async () => {
    mkdirSync(layer(0, "/srv/data"), { recursive: true });
    writeFileSync(layer(0, "/srv/data/file"), "x");
    await Promise.all([prepare(), prepare(), prepare()]);
    expect(content()).toEqual(["file"]);
    expect(inside()).toEqual([".lock", "data"]);
  });

  test("fills an empty volume with what the layers show together", async () => {
    for (const number of [0, 1]) mkdirSync(layer(number, "/srv/data/sub"), { recursive: true });
    writeFileSync(layer(0, "/srv/data/low"), "0");
    writeFileSync(layer(0, "/srv/data/sub/both"), "0");
    writeFileSync(layer(1, "/srv/data/sub/both"), "1");
    writeFileSync(layer(0, "/srv/data/gone"), "0");
    using parent = openDirectory(layer(1, "/srv/data"));
    makeNodeAt(parent.number, "gone", S_IFCHR, 0);
    parent.close();
    await prepare();
    expect(content()).toEqual(["low", "sub"]);
    expect(readFileSync(`${volumes.dataPath("data")}/sub/both`, "utf8")).toBe("1");
  });

  test("does not fill when told so, when something is there, or when the image has no directory there", async () => {
    mkdirSync(layer(0, "/srv/data"), { recursive: true });
    writeFileSync(layer(0, "/srv/data/file"), "x");
    writeFileSync(layer(0, "/file"), "x");
    await prepare({ noCopy: true });
    expect(content()).toEqual([]);
    await prepare({ target: "/file" });
    await prepare({ target: "/missing" });
    expect(content()).toEqual([]);
    writeFileSync(`${volumes.dataPath("data")}/mine`, "x");
    await prepare();
    expect(content()).toEqual(["mine"]);
  });

  test("a place behind a link stays in the image", async () => {
    mkdirSync(`${directory.path}/outside`);
    writeFileSync(`${directory.path}/outside/secret`, "x");
    mkdirSync(layer(0, "/srv"));
    symlinkSync(`../../../../../..${directory.path}/outside`, layer(0, "/srv/data"));
    await prepare();
    expect(content()).toEqual([]);
  });

  test("a crash while copying leaves nothing of it, one while moving is made good", async () => {
    mkdirSync(layer(0, "/srv/data"), { recursive: true });
    for (const name of ["a", "b", "c"]) writeFileSync(layer(0, `/srv/data/${name}`), name);
    await prepare({ noCopy: true });
    const volume = `${directory.path}/volumes/data`;
    mkdirSync(`${volume}/.filling`);
    writeFileSync(`${volume}/.filling/half`, "x");
    await prepare();
    expect(content()).toEqual(["a", "b", "c"]);

    mkdirSync(`${volume}/.filled`);
    renameSync(`${volume}/_data/b`, `${volume}/.filled/b`);
    writeFileSync(`${volume}/.filled/c`, "not this one");
    await prepare();
    expect(content()).toEqual(["a", "b", "c"]);
    expect(readFileSync(`${volume}/_data/c`, "utf8")).toBe("c");
    expect(readdirSync(volume).toSorted()).toEqual(["_data", "lock", "volume.json"]);
  });
});

describe.skipIf(!isRoot)("the copy equals the image's", () => {
  test("in names, types, owners, modes, times, links, devices, attributes and content", async () => {
    const place = layer(0, "/srv/data");
    mkdirSync(`${place}/dir/deeper`, { recursive: true });
    writeFileSync(`${place}/file`, "content");
    linkSync(`${place}/file`, `${place}/dir/hard`);
    symlinkSync("/etc/passwd", `${place}/symlink`);
    linkSync(`${place}/symlink`, `${place}/dir/hard-symlink`);
    writeFileSync(`${place}/setuid`, "x");
    chownSync(`${place}/setuid`, 1000, 1001);
    chmodSync(`${place}/setuid`, 0o6755);
    writeFileSync(`${place}/unreadable`, "x");
    chmodSync(`${place}/unreadable`, 0);
    writeFileSync(`${place}/sparse`, "begin");
    truncateSync(`${place}/sparse`, 64 * 1024 * 1024);
    writeFileSync(`${place}/large`, new Uint8Array(3_000_000).fill(7));
    writeFileSync(`${place}/empty`, "");
    writeFileSync(Buffer.concat([Buffer.from(`${place}/`), Buffer.from([0xff, 0x0a])]), "odd name");
    using parent = openDirectory(place);
    makeNodeAt(parent.number, "fifo", S_IFIFO, 0);
    makeNodeAt(parent.number, "null", S_IFCHR, 0x103);
    for (const name of ["setuid", "symlink", "dir"]) {
      using entry = openAt(parent.number, name, name === "symlink" ? 0o10000000 : O_RDONLY);
      setXattr(entry.number, "trusted.gocker", Buffer.from([0, 1, 255]));
    }
    using setuid = openAt(parent.number, "setuid", O_RDONLY);
    // cap_net_raw+ep: vfs_ns_cap_data of revision 2
    const capability = Buffer.from("010000020020000000000000000000000000000000000000".slice(0, 40), "hex");
    setXattr(setuid.number, "security.capability", capability);
    using dir = openAt(parent.number, "dir", O_RDONLY);
    setXattr(dir.number, "trusted.overlay.opaque", Buffer.from("x"));
    setuid.close();
    dir.close();
    parent.close();
    utimesSync(`${place}/file`, 1, 1234567.891);
    utimesSync(`${place}/dir/deeper`, 1, -5.25);
    chownSync(place, 33, 33);
    chmodSync(place, 0o3770);
    utimesSync(place, 1, 99);

    await prepare();
    const withoutOverlay = (lines: string[]) => lines.map((line) => line.replace(/ ?trusted\.overlay\.opaque=\S+/, ""));
    const expected = withoutOverlay(describeTree(place));
    expect(expected.length).toBeGreaterThan(12);
    expect(withoutOverlay(describeTree(volumes.dataPath("data")))).toEqual(expected);
    expect(describeTree(volumes.dataPath("data")).join("\n")).not.toContain("trusted.overlay");
    const { blocks } = (await import("node:fs")).statSync(`${volumes.dataPath("data")}/sparse`);
    expect(blocks * 512).toBeLessThan(1024 * 1024);
  });
});

describe("remove", () => {
  test("refuses what a container has", async () => {
    await prepare();
    await expect(volumes.remove("data", () => ["0123456789abcdef"])).rejects.toThrow(ConflictError);
    expect(existsSync(volumes.dataPath("data"))).toBe(true);
    expect(await volumes.remove("data", () => [])).toBe(true);
    expect(await volumes.remove("data", () => [])).toBe(false);
    expect(inside()).toEqual([".lock"]);
    expect(() => volumes.read("data")).toThrow(NotFoundError);
  });

  test("all that are not used go, and what each took is told", async () => {
    for (const name of ["used", "one", "two"]) await prepare({ name });
    writeFileSync(`${volumes.dataPath("one")}/file`, "x".repeat(100));
    const removed = new Map<string, number>();
    await volumes.removeUnused(
      ["used", "one", "two", "gone"],
      (name) => (name === "used" ? ["0123456789abcdef"] : []),
      (name, size) => removed.set(name, size),
    );
    expect([...removed]).toEqual([
      ["one", 100],
      ["two", 0],
    ]);
    expect(inside()).toEqual([".lock", "used"]);
  });

  test("list and sweep pass over what is not whole", async () => {
    await prepare();
    await prepare({ name: "another" });
    mkdirSync(`${directory.path}/volumes/.new-x`);
    mkdirSync(`${directory.path}/volumes/.removing-y/_data`, { recursive: true });
    expect(volumes.list().map(({ name }) => name)).toEqual(["another", "data"]);
    volumes.sweep();
    expect(inside()).toEqual([".lock", "another", "data"]);
  });

  test("nothing is made before a volume is needed", async () => {
    rmSync(`${directory.path}/volumes`, { recursive: true, force: true });
    using image = LayeredRoot.open([layer(0)]);
    expect(await volumes.prepare([], { container: "0".repeat(64), image, owner: { uid: 0, gid: 0 } })).toEqual([]);
    expect(volumes.list()).toEqual([]);
    volumes.sweep();
    expect(existsSync(`${directory.path}/volumes`)).toBe(false);
  });
});
