import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LayerPipeline } from "../../src/image/layer/pipeline.ts";
import { GockerError } from "../../src/util/errors.ts";
import { makeTar, type TarMemberInput } from "../helpers/tar.ts";
import { describeTree } from "../helpers/tree.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn("layers are not applied: owners and devices need root");

const base = isRoot ? mkdtempSync(join(tmpdir(), "gocker-layer-")) : "";
let number = 0;
let layer = "";
let outside = "";

beforeEach(() => {
  const place = join(base, String(number++));
  layer = join(place, "layer");
  outside = join(place, "outside");
  mkdirSync(layer, { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), "untouched");
});

afterAll(() => rmSync(base, { recursive: true, force: true }));

async function unpack(archive: Uint8Array, umask = 0o777): Promise<void> {
  using pipeline = new LayerPipeline(layer, umask);
  await pipeline.write(archive);
  await pipeline.finish();
}

const apply = async (...members: TarMemberInput[]) => await unpack(makeTar(members));
const at = (name: string) => join(layer, name);
const lines = () => describeTree(layer, { ignoreTimes: "all", ignoreRoot: true });

/** Everything beside the layer's directory is as it was. */
function expectOutsideUntouched(): void {
  expect(readdirSync(join(layer, "..")).sort()).toEqual(["layer", "outside"]);
  expect(readdirSync(outside)).toEqual(["secret"]);
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe("untouched");
}

