import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

import { splitDevice } from "../../src/linux/device-number.ts";
import { AttackGround, type Call, callResults, callWords, canAttack } from "../helpers/attack.ts";
import { gockerBinary } from "../helpers/binary.ts";

// What the kernel would let root do to the host, and must not let root of a container do.

let ground: AttackGround;
beforeAll(async () => {
  if (canAttack) ground = await AttackGround.create();
});
afterAll(() => ground?.[Symbol.asyncDispose]());

const here = -100;
const readWrite = 2;
const nonBlocking = 0o4000;
const newUser = 0x10000000;
const onX64 = process.arch === "x64";

describe.skipIf(!canAttack)("system calls", () => {
  const refused: Call[] = [
    ["mount", "none", "/tmp", "tmpfs", 0, 0],
    ["umount2", "/proc", 2],
    ["pivot_root", ".", "."],
    ["fsopen", "proc", 0],
    ["open_tree", here, "/", 1],
    ["move_mount", here, "/proc", here, "/tmp", 0],
    ["mount_setattr", here, "/proc", 0, { output: 32 }, 32],
    ["unshare", newUser],
    ["unshare", 0x02000000],
    ["setns", 0, 0],
    ["clone", newUser, 0, 0, 0, 0],
    ["keyctl", 0, 0],
    ["add_key", "user", "name", "x", 1, 0],
    ["request_key", "user", "name", 0, 0],
    ["bpf", 0, 0, 0],
    ["perf_event_open", 0, 0, 0, 0, 0],
    ["userfaultfd", 0],
    ["io_uring_setup", 1, 0],
    ["init_module", 0, 0, 0],
    ["finit_module", 0, "", 0],
    ["delete_module", "x", 0],
    ["kexec_load", 0, 0, 0, 0],
    ["reboot", 0, 0, 0, 0],
    ["swapon", "/nowhere", 0],
    ["acct", 0],
    ["quotactl", 0, 0, 0, 0],
    ["sethostname", "x", 1],
    ["settimeofday", { output: 16 }, 0],
    ["clock_settime", 0, { output: 16 }],
    ["open_by_handle_at", here, { output: 64 }, 0],
    ["pidfd_getfd", 0, 0, 0],
    ["kcmp", 1, 1, 0, 0, 0],
    ["vhangup"],
    ["syslog", 3, { output: 16 }, 16],
    ["socket", 38 /* AF_ALG */, 5, 0],
    ["socket", 40 /* AF_VSOCK */, 1, 0],
  ];

  test("that reach beyond a container are refused", async () => {
    const results = await ground.calls(refused);
    expect(refused.filter((_, index) => results[index] !== "EPERM")).toEqual([]);
  });

  test("that reach beyond a container are refused to other users too", async () => {
    const results = await ground.calls(refused, ["-u", "65534:65534"]);
    expect(refused.filter((_, index) => results[index] !== "EPERM")).toEqual([]);
  });

  test("that make namespaces from flags in memory do not exist", async () => {
    expect(await ground.calls([["clone3", { output: 88 }, 88]])).toEqual(["ENOSYS"]);
  });

  test.skipIf(!onX64)("of i386 and x32 are refused alike", async () => {
    const calls: Call[] = [
      ["mount", "none", "/tmp", "tmpfs", 0, 0],
      ["unshare", newUser],
      ["keyctl", 0, 0],
      ["setns", 0, 0],
      ["bpf", 0, 0, 0],
      ["open_by_handle_at", here, { output: 64 }, 0],
      ["socket", 38, 5, 0],
      ["socket", 40, 1, 0],
      ["socket", 2 ** 32 + 40, 1, 0],
    ];
    const others = ["i386", "x32"].flatMap((abi) => calls.map(([name, ...args]): Call => [`${abi}:${name}`, ...args]));
    const results = await ground.calls([...others, ["socket", 2 ** 32 + 38, 5, 0], ["socket", 2 ** 32 + 40, 1, 0]]);
    expect(new Set(results)).toEqual(new Set(["EPERM"]));
  });

  test("trace process 1 only with its rights, and not beyond the container", async () => {
    // PTRACE_ATTACH to the reaper, which is another process of the same container and owner: no gocker is in there.
    const results = await ground.calls([["ptrace", 16, 1, 0, 0]], ["--init", "-u", "65534"]);
    expect(results).toEqual(["EPERM"]);
    const pids = await ground.shell("ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm; :");
    expect(pids).toMatch(/^[1-4]\nsh\n$/);
  });
});

