import { digestOf } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/media-types.ts";
import { makeTar, type TarMemberInput } from "./tar.ts";

/** The layers of an image, lowest first. */
export type MadeLayers = readonly (readonly TarMemberInput[])[];

const directory = (name: string, more: Partial<TarMemberInput> = {}): TarMemberInput => ({ name: `${name}/`, ...more });
const file = (name: string, content: string, more: Partial<TarMemberInput> = {}): TarMemberInput => ({
  name,
  content,
  ...more,
});
const link = (name: string, target: string): TarMemberInput => ({ name, type: "2", link: target, mode: 0o777 });
const hardLink = (name: string, target: string): TarMemberInput => ({ name, type: "1", link: target });
const whiteout = (name: string): TarMemberInput => file(name.replace(/[^/]*$/, ".wh.$&"), "");
const opaque = (name = ""): TarMemberInput => file(`${name}.wh..wh..opq`, "");
const root = (more: Partial<TarMemberInput> = {}) => directory(".", more);
const xattrs = (values: Record<string, string>): Partial<TarMemberInput> => ({
  pax: Object.fromEntries(Object.entries(values).map(([name, value]) => [`SCHILY.xattr.${name}`, value])),
});

/** VFS_CAP_REVISION_2 with CAP_NET_RAW permitted and effective. capabilities(7), "File capability versioning" */
const netRaw = "\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const changed = { mtime: 1_200_000_000 };

const somethingOfEach = [
  root(),
  directory("dir", { mode: 0o750, uid: 5 }),
  file("dir/inner", "inner"),
  directory("dir/sub"),
  file("dir/sub/deep", "deep"),
  file("file", "file"),
  link("to-dir", "dir"),
  link("to-nothing", "missing"),
  { name: "fifo", type: "6" },
  file("one", "many names"),
  hardLink("two", "one"),
  hardLink("dir/three", "one"),
] as const;

/** Where every container has something mounted, so that nothing is added to the image. */
const mountPoints = [
  ...["dev", "etc", "proc", "sys"].map((name) => directory(name)),
  ...["hostname", "hosts", "resolv.conf"].map((name) => file(`etc/${name}`, "")),
];

const deep = Array.from({ length: 200 }, (_, level) =>
  directory("deep", { pax: { path: "d/".repeat(level + 1) }, mtime: level }),
);

const manyLayers = Array.from({ length: 127 }, (_, layer) => [
  root({ mtime: layer }),
  directory("common", { mtime: layer, uid: layer }),
  file(`common/of-${layer}`, `layer ${layer}`),
  file("last", `layer ${layer}`),
  ...(layer >= 2 ? [whiteout(`common/of-${layer - 2}`)] : []),
]);

