import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { TarEntry } from "../../../../../src/image/layer/tar/entry.ts";
import { TarReader } from "../../../../../src/image/layer/tar/reader.ts";
import { type NewTarEntry, TarWriter } from "../../../../../src/image/layer/tar/writer.ts";
import { TemporaryDirectory } from "../../../../helpers/temporary.ts";

const plain: NewTarEntry = {
  type: "file",
  path: "file",
  linkPath: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  modified: { seconds: 1_700_000_000, nanoseconds: 0 },
  accessed: undefined,
  xattrs: [],
  deviceMajor: 0,
  deviceMinor: 0,
};

/** An archive of these members; files have content of the letter `x`. */
function archive(entries: readonly Partial<NewTarEntry>[]): Buffer {
  const parts: Buffer[] = [];
  const writer = new TarWriter((bytes) => parts.push(Buffer.from(bytes)));
  for (const change of entries) {
    const entry = { ...plain, ...change };
    writer.entry(entry);
    if (entry.type === "file") writer.content(Buffer.alloc(entry.size, "x"));
  }
  writer.finish();
  return Buffer.concat(parts);
}

function read(bytes: Uint8Array): { entry: Omit<TarEntry, "offset" | "sparse">; content: string }[] {
  const members: { entry: Omit<TarEntry, "offset" | "sparse">; content: string }[] = [];
  const reader = new TarReader({
    entry: ({ offset: _offset, sparse: _sparse, ...entry }) => void members.push({ entry, content: "" }),
    content: (part) => void (members.at(-1)!.content += Buffer.from(part).toString()),
    end() {},
  });
  reader.write(bytes);
  reader.finish();
  return members;
}

describe("TarWriter", () => {
  const long = "directory/".repeat(20);
  test.each<[what: string, change: Partial<NewTarEntry>]>([
    ["a plain file", { size: 5 }],
    ["an empty file", {}],
    ["a file of whole blocks", { size: 1024 }],
    ["a directory", { type: "directory", path: "dir/", mode: 0o1777 }],
    ["links", { type: "symlink", linkPath: "../target" }],
    ["a hard link", { type: "hardlink", linkPath: "file" }],
    ["devices", { type: "block-device", deviceMajor: 259, deviceMinor: 70_000 }],
    ["a FIFO", { type: "fifo" }],
    ["long names", { path: `${long}file`, size: 3 }],
    ["long links", { type: "symlink", linkPath: long }],
    ["names of a hundred bytes", { path: "n".repeat(100) }],
    ["names that are no text", { path: "caf\xc3\xa9\xff", type: "symlink", linkPath: "\xfe" }],
    ["fractions of seconds", { modified: { seconds: 1_700_000_000, nanoseconds: 120_000_001 } }],
    ["times before 1970", { modified: { seconds: -2, nanoseconds: 750_000_000 } }],
    ["times shortly before 1970", { modified: { seconds: -1, nanoseconds: 250_000_000 } }],
    ["whole seconds before 1970", { modified: { seconds: -5, nanoseconds: 0 } }],
    ["accesses", { accessed: { seconds: 12, nanoseconds: 500_000_000 } }],
    ["large owners", { uid: 4_294_967_294, gid: 2_097_152 }],
    ["special modes", { mode: 0o6755 }],
    [
      "attributes",
      {
        xattrs: [
          { name: "user.lines", value: new Uint8Array(Buffer.from("a\nb\0=c")) },
          { name: "user.empty", value: new Uint8Array(0) },
          { name: "security.capability", value: new Uint8Array([1, 0, 0, 2, 0xff]) },
        ],
      },
    ],
  ])("%s read back as they are", (_what, change) => {
    const entry = { ...plain, ...change };
    const [first, last, ...more] = read(archive([change, { path: "after", size: 1 }]));
    expect(more).toEqual([]);
    expect(first?.entry).toEqual(entry);
    expect(first?.content).toBe("x".repeat(entry.size));
    expect(last).toMatchObject({ entry: { path: "after" }, content: "x" });
  });

  test("records whose length grows by its own digits", () => {
    for (let length = 80; length < 120; length++) {
      const path = "é".repeat(length);
      expect(read(archive([{ path: Buffer.from(path).toString("latin1") }]))[0]?.entry.path).toBe(
        Buffer.from(path).toString("latin1"),
      );
    }
  });

  test("content that does not fit is refused", () => {
    const writer = new TarWriter(() => {});
    writer.entry({ ...plain, size: 2 });
    expect(() => writer.content(Buffer.from("xyz"))).toThrow(RangeError);
    expect(() => writer.entry(plain)).toThrow(RangeError);
  });

  test.skipIf(Bun.which("tar") === null)("GNU tar reads the same", () => {
    using directory = new TemporaryDirectory("tar");
    const path = `${directory.path}/archive.tar`;
    const bytes = archive([
      { type: "directory", path: "d/", mode: 0o755 },
      { path: `d/${"n".repeat(150)}`, size: 700, uid: 3_000_000, gid: 8 },
      { type: "symlink", path: "d/link", linkPath: "l".repeat(120) },
      { type: "hardlink", path: "d/hard", linkPath: "d/file" },
      { type: "character-device", path: "d/null", deviceMajor: 1, deviceMinor: 3, mode: 0o666 },
      { path: "d/\xc3\xa9", modified: { seconds: 1_700_000_000, nanoseconds: 123_456_789 } },
    ]);
    writeFileSync(path, bytes);
    const { stdout, stderr } = Bun.spawnSync(["tar", "-tvf", path, "--numeric-owner", "--full-time"], {
      env: { TZ: "UTC", LC_ALL: "C.UTF-8" },
    });
    expect(stderr.toString()).toBe("");
    expect(
      stdout
        .toString()
        .trimEnd()
        .split("\n")
        .map((line) => line.replaceAll(/ +/g, " ")),
    ).toEqual([
      "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 d/",
      `-rw-r--r-- 3000000/8 700 2023-11-14 22:13:20 d/${"n".repeat(150)}`,
      `lrw-r--r-- 0/0 0 2023-11-14 22:13:20 d/link -> ${"l".repeat(120)}`,
      "hrw-r--r-- 0/0 0 2023-11-14 22:13:20 d/hard link to d/file",
      "crw-rw-rw- 0/0 1,3 2023-11-14 22:13:20 d/null",
      "-rw-r--r-- 0/0 0 2023-11-14 22:13:20.123456789 d/é",
    ]);
  });
});