describe.skipIf(!isRoot)("members", () => {
  test("get owner, mode, time and content, in this order", async () => {
    await apply(
      { name: "./", mode: 0o711, mtime: 5 },
      { name: "d/", mode: 0o3775, uid: 7, gid: 8, pax: { mtime: "-3.5" } },
      { name: "d/setuid", mode: 0o6755, uid: 1, gid: 2, content: "x", pax: { mtime: "1.123456789" } },
      { name: "d/link", type: "2", link: "/nowhere", uid: 3, gid: 4, pax: { mtime: "9.000000001" } },
      { name: "d/sub/", mode: 0o700, mtime: 6 },
      { name: "none/", mode: 0, mtime: 7 },
      { name: "none/file", mode: 0, content: "y" },
      { name: "caf\xe9" },
    );
    const setuid = lstatSync(at("d/setuid"), { bigint: true });
    expect([setuid.mode & 0o7777n, setuid.uid, setuid.gid, setuid.mtimeNs]).toEqual([0o6755n, 1n, 2n, 1_123_456_789n]);
    const d = lstatSync(at("d"), { bigint: true });
    expect([d.mode & 0o7777n, d.uid, d.gid, d.mtimeNs]).toEqual([0o3775n, 7n, 8n, -3_500_000_000n]);
    const link = lstatSync(at("d/link"), { bigint: true });
    expect([link.uid, link.gid, link.mtimeNs]).toEqual([3n, 4n, 9_000_000_001n]);
    expect(lstatSync(at("d/sub")).mode & 0o7777).toBe(0o700);
    expect([lstatSync(layer).mode & 0o7777, lstatSync(layer).mtimeMs]).toEqual([0o711, 5000]);
    expect([lstatSync(at("none")).mode & 0o7777, lstatSync(at("none")).mtimeMs]).toEqual([0, 7000]);
    expect(readdirSync(layer, { encoding: "latin1" })).toContain("caf\xe9");
  });

  test("devices, FIFOs and hard links, to symbolic ones too", async () => {
    await apply(
      { name: "null", type: "3", major: 1, minor: 3, mode: 0o666 },
      { name: "disk", type: "4", major: 259, minor: 70_000, mode: 0o660, gid: 6 },
      { name: "fifo", type: "6", mode: 0o622 },
      { name: "file", content: "z" },
      { name: "soft", type: "2", link: "file" },
      { name: "hard", type: "1", link: "./file" },
      { name: "hardsoft", type: "1", link: "/soft" },
      { name: "file", type: "1", link: "file" },
    );
    expect(lines()).toEqual([
      `"disk" block-device 0660 0:6 device=${(259n << 8n) | (70_000n & 0xffn) | ((70_000n & ~0xffn) << 12n)}`,
      '"fifo" fifo 0622 0:0',
      expect.stringMatching(/^"file" file 0644 0:0 size=1 \w+$/),
      expect.stringMatching(/^"hard" file 0644 0:0 size=1 \w+ same-as="file"$/),
      '"hardsoft" symlink 0777 0:0 -> "file"',
      '"null" character-device 0666 0:0 device=259',
      '"soft" symlink 0777 0:0 -> "file" same-as="hardsoft"',
    ]);
  });

  test("attributes are kept after owner and content, overlayfs's and SELinux's own are not taken", async () => {
    const capability = "\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const xattr = (name: string, value: string) => ({ [`SCHILY.xattr.${name}`]: value });
    await apply(
      { name: "d/", pax: { ...xattr("trusted.overlay.opaque", "y"), ...xattr("user.d", "1") } },
      { name: "f", content: "f", uid: 5, pax: { ...xattr("security.capability", capability), ...xattr("user.e", "") } },
      { name: "l", type: "2", link: "f", pax: { ...xattr("user.x", "1"), ...xattr("trusted.t", "2") } },
      { name: "r", pax: { ...xattr("trusted.overlay.redirect", "/f"), ...xattr("user.overlay.opaque", "y") } },
      { name: "s", pax: xattr("security.selinux", "label") },
    );
    // Before Linux 6.6 a tmpfs has no attributes of users.
    const hasUsers = Bun.spawnSync(["setfattr", "-n", "user.x", outside]).success;
    const ofUser = (attribute: string) => (hasUsers ? ` user.${attribute}` : "");
    expect(lines().map((line) => line.replace(/ size=\S+ \w+/, ""))).toEqual([
      `"d" directory 0755 0:0${ofUser("d=31")}`,
      `"f" file 0644 5:0 security.capability=${Buffer.from(capability, "latin1").toString("hex")}${ofUser("e=")}`,
      '"l" symlink 0777 0:0 -> "f" trusted.t=32',
      '"r" file 0644 0:0',
      '"s" file 0644 0:0',
    ]);
  });

  test("missing parents are made 0755 and root's, in set-group-ID directories too", async () => {
    await apply({ name: "a/", mode: 0o2775, gid: 50 }, { name: "a/b/c/file" }, { name: "a/dir/" }, { name: "a/f" });
    expect(lines().map((line) => line.replace(/ size=.*/, ""))).toEqual([
      '"a" directory 2775 0:50',
      '"a/b" directory 0755 0:0',
      '"a/b/c" directory 0755 0:0',
      '"a/b/c/file" file 0644 0:0',
      '"a/dir" directory 0755 0:0',
      '"a/f" file 0644 0:0',
    ]);
  });

  test("directories that members only imply are marked, until the layer names them", async () => {
    const marks = () =>
      describeTree(layer, { ignoreTimes: "all", showMarks: true })
        .filter((line) => line.includes(" directory "))
        .map((line) => line.replace(/ directory \S+ \S+/, ""));
    await apply({ name: "a/b/file" }, { name: "a/" }, { name: "named/" }, { name: "named/file" }, { name: "c/.wh.x" });
    const implied = "trusted.overlay.gocker.implied=79";
    expect(marks()).toEqual([
      `"." ${implied} trusted.overlay.gocker.incomplete=79`,
      '"a"',
      `"a/b" ${implied}`,
      `"c" ${implied}`,
      '"named"',
    ]);
  });

  test("a layer that names all its directories has no marks", async () => {
    await apply({ name: "./" }, { name: "a/" }, { name: "a/file" });
    expect(describeTree(layer, { showMarks: true }).join()).not.toContain("trusted");
  });

  test("directories' times survive whatever order the tar has", async () => {
    const names = Array.from({ length: 200 }, (_, index) => `d${index}`);
    await apply(
      ...names.map((name) => ({ name: `${name}/`, mtime: 77 })),
      ...names.map((name) => ({ name: `${name}/late` })),
      { name: "d0/later" },
    );
    expect(new Set(names.map((name) => lstatSync(at(name)).mtimeMs))).toEqual(new Set([77_000]));
  });

  test("sparse files have holes", async () => {
    const size = 1 << 30;
    const pax = { "GNU.sparse.map": `0,2,${size - 10},2`, "GNU.sparse.size": String(size) };
    await apply({ name: "s", content: "abcd", pax });
    const stats = lstatSync(at("s"));
    expect(stats.size).toBe(size);
    expect(stats.blocks * 512).toBeLessThan(1 << 20);
  });

  test("a later member replaces an earlier one, directories only get new attributes", async () => {
    await apply(
      { name: "tree/deep/er/file" },
      { name: "tree", content: "a file now" },
      { name: "dir/", mode: 0o700 },
      { name: "dir/kept" },
      { name: "dir/", mode: 0o750, uid: 9 },
      { name: "link", type: "2", link: "dir" },
      { name: "link/" },
      { name: "file", content: "1" },
      { name: "file", type: "2", link: "tree" },
    );
    expect(lines().map((line) => line.replace(/ size=.*/, ""))).toEqual([
      '"dir" directory 0750 9:0',
      '"dir/kept" file 0644 0:0',
      '"file" symlink 0777 0:0 -> "tree"',
      // In the image it came from, nothing of a lower layer's directory was left.
      '"link" directory 0755 0:0 trusted.overlay.opaque=79',
      '"tree" file 0644 0:0',
    ]);
  });

  test("a tree of two thousand levels can be replaced", async () => {
    await apply({ name: `t/${"a/".repeat(2000)}f` }, { name: "t", content: "file" });
    expect(readFileSync(at("t"), "utf8")).toBe("file");
  });
});

