import { describe, expect, test } from "bun:test";
import { parseMountFlag } from "../../../../src/cli/commands/run/mount-flag.ts";
import { parseVolumeFlag } from "../../../../src/cli/commands/run/volume-flag.ts";
import { parseVolumesFrom } from "../../../../src/cli/commands/run/volumes-from-flag.ts";
import type { MountOption } from "../../../../src/container/options.ts";
import { relativePath } from "../../../../src/container/relative-path.ts";
import { UsageError } from "../../../../src/util/errors.ts";

const here = "/here/now";

const bind = { type: "bind", readOnly: false, createSource: true, recursive: true } as const;
const volume = { type: "volume", readOnly: false, noCopy: false } as const;

const volumes: [text: string, expected: MountOption][] = [
  ["/data", { ...volume, target: "/data" }],
  ["data:/data", { ...volume, name: "data", target: "/data" }],
  ["data:/data:ro", { ...volume, name: "data", target: "/data", readOnly: true }],
  ["data:/data:nocopy", { ...volume, name: "data", target: "/data", noCopy: true }],
  [
    "data:/data:ro,nocopy,z",
    { ...volume, name: "data", target: "/data", readOnly: true, noCopy: true, adjust: { relabel: true } },
  ],
  ["/data:/data:U", { ...bind, source: "/data", target: "/data", adjust: { chown: true } }],
  ["data:/data:U,z", { ...volume, name: "data", target: "/data", adjust: { chown: true, relabel: true } }],
  ["/a:/b", { ...bind, source: "/a", target: "/b" }],
  ["/a/../c/:/b", { ...bind, source: "/c", target: "/b" }],
  ["/a:/b:rw", { ...bind, source: "/a", target: "/b" }],
  ["/a:/b:ro", { ...bind, source: "/a", target: "/b", readOnly: true }],
  [
    "/a:/b:ro,rslave,Z",
    { ...bind, source: "/a", target: "/b", readOnly: true, propagation: "rslave", adjust: { relabel: true } },
  ],
  ["/a:/b:cached", { ...bind, source: "/a", target: "/b" }],
  [".:/b", { ...bind, source: "/here/now", target: "/b" }],
  ["./x:/b", { ...bind, source: "/here/now/x", target: "/b" }],
  ["../x:/b", { ...bind, source: "/here/x", target: "/b" }],
  [".x:/b", { ...bind, source: "/here/now/.x", target: "/b" }],
  ["/a b:/c d", { ...bind, source: "/a b", target: "/c d" }],
];

test.each(volumes)("-v %s", (text, expected) => {
  expect(parseVolumeFlag(text, here)).toStrictEqual(expected);
});

const wrongVolumes: [text: string, reason: string][] = [
  ["", "a part of it is empty"],
  [":", "a part of it is empty"],
  [":/a", "a part of it is empty"],
  ["a:", "a part of it is empty"],
  ["/a:/b:", "a part of it is empty"],
  ["/a:/b:ro:x", "it has more than three parts"],
  ["a", 'the target "a" is not an absolute path'],
  ["/a:b", 'the target "b" is not an absolute path'],
  ["/a:ro", 'the target "ro" is not an absolute path'],
  ["/a:/", "the target is the container's root directory"],
  ["/a://x/..", "the target is the container's root directory"],
  ["/a:/b:zz", 'there is no option "zz"'],
  ["/a:/b:constructor", 'there is no option "constructor"'],
  ["/a:/b:ro,rw", "says two things of one kind"],
  ["/a:/b:shared,slave", "says two things of one kind"],
  ["/a:/b:nocopy", "nocopy is for volumes"],
  ["data:/b:rshared", "rshared is for directories of the host"],
  ["a/b:/c", '"a/b" is no name for a volume'],
  ["~/x:/c", '"~/x" is no name for a volume'],
  ["x:/c", '"x" is no name for a volume'],
];

