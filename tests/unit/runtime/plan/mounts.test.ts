import { describe, expect, test } from "bun:test";
import { encodePlan } from "../../../../src/linux/launch/encode.ts";
import type { Device, Linux, Mount } from "../../../../src/oci/runtime-spec.ts";
import type { LaunchPlanInput } from "../../../../src/runtime/plan/launch-plan.ts";
import {
  bind,
  callsOf,
  minimalSpec,
  planOf,
  planText,
  someFacts,
  stepsFor,
  withMounts,
} from "../../../helpers/plan.ts";

function resolving(links: Record<string, string>): Partial<LaunchPlanInput> {
  return { facts: { ...someFacts, resolveTarget: (path: string) => links[path] ?? path } };
}

const devTmpfs: Mount = { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] };

describe("bind mounts", () => {
  test("are copies of their source, private, with what is below it", () => {
    expect(planText(withMounts([bind("/data")]))).toContain(
      [
        "# Take /srv/data for /data",
        'open_tree(AT_FDCWD, "/srv/data", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) → /srv/data',
        "# Set how mounts below /data spread",
        `mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_PRIVATE}, 32)`,
      ].join("\n"),
    );
    const flat = { ...bind("/data"), options: ["bind"] };
    expect(stepsFor(withMounts([flat]), /^open_tree.*srv/)).toEqual([
      'open_tree(AT_FDCWD, "/srv/data", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → /srv/data',
    ]);
  });

  test("are read-only with all that is below them only when that is asked for", () => {
    const attributes = (...options: string[]) => stepsFor(withMounts([bind("/data", ...options)]), /MOUNT_ATTR/);
    const others = "MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_NOSYMFOLLOW";
    expect(attributes("ro")).toEqual([
      `mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY, clear=${others}}, 32)`,
      // Where the first is refused.
      'mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY, clear=MOUNT_ATTR_NOSYMFOLLOW}, 32)',
    ]);
    expect(attributes("rro")).toEqual([
      'mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH|AT_RECURSIVE, {set=MOUNT_ATTR_RDONLY}, 32)',
    ]);
  });

  test("that are shared with the host are taken before the container is cut off from it", () => {
    const calls = callsOf(withMounts([bind("/private"), { ...bind("/shared", "rshared"), source: "/srv/shared" }]));
    const cut = calls.findIndex((call) => call.startsWith("mount(0"));
    const taken = (source: string) => calls.findIndex((call) => call.startsWith(`open_tree(AT_FDCWD, "${source}"`));
    expect(taken("/srv/shared")).toBeLessThan(cut);
    expect(taken("/srv/data")).toBeGreaterThan(cut);
    expect(calls.filter((call) => call.includes('"/srv/shared"'))).toHaveLength(1);
  });

  test("that are slaves of the host are taken before only where the container is cut off from it completely", () => {
    const taken = (rootfsPropagation: string) => {
      const linux = { namespaces: [{ type: "mount" as const }], rootfsPropagation };
      const calls = callsOf(withMounts([bind("/data", "rslave")], { linux }));
      const cut = calls.findIndex((call) => call.startsWith("mount(0"));
      return calls.findIndex((call) => call.startsWith('open_tree(AT_FDCWD, "/srv/data"')) - cut;
    };
    expect(taken("private")).toBeLessThan(0);
    expect(taken("rslave")).toBeGreaterThan(0);
  });

  test("spread as their options say, one after the other", () => {
    expect(stepsFor(withMounts([bind("/data", "rslave", "shared")]), /propagation=/)).toEqual([
      `mount_setattr(‹copy for /data›, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_SLAVE}, 32)`,
      `mount_setattr(‹copy for /data›, "", AT_EMPTY_PATH, {propagation=MS_SHARED}, 32)`,
    ]);
  });

  test("find a place for a file, or make an empty one", () => {
    const file = { ...bind("/etc/app/config"), source: "/srv/config.file" };
    const text = planText(withMounts([file]));
    expect(text).toContain(
      [
        "# Find /etc/app/config in the container",
        'openat2(‹root›, "etc/app/config", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) → /etc/app/config',
        "  tolerates ENOENT",
        "  skips 9 on success",
        "# Make the directory /etc",
        'mkdirat(‹root›, "etc", 0755)',
      ].join("\n"),
    );
    expect(text).toContain(
      [
        "# Make the file /etc/app/config",
        'mknodat(‹/etc/app/config›, "config", S_IFREG|0644, 0:0)',
        "  tolerates EEXIST",
        "# Open /etc/app/config",
        'openat2(‹root›, "etc/app/config", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) → /etc/app/config',
        "  tolerates ENOENT",
        "  skips 3 on success",
      ].join("\n"),
    );
    // What somebody else puts there is not waited for.
    expect(text).toContain("{flags=O_WRONLY|O_CREAT|O_NOCTTY|O_NONBLOCK|O_CLOEXEC, mode=0644, resolve=RESOLVE_IN_ROOT");
    // A file that stayed open for writing would keep its file system from becoming read-only.
    expect(text).toContain("# Close /etc/app/config\nclose(‹new /etc/app/config›)");
  });

  test("of what earlier mounts may have brought have a place that fits what it is", () => {
    const facts = { ...someFacts, placeInRoot: () => "/inner" };
    const text = planText(withMounts([bind("/b")], { input: { facts } }));
    expect(text).toContain(
      [
        "# Look whether what comes to /b is a directory",
        'openat(‹/srv/data›, ".", O_PATH|O_DIRECTORY|O_CLOEXEC) → directory to mount',
        "  tolerates ENOTDIR, skips 4",
        "# Find /b in the container",
      ].join("\n"),
    );
    expect(text).toContain(
      [
        "# It is one",
        "close(‹directory to mount›)",
        "  skips 6 on success",
        "# Find /b in the container",
        'openat2(‹root›, "b", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) → /b',
        "  tolerates ENOENT",
        "  skips 5 on success",
        "# Make the file /b",
      ].join("\n"),
    );
    for (const depth of [60, 120]) {
      const { steps } = withMounts([bind("/b".repeat(depth))], { input: { facts } });
      const options = { architecture: "x86_64", base: 0x2000_0000, statusFd: 3, timed: true } as const;
      expect(() => encodePlan(steps, options)).not.toThrow();
    }
  });

  test("of what is in the root directory follow its links there, and not on the host", () => {
    const facts = {
      ...someFacts,
      placeInRoot: (source: string) => (source.startsWith("/bundle/rootfs/") ? source.slice(14) : undefined),
      isProcfs: () => true,
    };
    const inner = { ...bind("/b"), source: "/bundle/rootfs/a/link" };
    const taken = (...options: string[]) =>
      callsOf(withMounts([{ ...inner, options: ["rbind", ...options] }], { input: { facts } }))
        .filter((call) => /a\/link|place of|root directory/.test(call))
        .slice(0, 3);
    const found = '"a/link", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) → place of';
    const copied =
      'open_tree(‹place of /bundle/rootfs/a/link›, "", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH|AT_RECURSIVE)';
    expect(taken()[0]).toStartWith(`openat2(‹root›, ${found}`);
    expect(taken()[1]).toStartWith(copied);
    const shared = taken("rshared");
    expect(shared[0]).toBe('openat(AT_FDCWD, "/bundle/rootfs", O_PATH|O_DIRECTORY|O_CLOEXEC) → root directory');
    expect(shared[1]).toStartWith(`openat2(‹root directory›, ${found}`);
    expect(shared[2]).toStartWith(copied);
    expect(() => withMounts([{ ...inner, destination: "/proc" }], { input: { facts } })).toThrow(
      "cannot mount at /proc",
    );
  });

  test("of what containers write to follow its links there, as if it were the root of all paths", () => {
    const confined = (source: string) =>
      source.startsWith("/v/_data/") ? { directory: "/v/_data", place: source.slice("/v/_data".length) } : undefined;
    const taken = (source: string) =>
      callsOf(withMounts([{ ...bind("/b"), source }], { input: { facts: { ...someFacts, confined } } })).filter(
        (call) => /^open.*_data/.test(call),
      );
    expect(taken("/v/_data/a/b")).toEqual([
      'openat(AT_FDCWD, "/v/_data", O_PATH|O_DIRECTORY|O_CLOEXEC) → /v/_data',
      'openat2(‹/v/_data›, "a/b", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) → place of /v/_data/a/b',
      'open_tree(‹place of /v/_data/a/b›, "", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH|AT_RECURSIVE) → /v/_data/a/b',
    ]);
    expect(taken("/v/_data")[0]).toStartWith('open_tree(AT_FDCWD, "/v/_data"');
  });

  test("change the owners of files while they are nowhere yet", () => {
    const mount = bind("/data", "ro", "ridmap");
    const facts = {
      ...someFacts,
      prepared: { trees: new Map(), userNamespaces: new Map([[mount, 11]]), filled: new Map() },
    };
    const calls = callsOf(withMounts([mount], { input: { facts } }));
    const taken = calls.findIndex((call) => call.startsWith('open_tree(AT_FDCWD, "/srv/data"'));
    expect(calls[taken + 1]).toBe(
      'mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH|AT_RECURSIVE, {set=MOUNT_ATTR_IDMAP, userns_fd=11}, 32)',
    );
    const flat = bind("/data");
    flat.uidMappings = flat.gidMappings = [{ containerID: 0, hostID: 1000, size: 1 }];
    const input = {
      facts: { ...someFacts, prepared: { trees: new Map(), userNamespaces: new Map([[flat, 12]]), filled: new Map() } },
    };
    expect(stepsFor(withMounts([flat], { input }), /IDMAP/)).toEqual([
      'mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_IDMAP, userns_fd=12}, 32)',
    ]);
  });

  test("at / become the root directory of all that follows", () => {
    const calls = callsOf(withMounts([bind("/"), bind("/data")]));
    const taken = calls.indexOf("fcntl(‹/srv/data›, F_DUPFD_CLOEXEC, 3) → root");
    expect(calls[taken - 1]).toStartWith("move_mount(‹/srv/data›");
    expect(calls[taken - 2]).toBe('openat(‹root›, ".", O_PATH|O_CLOEXEC) → /');
    expect(calls.slice(taken).join("\n")).toContain('openat2(‹root›, "data"');
  });

  test("with a dangling link of the image at their target are made where it points to", () => {
    const plan = withMounts([bind("/etc/data")], { input: resolving({ "/etc/data": "/run/data" }) });
    expect(stepsFor(plan, /^mkdirat/)).toEqual(['mkdirat(‹root›, "run", 0755)', 'mkdirat(‹/etc/data›, "data", 0755)']);
    expect(stepsFor(plan, /^openat2\(‹root›, "etc\/data"/)).toHaveLength(1);
  });

  test("never follow a link of the image into /proc", () => {
    const input = resolving({ "/data": "/proc/sys/kernel" });
    expect(() => withMounts([bind("/data")], { input })).toThrow("a link there that leads to /proc/sys/kernel");
  });
});

describe("paths of the container", () => {
  test("are found below its root alone, magic links refused", () => {
    const mounts = [devTmpfs, bind("/a/../b/./c"), { destination: "/proc", type: "proc", source: "proc" }];
    const plan = withMounts(mounts, {
      linux: {
        maskedPaths: ["/proc/kcore"],
        readonlyPaths: ["/proc/sys"],
        devices: [{ type: "c", path: "/x/dev", major: 1, minor: 1 }],
      },
      process: { cwd: "/srv/../deep" },
    });
    const found = stepsFor(plan, /^openat2/);
    expect(found.length).toBeGreaterThan(5);
    for (const call of found) {
      expect(call).toMatch(/^openat2\(‹root›, "(?!\/)(?:(?!\.\.)[^"])*", .*RESOLVE_IN_ROOT\|RESOLVE_NO_MAGICLINKS/);
    }
    expect(found.join("\n")).toContain('"b/c"');
    // What is opened otherwise is in a file system that the plan made itself, or the root directory.
    for (const call of stepsFor(plan, /^(openat|mkdirat|mknodat|symlinkat)\(/)) {
      expect(call).toMatch(/‹(root|tmpfs mount|\/[^›]*)›/);
      expect(call).not.toMatch(/^\w+\([^,]*, "[^"]*\//);
    }
  });

  test("that are so deep that a plan could not make them must be there", () => {
    const deep = (depth: number) => withMounts([], { process: { cwd: "/a".repeat(depth) } });
    expect(stepsFor(deep(60), /^mkdirat/)).toHaveLength(60);
    expect(stepsFor(deep(2000), /^mkdirat/)).toEqual([]);
    for (const depth of [60, 61, 2000]) {
      const options = { architecture: "x86_64", base: 0x2000_0000, statusFd: 3, timed: true } as const;
      expect(() => encodePlan(deep(depth).steps, options)).not.toThrow();
    }
  });

  test("the kernel's file systems are mounted on directories, never where a link leads", () => {
    const plan = withMounts([
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/sys", type: "sysfs", source: "sysfs" },
    ]);
    for (const place of ["proc", "sys"]) {
      expect(stepsFor(plan, new RegExp(`^openat2\\(‹root›, "${place}"`))[0]).toContain("RESOLVE_NO_SYMLINKS");
    }
  });
});

describe("/proc", () => {
  const proc: Mount = { destination: "/proc", type: "proc", source: "proc" };

  test.each<[string, Mount]>([
    ["a tmpfs", { destination: "/proc", type: "tmpfs", source: "tmpfs" }],
    ["a directory", bind("/proc")],
    ["a directory, by another way", bind("/dev/../proc/.")],
    ["a procfs by its type alone", { ...bind("/proc"), type: "proc" }],
    ["a file that is written by gocker", bind("/proc/sys/kernel/hostname")],
    ["a process's directory", bind("/proc/self")],
    ["a file system in it", { destination: "/proc/cpuinfo", type: "tmpfs", source: "tmpfs" }],
  ])("is not replaced by %s", (_, mount) => {
    expect(() => withMounts([proc, mount])).toThrow(/cannot mount at \/proc.*the kernel's to say/);
  });

  test("may be another procfs, at the very place", () => {
    const plan = withMounts([{ ...bind("/proc"), source: "/proc" }]);
    const [find] = stepsFor(plan, /^openat2\(‹root›, "proc"/);
    expect(find).toContain("RESOLVE_NO_SYMLINKS");
    expect(stepsFor(plan, /^move_mount/).at(-1)).toBe(
      'move_mount(‹/proc›, "", ‹/proc›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
    );
  });

  test("may say something else of what lxcfs knows, where no link leads", () => {
    const plan = withMounts([{ ...bind("/proc/cpuinfo"), source: "/lxcfs/cpuinfo.file" }, proc]);
    expect(stepsFor(plan, /^openat2\(‹root›, "proc\/cpuinfo"/)[0]).toContain("RESOLVE_NO_SYMLINKS");
  });
});

describe("new file systems", () => {
  test("are read-only themselves when their mount is", () => {
    const plan = withMounts([{ destination: "/m", type: "mqueue", source: "m", options: ["rro", "noexec"] }]);
    expect(stepsFor(plan, /^fsconfig/)).toEqual([
      'fsconfig(‹mqueue context›, FSCONFIG_SET_STRING, "source", "m")',
      'fsconfig(‹mqueue context›, FSCONFIG_SET_FLAG, "ro")',
      "fsconfig(‹mqueue context›, FSCONFIG_CMD_CREATE)",
    ]);
    expect(stepsFor(plan, /^fsmount/)[0]).toContain("MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOEXEC");
  });
});

describe("propagation of the root directory", () => {
  const mountsOf = (rootfsPropagation?: string) => {
    const linux = { namespaces: [{ type: "mount" as const }], ...(rootfsPropagation && { rootfsPropagation }) };
    const plan = withMounts([], { linux });
    return stepsFor(plan, /^mount\(|^mount_setattr\(‹root›/);
  };

  test.each(["slave", "rslave", "shared", "rshared", "unbindable", "runbindable", undefined])(
    "%p: nothing that is mounted meanwhile spreads to the host",
    (propagation) => {
      expect(mountsOf(propagation)[0]).toBe('mount(0, "/", 0, MS_REC|MS_SLAVE, 0)');
    },
  );

  test.each(["private", "rprivate"])("%p: for everything", (propagation) => {
    expect(mountsOf(propagation)).toEqual(['mount(0, "/", 0, MS_REC|MS_PRIVATE, 0)']);
  });

  test("what it is to be itself comes after pivot_root, which moves no shared mount", () => {
    expect(mountsOf("rshared").slice(1)).toEqual([
      'mount_setattr(‹root›, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_SHARED}, 32)',
    ]);
    expect(mountsOf("unbindable").slice(1)).toEqual([
      'mount_setattr(‹root›, "", AT_EMPTY_PATH, {propagation=MS_UNBINDABLE}, 32)',
    ]);
    const calls = callsOf(
      planOf(minimalSpec({ linux: { namespaces: [{ type: "mount" }], rootfsPropagation: "shared" } })),
    );
    const [pivot, shared] = [/^pivot_root/, /MS_SHARED/].map((each) => calls.findIndex((call) => each.test(call)));
    expect(shared).toBeGreaterThan(pivot as number);
  });
});

describe("devices", () => {
  const fuse: Device = { type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 0o600, uid: 5, gid: 6 };
  const pipe: Device = { type: "p", path: "/srv/pipe" };
  const nodes = (mounts: Mount[], devices: Device[]) =>
    stepsFor(withMounts(mounts, { linux: { namespaces: [{ type: "mount" }], devices } }), /^(mknodat|fchownat)/);

  test("the mode gives no device another type", () => {
    // A type as mknod(2) has it, and those of Go's os.FileMode.
    for (const type of [0o60000, 2 ** 26 + 2 ** 21, 2 ** 31]) {
      const [step] = nodes([], [{ ...fuse, fileMode: type + 0o600 }]);
      expect(step).toStartWith("mknodat");
      expect(step).toEqual(nodes([], [fuse])[0] as string);
    }
  });

  test("are made by name in the /dev of the plan's own, and elsewhere below the root", () => {
    expect(nodes([devTmpfs], [fuse, pipe]).slice(-3)).toEqual([
      'mknodat(‹tmpfs mount›, "fuse", S_IFCHR|0600, 10:229)',
      'fchownat(‹tmpfs mount›, "fuse", 5, 6, AT_SYMLINK_NOFOLLOW)',
      'mknodat(‹/srv›, "pipe", S_IFIFO|0666, 0:0)',
    ]);
  });

  test("that are there already, and may be the host's, are left as they are", () => {
    const outside = { ...fuse, path: "/srv/fuse" };
    expect(planText(withMounts([], { linux: { namespaces: [{ type: "mount" }], devices: [outside] } }))).toContain(
      [
        'mknodat(‹/srv›, "fuse", S_IFCHR|0600, 10:229)',
        "  tolerates EEXIST, skips 1",
        "# Give /srv/fuse its owner",
        'fchownat(‹/srv›, "fuse", 5, 6, AT_SYMLINK_NOFOLLOW)',
      ].join("\n"),
    );
  });

  test("replace the default ones", () => {
    const own: Device = { type: "c", path: "/dev/null", major: 1, minor: 3, fileMode: 0o600 };
    expect(nodes([devTmpfs], [own]).filter((call) => call.includes('"null"'))).toEqual([
      'mknodat(‹tmpfs mount›, "null", S_IFCHR|0600, 1:3)',
    ]);
  });

  test("are not made in a directory of the host's at /dev, which has its own", () => {
    expect(nodes([bind("/dev")], [fuse, pipe])).toEqual(['mknodat(‹/srv›, "pipe", S_IFIFO|0666, 0:0)']);
  });
});

describe("standard descriptors", () => {
  test("that are the host's null device become the container's", () => {
    const calls = callsOf(withMounts([devTmpfs], { input: { nullStdio: [0, 2] } }));
    const opened = calls.findIndex((call) => call.includes('"null", O_RDWR|O_NOFOLLOW|O_CLOEXEC'));
    expect(calls[opened]).toStartWith("openat(‹tmpfs mount›");
    expect(calls.slice(opened + 1, opened + 3)).toEqual([
      "dup3(‹null for standard descriptors›, 0, O_RDONLY)",
      "dup3(‹null for standard descriptors›, 2, O_RDONLY)",
    ]);
  });

  test("get one that is nowhere in the tree when /dev is not the plan's own", () => {
    const plan = withMounts([bind("/dev")], { input: { nullStdio: [0] } });
    expect(stepsFor(plan, /^mknodat/)).toEqual(['mknodat(‹tmpfs mount›, "null", S_IFCHR|0666, 1:3)']);
    expect(stepsFor(plan, /^move_mount\(‹tmpfs mount›/)).toEqual([]);
  });
});

describe("a terminal", () => {
  const terminal = (mounts: Mount[], owner = 0) =>
    withMounts(mounts, {
      process: { terminal: true, user: { uid: owner, gid: 0 } },
      input: { terminalSocket: 9 },
    });
  const devpts: Mount = { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance"] };

  test("is of the container's own devpts, belongs to the user, and is its console", () => {
    const calls = callsOf(terminal([devTmpfs, devpts], 1000));
    expect(calls).toContain('openat(‹devpts mount›, "ptmx", O_RDWR|O_NOCTTY|O_CLOEXEC) → terminal');
    expect(calls).toContainEqual(expect.stringMatching(/^fchown\(1001, 1000, /));
    expect(calls).toContain(
      'openat(‹tmpfs mount›, "console", O_RDONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600) → console',
    );
    const order = ["sendmsg(9", "setsid(", "ioctl(1001, TIOCSCTTY", "dup3(1001, 0", "dup3(1001, 1", "dup3(1001, 2"];
    const found = order.map((start) => calls.findIndex((call) => call.startsWith(start)));
    expect(found).not.toContain(-1);
    expect(found).toEqual(found.toSorted((a, b) => a - b));
  });

  test("is the one that /dev/ptmx leads to where the host's /dev is mounted", () => {
    const calls = callsOf(terminal([bind("/dev")]));
    expect(calls).toContainEqual(
      expect.stringMatching(/^openat2\(‹root›, "dev\/ptmx", \{flags=O_RDWR\|O_NOCTTY.*RESOLVE_IN_ROOT/),
    );
    expect(calls.join("\n")).not.toContain("console");
  });
});

describe("covers", () => {
  const covers = (linux: Linux) =>
    stepsFor(withMounts([], { linux: { namespaces: [{ type: "mount" }], ...linux } }), /^openat2/).map(
      (call) => call.split('"')[1],
    );

  test("are one for each path, however often it is named", () => {
    const paths = ["/a", "/b/c", "/a/", "//b/./c", "/a"];
    expect(covers({ readonlyPaths: paths })).toEqual(["a", "b/c"]);
    // A directory's steps, then those of any other file.
    expect(covers({ maskedPaths: paths })).toEqual(["a", "a", "b/c", "b/c"]);
  });
});