describe.skipIf(!isRoot)("whiteouts", () => {
  const whiteout = (name: string) => `"${name}" character-device 0000 0:0 device=0`;

  test("become devices 0/0, opaque directories get the attribute, other markers vanish", async () => {
    await apply(
      { name: "d/.wh.gone" },
      { name: "d/file" },
      { name: "o/file" },
      { name: "o/.wh..wh..opq" },
      { name: "new/.wh..wh..opq" },
      { name: ".wh..wh.aufs" },
    );
    expect(lines().map((line) => line.replace(/ size=\S+ \w+/, ""))).toEqual([
      '"d" directory 0755 0:0',
      '"d/file" file 0644 0:0',
      whiteout("d/gone"),
      '"new" directory 0755 0:0 trusted.overlay.opaque=79',
      '"o" directory 0755 0:0 trusted.overlay.opaque=79',
      '"o/file" file 0644 0:0',
    ]);
  });

  test("leave what the layer itself has, whichever comes first", async () => {
    await apply(
      { name: ".wh.a" },
      { name: "a", content: "kept" },
      { name: "b", content: "kept" },
      { name: ".wh.b" },
      { name: ".wh.c" },
      { name: "c/file" },
      { name: "d/file" },
      { name: ".wh.d" },
      { name: ".wh.e" },
      { name: "e/" },
    );
    expect(lines().map((line) => line.replace(/ size=\S+ \w+/, ""))).toEqual([
      '"a" file 0644 0:0',
      '"b" file 0644 0:0',
      '"c" directory 0755 0:0 trusted.overlay.opaque=79',
      '"c/file" file 0644 0:0',
      '"d" directory 0755 0:0 trusted.overlay.opaque=79',
      '"d/file" file 0644 0:0',
      '"e" directory 0755 0:0 trusted.overlay.opaque=79',
    ]);
  });

  test("AUFS's directory of hard links serves and goes", async () => {
    await apply(
      { name: ".wh..wh.plnk/" },
      { name: ".wh..wh.plnk/1.2", content: "x" },
      { name: "a", type: "1", link: ".wh..wh.plnk/1.2" },
      { name: "b", type: "1", link: "/.wh..wh.plnk/1.2" },
    );
    expect(readdirSync(layer).sort()).toEqual(["a", "b"]);
    expect(lstatSync(at("a")).nlink).toBe(2);
  });
});