/** Each is loaded by gocker and by a peer, and what both make of it is compared. */
export const madeImages: Readonly<Record<string, MadeLayers>> = {
  "an opaque root": [
    somethingOfEach,
    [root(changed), opaque(), file("new", "new")],
    [root(changed), directory("dir"), file("dir/newer", "newer")],
  ],
  "an opaque root that comes last": [somethingOfEach, [file("new", "new"), opaque(), root(changed)]],
  "opaque directories, deep and in several layers": [
    [root(), directory("a"), directory("a/b"), directory("a/b/c"), file("a/b/c/old", "0"), file("a/b/beside", "0")],
    [directory("a"), directory("a/b"), directory("a/b/c", changed), opaque("a/b/c/"), file("a/b/c/new", "1")],
    [directory("a"), directory("a/b"), directory("a/b/c"), file("a/b/c/newer", "2"), file("a/b/c/old", "2")],
    [directory("a"), directory("a/b", { mode: 0o711 }), file("a/b/before", "3"), opaque("a/b/"), directory("a/b/c")],
    [directory("a"), directory("a/new"), opaque("a/new/"), file("a/new/file", "4")],
  ],
  "whiteouts of everything": [
    somethingOfEach,
    [root(changed), ...["dir", "file", "to-dir", "to-nothing", "fifo", "one"].map(whiteout)],
  ],
  "whiteouts in directories, of nothing, and of what comes again": [
    somethingOfEach,
    [root(), directory("dir", changed), whiteout("dir/sub"), whiteout("dir/never-there"), whiteout("two")],
    [
      root(),
      directory("dir", changed),
      directory("dir/sub", changed),
      file("dir/sub/other", "new"),
      link("two", "dir"),
    ],
  ],
  "a whiteout of a name that the same layer has": [
    somethingOfEach,
    [root(), whiteout("file"), file("file", "new"), directory("dir", changed), file("dir/new", "new"), whiteout("dir")],
  ],
  "everything over everything else": [
    somethingOfEach,
    [
      root(),
      file("dir", "a file"),
      directory("file"),
      file("file/inner", "x"),
      directory("to-dir"),
      link("fifo", "one"),
    ],
    [
      root(),
      directory("dir"),
      file("dir/again", "x"),
      link("file", "dir"),
      file("to-dir", "x"),
      directory("to-nothing"),
    ],
  ],
  "a directory's attributes changed, its content not": [
    somethingOfEach,
    [root(), directory("dir", { mode: 0o2770, uid: 7, gid: 8, mtime: 5, ...xattrs({ "user.new": "1" }) })],
  ],
  "hard links across directories, to symbolic links, and one of them changed": [
    [
      ...somethingOfEach,
      hardLink("dir/to-dir", "to-dir"),
      hardLink("dir/sub/fifo", "./fifo"),
      hardLink("four", "/two"),
    ],
    [root(), file("two", "changed"), directory("dir", changed), hardLink("dir/five", "two")],
  ],
  "extended attributes and file capabilities": [
    [
      root(xattrs({ "user.root": "r" })),
      directory("dir", xattrs({ "user.on.directory": "line\nline" })),
      file("dir/ping", "x", { mode: 0o755, uid: 3, ...xattrs({ "security.capability": netRaw }) }),
      file("dir/many", "x", xattrs({ "user.nul": "a\0b", "user.empty": "", "user.long": "v".repeat(1000) })),
      file("dir/trusted", "x", xattrs({ "trusted.of-root": "t" })),
    ],
    [root(), directory("dir"), file("dir/many", "x", xattrs({ "user.other": "o" }))],
  ],
  "set-user-ID and other modes, with owners": [
    [
      root(),
      ...[0o4755, 0o2755, 0o6711, 0o1777, 0, 0o777].flatMap((mode) => [
        file(`f${mode.toString(8)}`, "x", { mode, uid: 1000, gid: 2000 }),
        directory(`d${mode.toString(8)}`, { mode, uid: 2_000_000_000, gid: 7 }),
      ]),
      file("d2755/inherits-nothing", "x"),
      directory("d2755/neither"),
    ],
  ],
  "devices and FIFOs": [
    [
      root(),
      directory("dev"),
      { name: "dev/null", type: "3", major: 1, minor: 3, mode: 0o666 },
      { name: "dev/disk", type: "4", major: 259, minor: 70_000, mode: 0o660, gid: 6 },
      { name: "dev/fifo", type: "6", mode: 0o622, uid: 4 },
      { name: "dev/initctl", type: "6", mode: 0o600 },
    ],
    [root(), directory("dev", changed), whiteout("dev/initctl"), file("dev/null", "a file")],
  ],
  times: [
    [
      root({ pax: { mtime: "7.123456789" } }),
      ...mountPoints,
      directory("dir", { pax: { mtime: "1500000000.000000001" } }),
      file("dir/file", "x", { pax: { mtime: "1500000000.999999999" } }),
      file("dir/epoch", "x", { mtime: 0 }),
      { ...link("dir/link", "file"), pax: { mtime: "1234567890.5" } },
      directory("empty", { pax: { mtime: "99.25" } }),
    ],
  ],
  "names of any bytes": [
    [
      root(),
      directory("latin\xe9"),
      file("latin\xe9/\xff\xfe", "x"),
      file("utf\xc3\xa9", "x"),
      file("new\nline", "x"),
      file(" spaces \t", "x"),
      file("back\\slash", "x"),
      file("quote\"'", "x"),
      file("-rf", "x"),
      file("colon:comma,", "x"),
      { ...link("to-latin", ""), pax: { linkpath: "latin\xe9/\xff\xfe" } },
      { name: "hard", type: "1", pax: { linkpath: "latin\xe9/\xff\xfe" } },
      file("long", "x", { pax: { path: "n".repeat(255) } }),
      ...deep,
      file("deep", "x", { pax: { path: `${"d/".repeat(200)}file` } }),
    ],
    [root(), whiteout("utf\xc3\xa9"), directory("latin\xe9"), whiteout("latin\xe9/\xff\xfe")],
  ],
  "127 layers": manyLayers,
  "the same layer twice": [
    [root(), directory("d"), file("d/file", "A"), file("gone", "A"), whiteout("other")],
    [root(), directory("d", changed), file("d/file", "B"), file("other", "B"), whiteout("gone")],
    [root(), directory("d"), file("d/file", "A"), file("gone", "A"), whiteout("other")],
  ],
  "empty layers": [[], somethingOfEach, [], [file("more", "x")], []],
  "no layers": [],
  "a root of mode 0555 and owner 3:4": [[root({ mode: 0o555, uid: 3, gid: 4, mtime: 9 }), file("a", "x")]],
  "a root of mode 1777, which the upper layers do not name": [
    [root({ mode: 0o1777, uid: 3, gid: 4, pax: { mtime: "9.000000001", "SCHILY.xattr.user.root": "r" } })],
    [file("a", "x")],
    [],
  ],
  "a root that the upper layer changes": [
    [root({ mode: 0o1777, uid: 3 }), file("a", "x")],
    [root({ mode: 0o700, gid: 5, mtime: 9 }), whiteout("a")],
  ],
  "files without their directories": [
    [root(), directory("tmp", { mode: 0o1777 }), directory("home"), directory("home/me", { mode: 0o700, uid: 1000 })],
    [file("tmp/file", "x"), file("home/me/.profile", "x")],
  ],
  "files below a lower layer's link to a directory": [
    [root(), directory("usr"), directory("usr/lib"), file("usr/lib/a", "x"), link("lib", "usr/lib")],
    [root(), file("lib/b", "x")],
  ],
};

/**
 * An OCI archive, as `load` takes it: an image without a name.
 * @param tars its layers, lowest first
 */
export function makeArchive(tars: readonly Uint8Array[]): Buffer {
  const blobs = new Map<string, Uint8Array>();
  const add = (bytes: Uint8Array, mediaType: string) => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: add(json(config), mediaTypes.ociConfig),
    layers: tars.map((tar) => add(Bun.gzipSync(new Uint8Array(tar)), mediaTypes.ociLayerGzip)),
  };
  const index = { schemaVersion: 2, manifests: [add(json(manifest), mediaTypes.ociManifest)] };
  return makeTar([
    { name: "oci-layout", content: json({ imageLayoutVersion: "1.0.0" }) },
    { name: "index.json", content: json(index) },
    ...[...blobs].map(([digest, content]) => ({ name: `blobs/${digest.replace(":", "/")}`, content })),
  ]);
}
