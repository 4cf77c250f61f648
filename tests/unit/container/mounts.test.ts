import { describe, expect, test } from "bun:test";
import { mountTarget } from "../../../src/container/mount-target.ts";
import { buildMounts, mergeTmpfsOptions, type MountsInput } from "../../../src/container/mounts.ts";
import { volumeRequests } from "../../../src/container/volume-requests.ts";
import type { BindMountOption, MountOption } from "../../../src/container/options.ts";
import { UsageError } from "../../../src/util/errors.ts";

const plain: MountsInput = { mounts: [], volumes: [], readOnly: false, privileged: false, recursiveReadOnly: true };
const etcFiles = { hostname: "/c/hostname", hosts: "/c/hosts", resolvConf: "/c/resolv.conf" };
const destinations = (input: Partial<MountsInput>) => buildMounts({ ...plain, ...input }).map((m) => m.destination);
const optionsAt = (place: string, input: Partial<MountsInput>) =>
  buildMounts({ ...plain, ...input }).find(({ destination }) => destination === place)?.options;
const bind = (target: string, change: Partial<BindMountOption> = {}): BindMountOption => ({
  type: "bind",
  source: "/src",
  target,
  readOnly: false,
  createSource: false,
  recursive: true,
  ...change,
});
const tmpfs = (target: string, ...options: string[]): MountOption => ({ type: "tmpfs", target, options });

const defaults = ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"];

describe("the order", () => {
  test("defaults first, then everything else with parents first", () => {
    const mounts = [bind("/a-b"), bind("/a/b/c"), tmpfs("/b"), bind("/a/b")];
    const volumes = [{ name: "v", anonymous: false, source: "/v", target: "/a", readOnly: false }];
    expect(destinations({ mounts, volumes, etcFiles })).toEqual([
      ...defaults,
      "/a",
      "/a/b",
      "/a/b/c",
      "/a-b",
      "/b",
      "/etc/hostname",
      "/etc/hosts",
      "/etc/resolv.conf",
    ]);
  });

  test("a mount of the user's replaces the default at its place", () => {
    expect(destinations({ mounts: [tmpfs("/dev/shm", "size=1g")] })).toEqual([...defaults.slice(0, -1), "/dev/shm"]);
    expect(optionsAt("/dev/shm", { mounts: [tmpfs("/dev/shm", "size=1g")] })).toContain("size=1g");
    expect(destinations({ mounts: [bind("/dev")] })).toEqual(["/proc", "/sys", "/sys/fs/cgroup", "/dev"]);
    expect(destinations({ mounts: [bind("/etc/hosts")], etcFiles }).filter((d) => d === "/etc/hosts")).toHaveLength(1);
  });

  test.each([
    [bind("/x"), tmpfs("/x/")],
    [bind("/x/../y"), bind("/y")],
  ])("two mounts at one place are refused", (one, two) => {
    expect(() => buildMounts({ ...plain, mounts: [one, two] })).toThrow(/duplicate mount point: \/[xy]/);
  });
});

describe("the options", () => {
  test.each<[Partial<BindMountOption>, boolean, string[]]>([
    [{}, true, ["rbind", "rprivate"]],
    [{ readOnly: true }, true, ["rbind", "ro", "rro", "rprivate"]],
    [{ readOnly: true }, false, ["rbind", "ro", "rprivate"]],
    [{ readOnly: true, recursive: false }, true, ["bind", "ro", "rprivate"]],
    [{ propagation: "rslave" }, true, ["rbind", "rslave"]],
  ])("of a bind %j (recursive: %p)", (change, recursiveReadOnly, options) => {
    expect(optionsAt("/x", { mounts: [bind("/x", change)], recursiveReadOnly })).toEqual(options);
  });

  test("a read-only root makes the rest read-only, but not the kernel's and the memory's file systems", () => {
    const input = { readOnly: true, etcFiles, mounts: [tmpfs("/run"), bind("/data")] };
    const writable = buildMounts({ ...plain, ...input })
      .filter(({ options = [] }) => !options.includes("ro"))
      .map(({ destination }) => destination);
    expect(writable).toEqual(["/proc", "/dev", "/dev/pts", "/dev/mqueue", "/dev/shm", "/data", "/run"]);
  });

  test("a privileged container may write to /sys", () => {
    expect(optionsAt("/sys", {})).toContain("ro");
    for (const place of ["/sys", "/sys/fs/cgroup"]) {
      expect(optionsAt(place, { privileged: true, readOnly: true })).not.toContain("ro");
    }
  });

  test.each<[string[], string[]]>([
    [[], ["noexec", "nosuid", "nodev", "rprivate"]],
    [
      ["exec", "size=64m"],
      ["nosuid", "nodev", "rprivate", "exec", "size=64m"],
    ],
    [
      ["size=1m", "rw", "size=2m", "ro"],
      ["noexec", "nosuid", "nodev", "rprivate", "size=2m", "ro"],
    ],
    [
      ["", "mode=1777"],
      ["noexec", "nosuid", "nodev", "rprivate", "mode=1777"],
    ],
  ])("of a tmpfs with %j", (given, options) => {
    expect(optionsAt("/t", { mounts: [tmpfs("/t", ...given)] })).toEqual(options);
  });

  test.each(["foo", "size", "lowerdir=/etc", "bind", "exec=1"])("a tmpfs does not know %s", (option) => {
    expect(() => mergeTmpfsOptions([option])).toThrow(UsageError);
  });
});

