import { describe, expect, test } from "bun:test";
import { InvalidDocumentError } from "../../../../../src/util/errors.ts";
import { contentOf, listTar } from "../../../../helpers/tar-listing.ts";
import { makeMember, makeTar, padded, paxRecords } from "../../../../helpers/tar.ts";

describe("ordinary members", () => {
  test("files, directories, links, devices and FIFOs", () => {
    const members = listTar(
      makeTar([
        { name: "dir/", mode: 0o1777 },
        { name: "dir/file", content: "hello", mode: 0o4755, uid: 1, gid: 2, mtime: 42 },
        { name: "soft", type: "2", link: "dir/file" },
        { name: "hard", type: "1", link: "dir/file" },
        { name: "char", type: "3", major: 1, minor: 3 },
        { name: "block", type: "4", major: 259, minor: 70000 },
        { name: "fifo", type: "6" },
      ]),
    );
    expect(members.map(({ entry }) => `${entry.type} ${entry.path} ${entry.linkPath}`)).toEqual([
      "directory dir/ ",
      "file dir/file ",
      "symlink soft dir/file",
      "hardlink hard dir/file",
      "character-device char ",
      "block-device block ",
      "fifo fifo ",
    ]);
    expect(members[1]?.entry).toMatchObject({ mode: 0o4755, uid: 1, gid: 2, size: 5, offset: 512 });
    expect(members[1]?.entry.modified).toEqual({ seconds: 42, nanoseconds: 0 });
    expect(members[5]?.entry).toMatchObject({ deviceMajor: 259, deviceMinor: 70000 });
  });

  test("come out the same however the bytes are cut", () => {
    const archive = makeTar([
      { name: "a", content: "x".repeat(700), pax: { path: "long/name" } },
      { name: "b", content: "y".repeat(512) },
    ]);
    const whole = listTar(archive).map((member) => [member.entry, contentOf(member)]);
    for (const size of [1, 7, 511, 512, 513]) {
      expect(listTar(archive, size).map((member) => [member.entry, contentOf(member)])).toEqual(whole);
    }
  });

  test("keep names that are not UTF-8 as bytes", () => {
    expect(listTar(makeTar([{ name: "caf\xe9" }]))[0]?.entry.path).toBe("caf\xe9");
  });

  test("have prefixes only where the format has them", () => {
    const prefix = (header: Buffer) => void header.write("pre", 345, "latin1");
    const gnu = "ustar  \0";
    expect(listTar(makeTar([{ name: "a", patch: prefix }]))[0]?.entry.path).toBe("pre/a");
    expect(listTar(makeTar([{ name: "a", magic: gnu, patch: prefix }]))[0]?.entry.path).toBe("a");
    expect(listTar(makeTar([{ name: "a", magic: "", patch: prefix }]))[0]?.entry.path).toBe("a");
  });

  test("numbers in base 256, negative ones too", () => {
    const patch = (header: Buffer) => {
      header.set([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff], 108);
      header.fill(0xff, 136, 148);
    };
    const { entry } = listTar(makeTar([{ name: "a", patch }]))[0] ?? {};
    expect(entry?.uid).toBe(0x7fff_ffff);
    expect(entry?.modified.seconds).toBe(-1);
  });

  test("a checksum of signed bytes is taken", () => {
    const archive = makeTar([{ name: "\xff\xfe" }]);
    const sum = Number.parseInt(archive.toString("latin1", 148, 154), 8) - 512;
    archive.write(sum.toString(8).padStart(6, "0"), 148, "latin1");
    expect(listTar(archive)).toHaveLength(1);
  });
});

describe("extended headers", () => {
  test("PAX records win over the header, attributes keep newlines and NULs", () => {
    const pax = {
      path: "p\xe4th",
      uid: "4000000",
      mtime: "-1.25",
      atime: "7.123456789123",
      "SCHILY.xattr.user.a": "line\nline\0end",
      "SCHILY.xattr.user.empty": "",
    };
    const { entry } = listTar(makeTar([{ name: "short", pax }]))[0] ?? {};
    expect(entry).toMatchObject({ path: "p\xe4th", uid: 4_000_000 });
    expect(entry?.modified).toEqual({ seconds: -2, nanoseconds: 750_000_000 });
    expect(entry?.accessed).toEqual({ seconds: 7, nanoseconds: 123_456_789 });
    expect(entry?.xattrs.map(({ name, value }) => [name, Buffer.from(value).toString("latin1")])).toEqual([
      ["user.a", "line\nline\0end"],
      ["user.empty", ""],
    ]);
  });

  test("PAX size decides how much follows", () => {
    const member = makeMember({ name: "a", content: "hello", size: 0, pax: { size: "5" } });
    const archive = Buffer.concat([member, makeTar([{ name: "b" }])]);
    const members = listTar(archive);
    expect(members.map(contentOf)).toEqual(["hello", ""]);
  });

  test("global records hold for all that follow, local and empty ones override them", () => {
    const records = paxRecords({ uid: "7" });
    const archive = Buffer.concat([
      makeMember({ name: "g", type: "g", content: records }),
      makeMember({ name: "a" }),
      makeMember({ name: "b", pax: { uid: "8" } }),
      makeTar([{ name: "c", uid: 9, pax: { uid: "" } }]),
    ]);
    expect(listTar(archive).map(({ entry }) => entry.uid)).toEqual([7, 8, 9]);
  });

  test("GNU long names and links hold for one member", () => {
    const archive = Buffer.concat([
      makeMember({ name: "././@LongLink", type: "L", content: `${"n".repeat(300)}\0` }),
      makeMember({ name: "././@LongLink", type: "K", content: `${"l".repeat(300)}\0` }),
      makeMember({ name: "n", type: "2", link: "l" }),
      makeTar([{ name: "next" }]),
    ]);
    const [first, second] = listTar(archive);
    expect(first?.entry.path).toBe("n".repeat(300));
    expect(first?.entry.linkPath).toBe("l".repeat(300));
    expect(second?.entry.path).toBe("next");
  });

  test.each([
    ["a NUL in a name", { path: "a\0b" }],
    ["a negative size", { size: "-1" }],
    ["a size that is no number", { size: "1e3" }],
    ["a time that is no number", { mtime: "soon" }],
  ])("%s is refused", (_, pax) => {
    expect(() => listTar(makeTar([{ name: "a", pax }]))).toThrow(InvalidDocumentError);
  });

  test.each(["5 a=b\n", "7 abc\n", "999 a=b\n", "a=b\n", "6 =ab\n", "6 a=bc"])(
    "the record %j is refused",
    (records) => {
      const archive = Buffer.concat([makeMember({ name: "x", type: "x", content: records }), makeTar([{ name: "a" }])]);
      expect(() => listTar(archive)).toThrow(InvalidDocumentError);
    },
  );

  test("one that is larger than 1 MiB is refused before it is read", () => {
    const archive = makeMember({ name: "x", type: "x", size: (1 << 20) + 1 });
    expect(() => listTar(archive)).toThrow(/too large/);
  });
});