describe("-v refuses", () => {
  test.each(wrongVolumes)("%j", (text, reason) => {
    expect(() => parseVolumeFlag(text, here)).toThrow(UsageError);
    expect(() => parseVolumeFlag(text, here)).toThrow(reason);
  });
});

const spelled = { ...bind, createSource: false };

const mounts: [text: string, expected: MountOption][] = [
  ["type=bind,source=/a,target=/b", { ...spelled, source: "/a", target: "/b" }],
  ["type=bind,src=/a,dst=/b,readonly", { ...spelled, source: "/a", target: "/b", readOnly: true }],
  ["destination=/b,type=BIND,src=./x,ro=true", { ...spelled, source: "/here/now/x", target: "/b", readOnly: true }],
  ["type=bind,src=/a,dst=/b,readonly=0", { ...spelled, source: "/a", target: "/b" }],
  [
    "type=bind,src=/a,dst=/b,bind-propagation=rshared",
    { ...spelled, source: "/a", target: "/b", propagation: "rshared" },
  ],
  ["type=bind,src=/a,dst=/b,bind-recursive=disabled", { ...spelled, source: "/a", target: "/b", recursive: false }],
  [
    "type=bind,src=/a,dst=/b,readonly,bind-recursive=writable",
    { ...spelled, source: "/a", target: "/b", readOnly: true, writableBelow: true },
  ],
  ["type=bind,src=/a,dst=/b,ro,bind-recursive=readonly", { ...spelled, source: "/a", target: "/b", readOnly: true }],
  ["type=bind,src=/a,dst=/b,bind-nonrecursive", { ...spelled, source: "/a", target: "/b", recursive: false }],
  ["type=bind,src=/a,dst=/b,bind-create-src", { ...spelled, source: "/a", target: "/b", createMountpoint: true }],
  ["type=bind,src=/a,dst=/b,bind-create-src=0", { ...spelled, source: "/a", target: "/b" }],
  ["type=bind,src=/a,dst=/b,consistency=cached", { ...spelled, source: "/a", target: "/b" }],
  ['type=bind,"src=/a,b",dst=/b', { ...spelled, source: "/a,b", target: "/b" }],
  ['type=bind,"src=/a""b",dst=/b', { ...spelled, source: '/a"b', target: "/b" }],
  ["type=bind,src=/a=b,dst=/b", { ...spelled, source: "/a=b", target: "/b" }],
  ["dst=/b", { ...volume, target: "/b" }],
  ["source=data,target=/b", { ...volume, name: "data", target: "/b" }],
  [
    "type=volume,src=data,dst=/b,volume-nocopy,ro",
    { ...volume, name: "data", target: "/b", noCopy: true, readOnly: true },
  ],
  ["type=volume,dst=/b,volume-driver=local", { ...volume, target: "/b" }],
  ["type=volume,src=data,dst=/b,volume-subpath=./a//b/", { ...volume, name: "data", target: "/b", subpath: "a/b" }],
  ["type=volume,src=data,dst=/b,volume-subpath=.", { ...volume, name: "data", target: "/b" }],
  [
    'src=data,dst=/b,volume-label=a=1,volume-label=b,"volume-opt=o=size=1m,mode=700"',
    { ...volume, name: "data", target: "/b", labels: { a: "1", b: "" }, driverOptions: { o: "size=1m,mode=700" } },
  ],
  ["type=tmpfs,dst=/b", { type: "tmpfs", target: "/b", options: [] }],
  [
    "type=tmpfs,dst=/b,tmpfs-size=64m,tmpfs-mode=1770,ro",
    { type: "tmpfs", target: "/b", options: ["ro", "size=67108864", "mode=1770"] },
  ],
  ["type=tmpfs,dst=/b,tmpfs-size=1.5KiB", { type: "tmpfs", target: "/b", options: ["size=1536"] }],
  ["type=tmpfs,dst=/b,tmpfs-size=4096", { type: "tmpfs", target: "/b", options: ["size=4096"] }],
];