describe("/proc", () => {
  test.each(["/proc", "/proc/self", "/proc/sys/net", "/a/../proc/sys/kernel/core_pattern"])(
    "%s is no target",
    (target) => {
      for (const option of [bind(target), tmpfs(target)])
        expect(() => destinations({ mounts: [option] })).toThrow(UsageError);
    },
  );

  test.each(["/proc/uptime", "/proc/meminfo", "/process", "/data/proc"])("%s is one", (target) => {
    expect(destinations({ mounts: [bind(target)] })).toContain(target);
  });
});

describe("targets", () => {
  test.each([
    ["/a//b/", "/a/b"],
    ["/a/./b/../c", "/a/c"],
    ["/../x", "/x"],
  ])("%s", (target, place) => {
    expect(mountTarget(target)).toBe(place);
  });

  test.each(["", "a", "./a", "/", "//", "/..", "/a/..", "/a\0"])("%j is none", (target) => {
    expect(() => mountTarget(target)).toThrow(UsageError);
  });
});

describe("volumeRequests", () => {
  const madeUp = expect.stringMatching(/^[0-9a-f]{64}$/) as unknown as string;
  const volume = (target: string, name?: string): MountOption => ({
    type: "volume",
    ...(name === undefined ? {} : { name }),
    target,
    readOnly: true,
    noCopy: false,
  });

  test("the image's volumes are anonymous, except where the user has a mount", () => {
    const image = { Volumes: { "/data/": {}, "/tmpfs": {}, "/bind": {}, relative: {}, "/data": {} } };
    const mounts = [volume("/data", "db"), tmpfs("/tmpfs"), bind("/bind"), volume("/other")];
    expect(volumeRequests(image, mounts)).toEqual([
      { name: "db", anonymous: false, target: "/data", readOnly: true, noCopy: false },
      { name: madeUp, anonymous: true, target: "/other", readOnly: true, noCopy: false },
      { name: madeUp, anonymous: true, target: "/relative", readOnly: false, noCopy: false },
    ]);
    expect(() => volumeRequests(undefined, [volume("/data", "../x")])).toThrow(UsageError);
  });

  test.each([undefined, {}, { Volumes: null }])("none: %j", (image) => {
    expect(volumeRequests(image, [])).toEqual([]);
  });
});

describe("/dev/shm goes with the IPC namespace", () => {
  const memory = (ipc: MountsInput["ipc"], mounts: MountOption[] = []) =>
    buildMounts({ ...plain, ipc, mounts }).filter(({ destination }) => destination === "/dev/shm");

  test.each([undefined, "private", "shareable"] as const)("%s: a new one", (ipc) => {
    expect(memory(ipc)).toMatchObject([{ type: "tmpfs", source: "shm" }]);
  });

  test("none, the host's, and another container's", () => {
    expect(memory("none")).toEqual([]);
    expect(memory("host")).toMatchObject([{ type: "bind", source: "/dev/shm" }]);
    expect(memory({ container: "abc" })).toMatchObject([{ type: "bind", source: "container:abc" }]);
  });

  test("the user's own wins", () => {
    expect(memory("host", [tmpfs("/dev/shm", "size=1m")])).toMatchObject([{ type: "tmpfs", source: "tmpfs" }]);
  });
});

test("writable cgroups", () => {
  expect(optionsAt("/sys/fs/cgroup", {})).toContain("ro");
  expect(optionsAt("/sys/fs/cgroup", { writableCgroups: true })).not.toContain("ro");
  expect(optionsAt("/sys", { writableCgroups: true })).toContain("ro");
});