describe("sparse files", () => {
  const expected = `ab${"\0".repeat(8)}cd${"\0".repeat(4)}`;

  test("in the old GNU format", () => {
    const patch = (header: Buffer) => {
      for (const [index, number] of [0, 2, 10, 2, 16, 0].entries()) {
        header.write(`${number.toString(8).padStart(11, "0")}\0`, 386 + 12 * index, "latin1");
      }
      header.write("00000000020\0", 483, "latin1");
    };
    const archive = makeTar([{ name: "s", type: "S", magic: "ustar  \0", content: "abcd", patch }, { name: "next" }]);
    for (const size of [1, archive.length]) {
      const [member, next] = listTar(archive, size);
      expect(member?.entry).toMatchObject({ size: 16, sparse: true });
      expect(member && contentOf(member)).toBe(expected);
      expect(next?.entry.path).toBe("next");
    }
  });

  test.each([
    ["0.1", { "GNU.sparse.map": "0,2,10,2", "GNU.sparse.size": "16", "GNU.sparse.name": "real" }, "abcd"],
    [
      "1.0",
      { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "16", "GNU.sparse.name": "real" },
      Buffer.concat([padded(Buffer.from("2\n0\n2\n10\n2\n")), Buffer.from("abcd")]),
    ],
  ])("in PAX format %s", (_, pax, content) => {
    const archive = makeTar([{ name: "GNUSparseFile.1/real", pax, content }, { name: "next" }]);
    for (const size of [3, archive.length]) {
      const [member, next] = listTar(archive, size);
      expect(member?.entry).toMatchObject({ path: "real", size: 16, sparse: true });
      expect(member && contentOf(member)).toBe(expected);
      expect(next?.entry.path).toBe("next");
    }
  });

  test("in PAX format 0.0, whose records repeat", () => {
    const records = Buffer.concat(
      [
        ["size", "16"],
        ["offset", "0"],
        ["numbytes", "2"],
        ["offset", "10"],
        ["numbytes", "2"],
      ].map(([key, value]) => paxRecords({ [`GNU.sparse.${key}`]: value as string })),
    );
    const archive = Buffer.concat([
      makeMember({ name: "x", type: "x", content: records }),
      makeTar([{ name: "s", content: "abcd" }]),
    ]);
    const [member] = listTar(archive);
    expect(member && contentOf(member)).toBe(expected);
  });

  test.each([
    ["overlap", "0,4,2,2"],
    ["end behind the file", "0,2,15,2"],
    ["have less content than they say", "0,2,10,1"],
    ["end in the middle", "0,4,10"],
  ])("whose pieces %s are refused", (_, map) => {
    const pax = { "GNU.sparse.map": map, "GNU.sparse.size": "16" };
    expect(() => listTar(makeTar([{ name: "s", pax, content: "abcd" }]))).toThrow(InvalidDocumentError);
  });
});

describe("the end", () => {
  const member = makeMember({ name: "a", content: "x".repeat(600) });

  test("may be marked, unmarked, or followed by anything", () => {
    expect(listTar(member)).toHaveLength(1);
    expect(listTar(new Uint8Array(0))).toHaveLength(0);
    expect(listTar(Buffer.concat([member, Buffer.alloc(512)]))).toHaveLength(1);
    expect(listTar(Buffer.concat([member, Buffer.alloc(1024), Buffer.from("anything")]))).toHaveLength(1);
  });

  test.each([100, 512, 900, 1200])("after %d bytes, inside a member, is an error", (length) => {
    expect(() => listTar(member.subarray(0, length))).toThrow(/ends inside a member/);
  });

  test("after an extended header is an error", () => {
    const header = makeMember({ name: "x", type: "x", content: paxRecords({ path: "a" }) });
    expect(() => listTar(header)).toThrow(/belongs to no member/);
    expect(() => listTar(Buffer.concat([header, Buffer.alloc(1024)]))).toThrow(/belongs to no member/);
  });

  test("one block of zeros between members is refused", () => {
    expect(() => listTar(Buffer.concat([member, Buffer.alloc(512), member]))).toThrow(/byte 2048.*single block/);
  });
});

test("what is no tar, and unknown types, are refused", () => {
  expect(() => listTar(Buffer.alloc(512, "no tar"))).toThrow(/no tar archive/);
  expect(() => listTar(makeTar([{ name: "a", type: "M" }]))).toThrow(/unknown type "M"/);
});