describe.skipIf(!canAttack)("devices", () => {
  /** The disk that this host's root lies on, and things that every kernel has. */
  const { major, minor } = canAttack ? splitDevice(statSync("/", { bigint: true }).dev) : { major: 0, minor: 0 };
  const devices: [name: string, type: "b" | "c", major: number, minor: number][] = [
    ["the host's disk", "b", major, minor],
    ["a whole disk", "b", 8, 0],
    ["a virtual disk", "b", 254, 0],
    ["a loop device", "b", 7, 0],
    ["memory", "c", 1, 1],
    ["kernel memory", "c", 1, 2],
    ["I/O ports", "c", 1, 4],
    ["the kernel's log", "c", 1, 11],
    ["the host's console", "c", 5, 1],
    ["a virtual terminal", "c", 4, 0],
    ["a serial line", "c", 4, 64],
    ["loop control", "c", 10, 237],
    ["FUSE", "c", 10, 229],
    ["a tunnel", "c", 10, 200],
    ["virtual machines", "c", 10, 232],
    ["input events", "c", 13, 64],
    ["graphics", "c", 226, 0],
  ];

  for (const flags of [[], ["-t"], ["--cap-add", "ALL"]]) {
    test(`of the host can be made but not opened ${flags.join(" ")}`, async () => {
      const opened: string[] = [];
      for (const [name, type, devMajor, devMinor] of devices) {
        const mode = (type === "b" ? 0o060000 : 0o020000) | 0o666;
        const number = (devMajor << 8) | (devMinor & 0xff);
        const calls: Call[] = [
          ["mknodat", here, "/tmp/node", mode, number],
          ["openat", here, "/tmp/node", readWrite | nonBlocking],
          ["openat", here, "/tmp/node", nonBlocking],
        ];
        const { stdout } = await ground.run([...flags, "attack", ...callWords(calls)]);
        const [made, ...results] = callResults(stdout.replaceAll("\r", ""));
        if (made !== "0" || results.some((result) => result !== "EPERM")) opened.push(`${name}: ${results.join()}`);
      }
      expect(opened).toEqual([]);
    });
  }

  test("that an image brings cannot be opened either", async () => {
    const layers = [
      [
        { name: "disk", type: "4", major, minor, mode: 0o666 },
        { name: "kmsg", type: "3", major: 1, minor: 11, mode: 0o666 },
        { name: "dev/", mode: 0o755 },
        { name: "dev/sda", type: "4", major, minor, mode: 0o666 },
      ],
    ];
    await ground.load("devices", { layers });
    const calls = ["/disk", "/kmsg", "/dev/sda"].map((path): Call => ["openat", here, path, nonBlocking]);
    expect(await ground.calls(calls, [], "devices")).toEqual(["EPERM", "EPERM", "ENOENT"]);
  });

  test("that an image's volume brings cannot be opened, in no container that uses it", async () => {
    const layers = [[{ name: "data/" }, { name: "data/disk", type: "4", major, minor, mode: 0o666 }]];
    await ground.load("device-volume", { layers });
    const open: Call[] = [["openat", here, "/data/disk", nonBlocking]];
    expect(await ground.calls(open, ["-v", "shared:/data"], "device-volume")).toEqual(["EPERM"]);
    expect(await ground.calls(open, ["-v", "shared:/data"])).toEqual(["EPERM"]);
  });

  test("of terminals lead to the container's own", async () => {
    const results = await ground.calls([
      ["mknodat", here, "/tmp/slave", 0o020666, (136 << 8) | 0],
      ["openat", here, "/tmp/slave", readWrite],
      ["mknodat", here, "/tmp/ptmx", 0o020666, (5 << 8) | 2],
      ["openat", here, "/tmp/ptmx", readWrite],
      ["openat", here, "/dev/tty", readWrite],
      ["openat", here, "/dev/console", readWrite],
    ]);
    expect(results).toEqual(["0", "EIO", "0", "ENOENT", "ENXIO", "ENOENT"]);
    expect(await ground.shell("ls /dev/pts")).toBe("ptmx\n");
  });
});