describe.skipIf(!isRoot)("nothing outside is touched", () => {
  test.each(["../outside/secret", "a/../../outside/secret", "/../../outside/secret"])(
    "by the name %s",
    async (name) => {
      await expect(apply({ name, content: "evil" })).rejects.toThrow(/outside of the image/);
      expectOutsideUntouched();
    },
  );

  test("by absolute names", async () => {
    await apply({ name: join(outside, "secret"), content: "evil" });
    expect(readFileSync(at(join(outside, "secret")), "utf8")).toBe("evil");
    expectOutsideUntouched();
  });

  test.each(["/", "..", "../../..", "absolute"])("through a link to %s (CVE-2014-9357)", async (target) => {
    const link = target === "absolute" ? outside : target;
    await apply({ name: "link", type: "2", link }, { name: "link/outside/secret", content: "evil" });
    expectOutsideUntouched();
    const inside = target === "absolute" ? join(outside, "outside/secret") : "outside/secret";
    expect(readFileSync(at(inside), "utf8")).toBe("evil");
  });

  test("through links of links, a link in place of a directory, and directories over links", async () => {
    await apply(
      { name: "a", type: "2", link: "b" },
      { name: "b", type: "2", link: "../outside" },
      { name: "a/secret", content: "evil" },
      { name: "d/" },
      { name: "d", type: "2", link: outside },
      { name: "d/secret", content: "evil" },
      { name: "d/.wh.secret" },
      { name: "d/.wh..wh..opq" },
      { name: "b/", mode: 0o777 },
    );
    expectOutsideUntouched();
    expect(lstatSync(outside).mode & 0o777).toBe(0o755);
  });

  test("through a file that is a link: it is replaced", async () => {
    await apply({ name: "f", type: "2", link: join(outside, "secret") }, { name: "f", content: "evil" });
    expect(lstatSync(at("f")).isFile()).toBe(true);
    expectOutsideUntouched();
  });

  test("through magic links and the host's /proc", async () => {
    const link = `/proc/${process.pid}/cwd`;
    await apply({ name: "p", type: "2", link }, { name: "p/gocker-was-here", content: "evil" });
    expect(readdirSync(process.cwd())).not.toContain("gocker-was-here");
    expect(readFileSync(at(`${link}/gocker-was-here`), "utf8")).toBe("evil");
  });

  test.each(["../outside/secret", "a/../../outside/secret"])("by a hard link to %s", async (link) => {
    await expect(apply({ name: "h", type: "1", link })).rejects.toThrow(/outside of the image/);
    expectOutsideUntouched();
  });

  test("by a hard link through a link, or to one", async () => {
    const secret = join(outside, "secret");
    await expect(
      apply({ name: "l", type: "2", link: outside }, { name: "h", type: "1", link: "l/secret" }),
    ).rejects.toThrow(/not in the layer/);
    await apply({ name: "s", type: "2", link: secret }, { name: "h", type: "1", link: "s" });
    expect(readlinkSync(at("h"))).toBe(secret);
    expect(lstatSync(secret).nlink).toBe(1);
    expectOutsideUntouched();
  });

  test("by a loop of links, which is an error", async () => {
    const loop = [
      { name: "a", type: "2", link: "b" },
      { name: "b", type: "2", link: "a" },
    ];
    await expect(apply(...loop, { name: "a/f" })).rejects.toThrow(/ELOOP/);
    expectOutsideUntouched();
  });
});

describe.skipIf(!isRoot)("layers are refused", () => {
  test.each<[string, ...TarMemberInput[]]>([
    ["with files below a file", { name: "f" }, { name: "f/g" }],
    ["with a whiteout of nothing", { name: ".wh." }],
    ["with files below a whiteout", { name: ".wh.a/b" }],
    ["with a nameless file", { name: "" }],
    ["with a hard link to a directory", { name: "d/" }, { name: "h", type: "1", link: "d" }],
    ["with a hard link to nothing", { name: "h", type: "1", link: "missing" }],
    ["with an impossible owner", { name: "f", pax: { uid: "4294967295" } }],
    ["with an impossible device", { name: "f", type: "3", major: 70_000 }],
    ["with a name of more than 255 bytes", { name: "f", pax: { path: "n".repeat(256) } }],
  ])("%s", async (_, ...members) => {
    await expect(apply(...members)).rejects.toBeInstanceOf(GockerError);
  });
});