test.each(mounts)("--mount %s", (text, expected) => {
  expect(parseMountFlag(text, here)).toStrictEqual(expected);
});

const wrongMounts: [text: string, reason: string][] = [
  ["", 'the field "" is not of the form key=value'],
  ["foo", 'the field "foo" is not of the form key=value'],
  ["type=bind,source=/y", "target is required"],
  ["type=bind,source=/y,target=", "target is required"],
  ["type=bind,target=/x", "a bind mount needs a source"],
  ["type=bind,source=y,target=/x", "is neither absolute nor begins with ."],
  ["type=bind,source=/y,target=x", 'the target "x" is not an absolute path'],
  ["type=foo,target=/x", 'type is bind, volume, tmpfs or image, not "foo"'],
  ["type=tmpfs,source=/y,target=/x", "a tmpfs has no source"],
  ["type=bind,src=/a,dst=/b,foo=bar", 'there is no key "foo"'],
  ["type=bind,srce=/a,dst=/b", "did you mean src?"],
  ["type=bind,src=/a,dst=/b,volume-nocopy", "volume-nocopy is for mounts of type volume, and this is a bind"],
  ["type=volume,dst=/b,tmpfs-size=1", "tmpfs-size is for mounts of type tmpfs"],
  ["type=volume,dst=/b,readonly=maybe", 'readonly is true or false, not "maybe"'],
  ["type=bind,src=/a,dst=/b,bind-propagation=foo", "bind-propagation is private, rprivate,"],
  ["type=bind,src=/a,dst=/b,bind-recursive=writable", "bind-recursive=writable is for mounts that are readonly"],
  ["type=bind,src=/a,dst=/b,bind-recursive=readonly", "bind-recursive=readonly is for mounts that are readonly"],
  ["type=tmpfs,dst=/b,tmpfs-size=zz", 'tmpfs-size is a size such as 64m, not "zz"'],
  ["type=tmpfs,dst=/b,tmpfs-mode=9", 'tmpfs-mode is an octal number, not "9"'],
  ["type=volume,dst=/b,volume-driver=nfs", "gocker has no volume driver nfs"],
  ["type=bind,src=/a,dst=/b,image-subpath=x", "image-subpath is for mounts of type image, and this is a bind"],
  ["type=bind,src=/a,dst=/b,volume-opt=a=b", "volume-opt is for mounts of type volume, and this is a bind"],
  ["type=volume,src=/a,dst=/b", '"/a" is no name for a volume'],
  ["type=bind,src,dst=/b", "source needs a value"],
  ['type=bind,src=/a"b,dst=/b', "a quote stands where none may, or is not closed"],
  ['type=bind,"src=/a,dst=/b', "a quote stands where none may, or is not closed"],
];

describe("--mount refuses", () => {
  test.each(wrongMounts)("%j", (text, reason) => {
    expect(() => parseMountFlag(text, here)).toThrow(UsageError);
    expect(() => parseMountFlag(text, here)).toThrow(reason);
  });
});

describe("a path within a volume", () => {
  test.each(["/a", "../a", "a/../b", "a\0"])("%j is none", (subpath) => {
    expect(() => relativePath(subpath, "a volume")).toThrow(UsageError);
  });
});

describe("--volumes-from", () => {
  test.each([
    ["db", { container: "db", readOnly: false }],
    ["db:ro", { container: "db", readOnly: true }],
    ["db:rw", { container: "db", readOnly: false }],
  ])("%s", (text, expected) => {
    expect(parseVolumesFrom(text)).toEqual(expected);
  });

  test.each(["", ":ro", "db:", "db:rx", "db:ro:rw", "db:toString"])("%j is refused", (text) => {
    expect(() => parseVolumesFrom(text)).toThrow(UsageError);
  });
});