describe.skipIf(!canAttack)("control groups", () => {
  test("can only be read, and release_agent is not there (CVE-2022-0492)", async () => {
    const script =
      "find / -xdev -name release_agent; find /sys/fs/cgroup -name release_agent; grep ' /sys/fs/cgroup' /proc/self/mountinfo" +
      " | cut -d' ' -f6 | grep -v '^ro,nosuid,nodev,noexec'" +
      "; for directory in /sys/fs/cgroup /sys/fs/cgroup/pids; do test ! -d $directory || mkdir $directory/x 2>&1; done; true";
    expect(await ground.shell(script)).toMatch(/^(?:mkdir: .*Read-only file system\n)+$/);
  });

  test("show the container's own branch only", async () => {
    const roots = await ground.shell("grep -E ' - cgroup2? ' /proc/self/mountinfo | cut -d' ' -f4 | sort -u");
    expect(roots).toMatch(/^(?:\/|\/gocker\/[0-9a-f]{64})\n$/);
  });

  test("cannot be mounted in namespaces that a container without a filter makes", async () => {
    const hierarchies = readFileSync("/proc/self/cgroup", "utf8").match(/^\d+:[a-z,]+:/gm) ?? [];
    const controllers = [...hierarchies.map((line) => line.split(":")[1] as string), "rdma", "misc"];
    const script = [
      "unshare -Urm true || exit 9; cat > /tmp/attack <<'END'",
      ...controllers.map(
        (name) =>
          `mount -t cgroup -o ${name} none /mnt 2>/dev/null && echo x > /mnt/release_agent && echo ${name} is open`,
      ),
      "mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo remounted",
      "umount /proc/keys 2>/dev/null && echo unmasked",
      "umount /proc/sys 2>/dev/null && echo writable",
      "mount -t proc none /mnt 2>/dev/null && echo a new proc",
      "mount -t sysfs none /mnt 2>/dev/null && echo a new sysfs",
      "true",
      "END",
      "mkdir -p /mnt; unshare -Urmp --fork sh /tmp/attack; unshare -Urm sh /tmp/attack",
    ].join("\n");
    expect(await ground.shell(script, ["--security-opt", "seccomp=unconfined"])).toBe("");
  });
});

describe.skipIf(!canAttack)("capabilities", () => {
  const masks = (status: string) =>
    Object.fromEntries(
      status
        .trimEnd()
        .split("\n")
        .map((line) => line.split(":\t")),
    );

  // CVE-2022-29162: inheritable ones let programs with inheritable file capabilities gain what the user has not.
  test("are Docker's, and none is inheritable or ambient", async () => {
    const root = masks(await ground.shell("grep ^Cap /proc/self/status"));
    const set = "00000000a80425fb";
    const none = "0000000000000000";
    expect(root).toEqual({ CapInh: none, CapPrm: set, CapEff: set, CapBnd: set, CapAmb: none });
    const other = masks(await ground.shell("grep ^Cap /proc/self/status", ["-u", "65534"]));
    expect(other).toEqual({ CapInh: none, CapPrm: none, CapEff: none, CapBnd: set, CapAmb: none });
    const added = masks(await ground.shell("grep ^Cap /proc/1/status", ["--cap-add", "SYS_PTRACE", "--init"]));
    expect(added).toEqual({
      CapInh: none,
      CapPrm: "00000000a80c25fb",
      CapEff: "00000000a80c25fb",
      CapBnd: "00000000a80c25fb",
      CapAmb: none,
    });
  });

  test("of set-user-ID programs and file capabilities stay within the bounding set, and no_new_privs stops both", async () => {
    // A security.capability of revision 2: effective, and what is permitted.
    const attribute = (low: number, high: number) => ({
      "SCHILY.xattr.security.capability": Buffer.from(new Uint32Array([0x02000001, low, 0, high, 0]).buffer).toString(
        "latin1",
      ),
    });
    const makeNodes = 1 << 27;
    const { sandbox } = ground;
    const program = join(sandbox.directory, "program");
    const copied = await ground.run([
      "-v",
      `${sandbox.directory}:/out`,
      "attack",
      "cp",
      "/bin/system-calls",
      "/out/program",
    ]);
    expect(copied.exitCode).toBe(0);
    const content = readFileSync(program);
    const layers = [
      [
        { name: "setuid", mode: 0o4755, content },
        { name: "maker", mode: 0o755, content, pax: attribute(makeNodes, 0) },
        { name: "mighty", mode: 0o755, content, pax: attribute(0xffffffff, 0x1ff) },
      ],
    ];
    await ground.load("setuid", { layers });
    const run = async (flags: string[], path: string) => {
      const calls: Call[] = [["geteuid"], ["setuid", 0], ["mknodat", here, "/dev/shm/x", 0o020666, 0x103]];
      const words = ["-u", "65534", ...flags, "setuid", path, ...callWords(calls).slice(1)];
      const { stdout, exitCode } = await ground.run(words);
      return exitCode === 0 ? callResults(stdout) : exitCode;
    };
    expect(await run([], "/setuid")).toEqual(["0", "0", "0"]);
    const guarded = ["--security-opt", "no-new-privileges"];
    expect(await run(guarded, "/setuid")).toEqual(["65534", "EPERM", "EPERM"]);
    expect(await run([], "/maker")).toEqual(["65534", "EPERM", "0"]);
    expect(await run(guarded, "/maker")).toEqual(["65534", "EPERM", "EPERM"]);
    expect(await run(["--cap-drop", "ALL"], "/setuid")).toEqual(["0", "0", "EPERM"]);
    // More than the bounding set cannot be had: the kernel refuses to execute the file rather than give less.
    expect(await run([], "/mighty")).toBe(126);
  });
});

