import { describe, expect, test } from "bun:test";
import type { Mount } from "../../../../src/oci/runtime-spec.ts";
import type { CgroupView } from "../../../../src/runtime/cgroup/cgroup.ts";
import type { LaunchPlanInput } from "../../../../src/runtime/plan/launch-plan.ts";
import { bind, callsOf, planText, someFacts, stepsFor, withMounts } from "../../../helpers/plan.ts";

test("options that are longer than fsconfig takes are given to mount, at a place that no path leads to", () => {
  const option = `lowerdir=/${"l".repeat(255)}`;
  const overlay: Mount = {
    destination: "/o",
    type: "overlay",
    source: "o",
    options: [option, "index=off", "nodev", "ro", "shared"],
  };
  const calls = callsOf(withMounts([overlay]));
  const from = calls.indexOf('mkdirat(‹tmpfs mount›, "mount", 0755)');
  const find =
    'openat2(‹root›, "o", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) → /o';
  expect(calls.slice(from + 1, from + 11)).toEqual([
    'move_mount(‹tmpfs mount›, "", ‹root›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
    "fchdir(‹tmpfs mount›)",
    `mount("o", "mount", "overlay", MS_RDONLY, "${option},index=off")`,
    'open_tree(‹tmpfs mount›, "mount", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → overlay mount',
    "fchdir(‹tmpfs mount›)",
    'umount2(".", MNT_DETACH)',
    'chdir("/")',
    'mount_setattr(‹overlay mount›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY|MOUNT_ATTR_NODEV}, 32)',
    'mount_setattr(‹overlay mount›, "", AT_EMPTY_PATH, {propagation=MS_SHARED}, 32)',
    find,
  ]);
  // What a link leads to may change from one step to the next: the place is looked for once, and once where it is made.
  expect(calls.filter((call) => call.startsWith('openat2(‹root›, "o"'))).toHaveLength(2);
  expect(calls.findLast((call) => call.startsWith("move_mount"))).toStartWith('move_mount(‹overlay mount›, "", ‹/o›');
  const atRoot = callsOf(withMounts([{ ...overlay, destination: "/" }]));
  expect(atRoot).toContain("fcntl(‹overlay mount›, F_DUPFD_CLOEXEC, 3) → root");
  const short = { ...overlay, options: [`lowerdir=${"l".repeat(255)}`] };
  expect(stepsFor(withMounts([short]), /^mount\("/)).toEqual([]);
});

describe("a tmpfs", () => {
  const tmpfs = (destination: string, ...options: string[]): Mount => ({
    destination,
    type: "tmpfs",
    source: "t",
    options,
  });
  const modes: Partial<LaunchPlanInput> = { facts: { ...someFacts, modeAt: () => 0o1750 } };
  const linkToData = (path: string) => path.replace(/^\/link/, "/data");

  test("that is read-only becomes so when all mounts are made, which may lie in it", () => {
    const calls = callsOf(withMounts([tmpfs("/t", "ro", "noexec", "mode=755"), bind("/t/data")]));
    const sealed = calls.indexOf('mount_setattr(‹tmpfs mount›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)');
    expect(sealed).toBeGreaterThan(calls.findIndex((call) => call.startsWith("move_mount(‹/srv/data›")));
    expect(calls.filter((call) => call.startsWith("fsmount"))).toEqual([
      "fsmount(‹tmpfs context›, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOEXEC) → tmpfs mount",
    ]);
    expect(calls.join("\n")).not.toContain('FSCONFIG_SET_FLAG, "ro"');
  });

  test("has the mode of the directory that it covers", () => {
    const plan = withMounts([tmpfs("/t", "size=1m")], { input: modes });
    expect(stepsFor(plan, /SET_STRING/)).toContain('fsconfig(‹tmpfs context›, FSCONFIG_SET_STRING, "mode", "1750")');
    expect(stepsFor(plan, /^(statx|fchmodat)/)).toEqual([]);
  });

  test("has its own mode when it has one", () => {
    const plan = withMounts([tmpfs("/t", "mode=700")], { input: modes });
    expect(stepsFor(plan, /"mode"/)).toEqual(['fsconfig(‹tmpfs context›, FSCONFIG_SET_STRING, "mode", "700")']);
    expect(stepsFor(plan, /^(statx|fchmodat)/)).toEqual([]);
  });

  test("that another mount covers is no place for mounts any more", () => {
    const place = (...mounts: Mount[]) => {
      const calls = callsOf(withMounts([tmpfs("/t", "mode=755"), ...mounts, tmpfs("/t/a/b", "mode=755")]));
      return calls.findLast((call) => call.startsWith("mkdirat"));
    };
    expect(place(tmpfs("/t/a", "mode=755"))).toBe('mkdirat(‹tmpfs mount›, "b", 0755)');
    for (const covering of [bind("/t/a"), bind("/t"), bind("/")]) {
      expect(place(tmpfs("/t/a", "mode=755"), covering)).toBe('mkdirat(‹/t/a/b›, "b", 0755)');
    }
  });

  test("takes the mode of what an earlier mount has there", () => {
    const input = { facts: { ...someFacts, modeAt: () => 0o1750, resolveTarget: linkToData } };
    for (const mounts of [
      [bind("/data"), tmpfs("/data/t")],
      [bind("/data"), tmpfs("/link/t")],
      [bind("/"), tmpfs("/t")],
    ]) {
      const plan = withMounts(mounts, { input });
      const path = mounts[1]?.destination.slice(1);
      expect(planText(plan)).toContain(
        [
          `# Look for a directory at /${path}`,
          `openat2(‹root›, "${path}", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24) → directory at /${path}`,
          "  tolerates ENOENT, skips 2",
          "# Look up its mode",
          `statx(‹directory at /${path}›, "", AT_EMPTY_PATH, STATX_MODE, `,
        ].join("\n"),
      );
      expect(stepsFor(plan, /^fchmodat/)).toEqual(['fchmodat(‹tmpfs mount›, ".", ‹its mode›)']);
      expect(stepsFor(plan, /"mode"/)).toEqual([]);
    }
  });
});

describe("tmpcopyup", () => {
  const tmpfs = (destination: string): Mount => ({
    destination,
    type: "tmpfs",
    source: "t",
    options: ["tmpcopyup", "ro", "nodev"],
  });
  const filled = (mount: Mount): Partial<LaunchPlanInput> => ({
    facts: { ...someFacts, prepared: { trees: new Map(), userNamespaces: new Map(), filled: new Map([[mount, 13]]) } },
  });

  test("takes what was filled before, and puts mounts in it as in a directory of the image", () => {
    const mount = tmpfs("/t");
    const calls = callsOf(withMounts([mount, bind("/t/data")], { input: filled(mount) }));
    expect(calls.filter((call) => call.includes("filled tmpfs"))).toEqual([
      "fcntl(13, F_DUPFD_CLOEXEC, 3) → filled tmpfs",
      'move_mount(‹filled tmpfs›, "", ‹/t›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
      'mount_setattr(‹filled tmpfs›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)',
    ]);
    expect(calls.filter((call) => call.startsWith("fsopen"))).toEqual([]);
    expect(calls.filter((call) => call.startsWith("openat2") && call.includes('"t/data"'))).toHaveLength(2);
  });

  test("takes what the image has in such a copy of it, and nothing in an empty one", () => {
    const [outer, inner] = [tmpfs("/run"), tmpfs("/run/lock")];
    const facts = {
      ...someFacts,
      prepared: {
        trees: new Map(),
        userNamespaces: new Map(),
        filled: new Map([outer, inner].map((one, index) => [one, 13 + index])),
      },
    };
    const taken = (mounts: Mount[]) =>
      callsOf(withMounts(mounts, { input: { facts } })).filter((call) => /^(fcntl\(1|fsopen)/.test(call));
    expect(taken([outer, inner])).toEqual([
      "fcntl(13, F_DUPFD_CLOEXEC, 3) → filled tmpfs",
      "fcntl(14, F_DUPFD_CLOEXEC, 3) → filled tmpfs",
    ]);
    const empty = { ...outer, options: ["mode=755"] };
    expect(taken([empty, inner])).toEqual(Array(2).fill(expect.stringContaining('fsopen("tmpfs"')));
  });

  test.each<[string, Mount[], string]>([
    ["/dev", [tmpfs("/dev")], "mounts: tmpcopyup cannot copy all that is at /dev"],
    [
      "in a mount",
      [bind("/a"), tmpfs("/a/b")],
      "mounts: tmpcopyup cannot copy what an earlier mount has brought at /a/b",
    ],
    ["that nobody has filled", [tmpfs("/a")], "mounts: tmpcopyup cannot copy here what is at /a"],
    ["of a bind mount", [bind("/a", "tmpcopyup")], "mounts: only a tmpfs can have tmpcopyup, and that at /a is none"],
  ])("is refused for one %s", (_, mounts, message) => {
    expect(() => withMounts(mounts)).toThrow(message);
  });
});

describe("remount", () => {
  const remount = (...options: string[]): Mount => ({ destination: "/t", options: ["remount", ...options] });
  const tmpfs: Mount = { destination: "/t", type: "tmpfs", source: "t", options: ["mode=755"] };
  const after = (mounts: Mount[]) => {
    const calls = callsOf(withMounts(mounts));
    const last = calls.findLastIndex((call) => call.startsWith("move_mount"));
    return calls.slice(last + 1, calls.indexOf("fchdir(‹root›)") - 1);
  };

  test("changes the very mount that the plan has made, wherever its path leads by then", () => {
    expect(after([bind("/t"), remount("bind", "ro", "rnosuid", "shared")])).toEqual([
      'mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)',
      'mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH|AT_RECURSIVE, {set=MOUNT_ATTR_NOSUID}, 32)',
      'mount_setattr(‹/srv/data›, "", AT_EMPTY_PATH, {propagation=MS_SHARED}, 32)',
    ]);
  });

  test("changes the uppermost mount at the place", () => {
    const upper = { ...bind("/t"), source: "/srv/upper" };
    expect(after([bind("/t"), upper, remount("bind", "ro")])).toEqual([
      'mount_setattr(‹/srv/upper›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)',
    ]);
    const links = { "/link": "/t", "/t": "/t" } as Record<string, string>;
    const input = { facts: { ...someFacts, resolveTarget: (path: string) => links[path] ?? path } };
    const calls = callsOf(
      withMounts([bind("/t"), { ...upper, destination: "/link" }, remount("bind", "ro")], { input }),
    );
    expect(calls.filter((call) => call.includes("MOUNT_ATTR_RDONLY"))).toEqual([
      'mount_setattr(‹/srv/upper›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)',
    ]);
  });

  test("finds what came with a mount in that one, without links", () => {
    const below = (...mounts: Mount[]) =>
      after([...mounts, { ...remount("bind", "rw"), destination: "/t/a/b" }]).filter((call) =>
        call.startsWith("openat2"),
      );
    const how = "{flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS}, 24";
    expect(below(bind("/t"))).toEqual([`openat2(‹/srv/data›, "a/b", ${how}) → /t/a/b`]);
    expect(below(bind("/t/a/b"), { ...bind("/t"), source: "/srv/over" })).toEqual([
      `openat2(‹/srv/over›, "a/b", ${how}) → /t/a/b`,
    ]);
    expect(below(bind("/other"))).toEqual([`openat2(‹root›, "t/a/b", ${how}) → /t/a/b`]);
  });

  test("is led astray by no link that the image has where a mount lies", () => {
    const secret = { ...bind("/secret", "ro"), source: "/srv/secret" };
    const change = { ...remount("bind", "rw"), destination: "/link/x" };
    const links = { "/link": "/t", "/t/x": "/secret", "/link/x": "/secret" } as Record<string, string>;
    const input = { facts: { ...someFacts, resolveTarget: (path: string) => links[path] ?? path } };
    const calls = callsOf(withMounts([bind("/t"), secret, change], { input }));
    expect(calls.find((call) => call.includes("clear=MOUNT_ATTR_RDONLY"))).toBe(
      'mount_setattr(‹/link/x›, "", AT_EMPTY_PATH, {clear=MOUNT_ATTR_RDONLY}, 32)',
    );
    expect(calls).toContainEqual(expect.stringMatching(/^openat2\(‹\/srv\/data›, "x", .*NO_SYMLINKS.*→ \/link\/x$/));
  });

  test("changes a file system that the plan has made", () => {
    const calls = callsOf(withMounts([tmpfs, remount("size=2m", "ro")]));
    const from = calls.findLastIndex((call) => call.startsWith("move_mount"));
    expect(calls.slice(from + 1, from + 6)).toEqual([
      'fspick(‹tmpfs mount›, "", FSPICK_CLOEXEC|FSPICK_EMPTY_PATH) → tmpfs context',
      'fsconfig(‹tmpfs context›, FSCONFIG_SET_STRING, "size", "2m")',
      "fsconfig(‹tmpfs context›, FSCONFIG_CMD_RECONFIGURE)",
      'openat(‹root›, ".", O_PATH|O_CLOEXEC) → /',
      'mount_setattr(‹tmpfs mount›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)',
    ]);
  });

  test("lets a tmpfs stay writable that was to become read-only", () => {
    expect(after([{ ...tmpfs, options: ["mode=755", "ro"] }, remount("rw")])).toEqual([
      'mount_setattr(‹tmpfs mount›, "", AT_EMPTY_PATH, {clear=MOUNT_ATTR_RDONLY}, 32)',
    ]);
  });

  test("makes a tmpfs read-only when all is in it: mounts, devices, the console", () => {
    const dev = { ...tmpfs, destination: "/dev" };
    const mounts = [dev, { ...remount("ro", "nosuid"), destination: "/dev" }, bind("/dev/data")];
    const process = { terminal: true };
    const calls = callsOf(withMounts(mounts, { process, input: { terminalSocket: 9 } }));
    const last = calls.findLastIndex((call) => call.startsWith("mount_setattr"));
    expect(calls[last]).toBe('mount_setattr(‹tmpfs mount›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)');
    for (const earlier of [/^symlinkat/, /"console"/, /"data"/, /set=MOUNT_ATTR_NOSUID/]) {
      expect(calls.findLastIndex((call) => earlier.test(call))).toBeLessThan(last);
    }
  });

  test("never changes a file system of the host's", () => {
    expect(() => withMounts([bind("/t"), remount("commit=30")])).toThrow(
      "mounts: commit=30 cannot be changed at /t: no file system of the container's own is there",
    );
  });
});

describe("cgroups", () => {
  const cgroup = (type: string, ...options: string[]): Mount => ({
    destination: "/c",
    type,
    source: "cgroup",
    options: ["nosuid", "noatime", "ro", ...options],
  });
  const v2: CgroupView = { type: "v2", mountPoint: "/cg" };
  const v1: CgroupView = {
    type: "v1",
    hierarchies: [{ name: "cpu,cpuacct", source: "/cg/cpu,cpuacct/x" }],
    links: [{ name: "cpu", target: "cpu,cpuacct" }],
  };
  const calls = (mount: Mount, cgroupView: CgroupView, namespaces: readonly ("mount" | "cgroup")[] = ["mount"]) => {
    const linux = { namespaces: namespaces.map((type) => ({ type })) };
    const all = callsOf(withMounts([mount], { linux, input: { facts: { ...someFacts, cgroupView } } }));
    const from = all.findIndex((call) => call.startsWith("move_mount(‹root›"));
    return all
      .slice(from + 1, all.indexOf("fchdir(‹root›)") - 1)
      .filter((call) => !/^(openat2|mkdirat|openat)\(/.test(call));
  };

  test.each(["cgroup", "cgroup2"])("of version 2 are the container's own in its namespace: %s", (type) => {
    expect(calls(cgroup(type, "memory_localevents"), v2, ["mount", "cgroup"])).toEqual([
      'fsopen("cgroup2", FSOPEN_CLOEXEC) → cgroup2 context',
      'fsconfig(‹cgroup2 context›, FSCONFIG_SET_STRING, "source", "cgroup")',
      'fsconfig(‹cgroup2 context›, FSCONFIG_SET_FLAG, "memory_localevents")',
      "fsconfig(‹cgroup2 context›, FSCONFIG_CMD_CREATE)",
      "fsmount(‹cgroup2 context›, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOATIME) → cgroup2 mount",
      'move_mount(‹cgroup2 mount›, "", ‹/c›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
    ]);
  });

  test("of version 2 are the host's without a namespace, and never mounted anew", () => {
    expect(calls(cgroup("cgroup"), v2)).toEqual([
      'open_tree(AT_FDCWD, "/cg", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → /cg',
      'mount_setattr(‹/cg›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOATIME, clear=MOUNT_ATTR_NOATIME|MOUNT_ATTR_STRICTATIME|0x40, propagation=MS_PRIVATE}, 32)',
      'move_mount(‹/cg›, "", ‹/c›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
    ]);
  });

  test("of version 1 are the container's own of each hierarchy, in a directory of their own", () => {
    const found = calls(cgroup("cgroup", "slave"), v1);
    expect(found.filter((call) => !call.startsWith("fsconfig"))).toEqual([
      'fsopen("tmpfs", FSOPEN_CLOEXEC) → tmpfs context',
      "fsmount(‹tmpfs context›, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOATIME) → tmpfs mount",
      'move_mount(‹tmpfs mount›, "", ‹/c›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
      'open_tree(AT_FDCWD, "/cg/cpu,cpuacct/x", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC) → /cg/cpu,cpuacct/x',
      'mount_setattr(‹/cg/cpu,cpuacct/x›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOATIME, clear=MOUNT_ATTR_NOATIME|MOUNT_ATTR_STRICTATIME|0x40, propagation=MS_SLAVE}, 32)',
      'move_mount(‹/cg/cpu,cpuacct/x›, "", ‹/c/cpu,cpuacct›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
      'symlinkat("cpu,cpuacct", ‹tmpfs mount›, "cpu")',
      'mount_setattr(‹tmpfs mount›, "", AT_EMPTY_PATH, {propagation=MS_SLAVE}, 32)',
      'mount_setattr(‹tmpfs mount›, "", AT_EMPTY_PATH, {set=MOUNT_ATTR_RDONLY}, 32)',
    ]);
  });

  test("of version 2 beside version 1 take a namespace", () => {
    expect(calls(cgroup("cgroup2"), v1, ["mount", "cgroup"])[0]).toBe(
      'fsopen("cgroup2", FSOPEN_CLOEXEC) → cgroup2 context',
    );
  });
});