describe.skipIf(!canAttack)("the host", () => {
  test("has no processes, users or names that a container sees", async () => {
    const host = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length;
    expect(host).toBeGreaterThan(5);
    const [namespaces = "", hostname = ""] = (
      await ground.shell(
        "for n in mnt pid uts ipc net; do readlink /proc/self/ns/$n; done | tr '\\n' ' '; echo; hostname",
      )
    ).split("\n");
    for (const name of ["mnt", "pid", "uts", "ipc", "net"]) {
      expect(namespaces).not.toContain(readlinkSync(`/proc/self/ns/${name}`));
    }
    expect(hostname).toMatch(/^[0-9a-f]{12}$/);
  });

  test("shares neither shared memory nor message queues nor keys", async () => {
    const made = await ground.calls([
      ["shmget", 0x60c6e5, 4096, 0o1600],
      ["mq_open", "gocker-test", 0o102, 0o600, 0],
    ]);
    expect(made.every((result) => /^\d+$/.test(result))).toBe(true);
    expect(readFileSync("/proc/sysvipc/shm", "utf8")).not.toContain(String(0x60c6e5));
    expect(existsSync("/dev/mqueue/gocker-test")).toBe(false);
    expect(await ground.calls([["shmget", 0x60c6e5, 4096, 0]])).toEqual(["ENOENT"]);
  });
});

describe.skipIf(!canAttack)("abstract sockets", () => {
  const listen = (name: string): Call[] => {
    const address = Buffer.concat([Buffer.from([1, 0, 0]), Buffer.from(name)]);
    return [
      ["socket", 1, 1, 0],
      ["connect", { resultOf: 0 }, { bytes: address }, address.length],
    ];
  };

  test("of the host are out of reach with --network none, and shared with --network host, as documented", async () => {
    const name = `gocker-test-${process.pid}`;
    await using server = Bun.listen({ unix: `\0${name}`, socket: { data() {} } });
    const [, none] = await ground.calls(listen(name));
    expect(none).toBe("ECONNREFUSED");
    const { stdout } = await ground.gocker(["run", "--rm", "--network", "host", "attack", ...callWords(listen(name))]);
    expect(callResults(stdout)[1]).toBe("0");
    server.stop();
  });
});

describe.skipIf(!canAttack)("the user's terminal, without -t", () => {
  // With dev.tty.legacy_tiocsti a process can type into its controlling terminal: what it types, the user's shell runs.
  const pushInput = 0x5412;
  const takeTerminal = 0x540e;
  const linuxConsole = 0x541c;

  test("cannot be typed into", async () => {
    const calls: Call[] = [0, 1, 2].flatMap((fd): Call[] => [
      ["ioctl", fd, pushInput, "X"],
      ["ioctl", fd, takeTerminal, 1],
      ["ioctl", fd, pushInput, "X"],
      ["ioctl", fd, linuxConsole, { bytes: Uint8Array.of(3) }],
      ["openat", here, `/proc/self/fd/${fd}`, readWrite],
      ["ioctl", { resultOf: fd * 8 + 4 }, pushInput, "X"],
      ["ioctl", { resultOf: fd * 8 + 4 }, takeTerminal, 1],
      ["ioctl", { resultOf: fd * 8 + 4 }, pushInput, "X"],
    ]);
    const words = [gockerBinary(), "run", "-i", "--rm", "--network", "none", "attack", ...callWords(calls)];
    const quoted = words.map((word) => `'${word}'`).join(" ");
    let text = "";
    const child = Bun.spawn(
      // A shell of the user's, which then reads what was typed, if anything was.
      ["/bin/busybox", "sh", "-c", `${quoted}; stty -icanon min 0 time 2; echo "<$(cat)>"`],
      {
        env: { PATH: "/usr/bin:/bin", ...ground.sandbox.environment },
        terminal: { cols: 80, rows: 24, data: (_terminal, data) => void (text += Buffer.from(data).toString()) },
      },
    );
    await child.exited;
    child.terminal?.close();
    const lines = text.replaceAll("\r", "").trim().split("\n");
    expect(lines.at(-1)).toBe("<>");
    const results = callResults(lines.filter((line) => /^-?\d+$/.test(line)).join("\n"));
    expect(results).toHaveLength(calls.length);
    // Nothing but opening anew may succeed.
    expect(results.filter((result, index) => index % 8 !== 4 && /^\d/.test(result))).toEqual([]);
  });
});
