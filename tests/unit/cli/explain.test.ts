import { describe, expect, test } from "bun:test";
import { explainPlan } from "../../../src/cli/explain.ts";
import { showCall } from "../../../src/cli/explain/arguments.ts";
import { style } from "../../../src/cli/output/style.ts";
import { CLONE_NEWCGROUP, CLONE_NEWNS, CLONE_NEWPID } from "../../../src/linux/constants.ts";
import { makeDevice } from "../../../src/linux/device-number.ts";
import { type Argument, slot, type Step, words } from "../../../src/linux/launch/plan.ts";
import type { SyscallName } from "../../../src/linux/syscalls.ts";

const layout = { style: style(false), width: 100 };

function step(syscall: SyscallName, args: readonly Argument[], more: Partial<Step> = {}): Step {
  return { label: `Do ${syscall}`, group: "process", syscall, args, ...more };
}

const u64 = (...numbers: bigint[]) => new Uint8Array(new BigUint64Array(numbers).buffer);
const u32 = (...numbers: number[]) => new Uint8Array(new Uint32Array(numbers).buffer);
const root = slot("root");

/** Numbers by hand, as the kernel's headers have them: the tables must not check themselves. */
const calls: [step: Step, call: string][] = [
  [step("unshare", [0x0200_0000]), "unshare(CLONE_NEWCGROUP)"],
  [step("clone", [17, 0, 0, 0, 0]), "clone(SIGCHLD)"],
  [step("openat", [-100, "/x", 0o12000001]), 'openat(AT_FDCWD, "/x", O_PATH|O_CLOEXEC)'],
  [step("openat", [root, "x", 0o2000001], { result: slot("file") }), 'openat(‹root›, "x", O_WRONLY|O_CLOEXEC) → file'],
  [
    step("openat2", [root, "etc", u64(0o12000000n, 0n, 0x12n), 24]),
    'openat2(‹root›, "etc", {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS}, 24)',
  ],
  [
    step("openat2", [root, "f", u64(0o2000101n, 0o644n, 0x10n), 24]),
    'openat2(‹root›, "f", {flags=O_WRONLY|O_CREAT|O_CLOEXEC, mode=0644, resolve=RESOLVE_IN_ROOT}, 24)',
  ],
  [step("mkdirat", [root, "proc", 0o755]), 'mkdirat(‹root›, "proc", 0755)'],
  [step("mknodat", [root, "null", 0o020666, makeDevice(1, 3)]), 'mknodat(‹root›, "null", S_IFCHR|0666, 1:3)'],
  [
    step("mknodat", [root, "sd", 0o060660, makeDevice(4095, 1048575)]),
    'mknodat(‹root›, "sd", S_IFBLK|0660, 4095:1048575)',
  ],
  [step("mount", [0, "/", 0, 0x4000 | (1 << 18), 0]), 'mount(0, "/", 0, MS_REC|MS_PRIVATE, 0)'],
  [step("umount2", [".", 2]), 'umount2(".", MNT_DETACH)'],
  [step("fsopen", ["overlay", 1]), 'fsopen("overlay", FSOPEN_CLOEXEC)'],
  [step("fsconfig", [root, 1, "mode", "755", 0]), 'fsconfig(‹root›, FSCONFIG_SET_STRING, "mode", "755")'],
  [step("fsconfig", [root, 6, 0, 0, 0]), "fsconfig(‹root›, FSCONFIG_CMD_CREATE)"],
  [
    step("fsmount", [root, 1, 0x2e]),
    "fsmount(‹root›, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC|MOUNT_ATTR_STRICTATIME)",
  ],
  [
    step("open_tree", [-100, "/h", 0x80000 | 1 | 0x8000]),
    'open_tree(AT_FDCWD, "/h", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)',
  ],
  [
    step("move_mount", [root, "", root, "", 0x44]),
    'move_mount(‹root›, "", ‹root›, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)',
  ],
  [
    step("mount_setattr", [root, "", 0x9000, u64(1n, 0n, BigInt(1 << 18), 0n), 32]),
    'mount_setattr(‹root›, "", AT_EMPTY_PATH|AT_RECURSIVE, {set=MOUNT_ATTR_RDONLY, propagation=MS_PRIVATE}, 32)',
  ],
  [step("prctl", [38, 1, 0, 0, 0]), "prctl(PR_SET_NO_NEW_PRIVS, 1)"],
  [step("prctl", [24, 0, 0, 0, 0]), "prctl(PR_CAPBSET_DROP, CAP_CHOWN)"],
  [step("prctl", [24, 21, 0, 0, 0]), "prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)"],
  [step("prctl", [1, 9, 0, 0, 0]), "prctl(PR_SET_PDEATHSIG, SIGKILL)"],
  [step("prctl", [47, 4, 0, 0, 0]), "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)"],
  [step("prctl", [47, 2, 12, 0, 0]), "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN)"],
  [step("prctl", [4, 0, 0, 0, 0]), "prctl(PR_SET_DUMPABLE, 0)"],
  [
    step("capset", [u32(0x2008_0522, 0), u32(1, 1, 0, 1 << 8, 1 << 8, 0)]),
    "capset({version 3}, {effective=permitted=CAP_CHOWN|CAP_CHECKPOINT_RESTORE, inheritable=none})",
  ],
  [
    step("capset", [u32(0x2008_0522, 0), u32(0, 1, 0, 0, 0, 0)]),
    "capset({version 3}, {effective=none, permitted=CAP_CHOWN, inheritable=none})",
  ],
  [step("setgroups", [3, u32(0, 10, 4_000_000_000)]), "setgroups(3, [0, 10, 4000000000])"],
  [step("setgroups", [0, 0]), "setgroups(0, 0)"],
  [
    step("prlimit64", [0, 7, words(1024n, 0xffff_ffff_ffff_ffffn), 0]),
    "prlimit64(0, RLIMIT_NOFILE, {soft=1024, hard=unlimited})",
  ],
  [step("keyctl", [1, "k"]), 'keyctl(KEYCTL_JOIN_SESSION_KEYRING, "k")'],
  [
    step("seccomp", [1, 4, words(400, new Uint8Array(3200))]),
    "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, {400 instructions of BPF})",
  ],
  [step("rt_sigaction", [13, new Uint8Array(32), 0, 8]), "rt_sigaction(SIGPIPE, SIG_DFL, 0, 8)"],
  [step("rt_sigprocmask", [2, new Uint8Array(8), 0, 8]), "rt_sigprocmask(SIG_SETMASK, {no signals}, 0, 8)"],
  [step("close_range", [3, 0xffff_ffff, 4]), "close_range(3, ~0, CLOSE_RANGE_CLOEXEC)"],
  [step("dup3", [root, 0, 0o2000000]), "dup3(‹root›, 0, O_RDONLY|O_CLOEXEC)"],
  [step("ioctl", [0, 0x540e, 0]), "ioctl(0, TIOCSCTTY, 0)"],
  [
    step("ioctl", [0, 0x5414, new Uint8Array(new Uint16Array([24, 80, 0, 0]).buffer)]),
    "ioctl(0, TIOCSWINSZ, {24 rows, 80 columns})",
  ],
  [step("umask", [0o022]), "umask(0022)"],
  [step("write", [root, Buffer.from("-1000"), 5]), 'write(‹root›, "-1000", 5)'],
  [step("write", [root, new Uint8Array([0, 255]), 2]), "write(‹root›, {2 bytes}, 2)"],
  [
    step("execve", ["/bin/sh", words("sh", "-c", 'echo "a b"', 0), words("A=secret", "B=c", 0)]),
    'execve("/bin/sh", ["sh", "-c", "echo \\"a b\\""], {2 variables})',
  ],
  [
    step("mount_setattr", [root, "", 0x4000_0000, u64(0n, 0n, 0n, 0n), 32]),
    'mount_setattr(‹root›, "", 0x40000000, {}, 32)',
  ],
  [step("setsid", []), "setsid()"],
];

describe("system calls in words", () => {
  test.each(calls.map(([one, call]) => [call, one] as const))("%s", (call, one) => {
    expect(showCall(one)).toBe(call);
  });
});

describe("a plan", () => {
  const id = "0123456789ab".padEnd(64, "0");
  const steps: Step[] = [
    step("unshare", [CLONE_NEWCGROUP], { group: "namespaces" }),
    step("openat2", [root, "proc", u64(0o10000000n, 0n, 0n), 24], {
      group: "file system",
      label: "Find /proc",
      onError: { tolerate: ["ENOENT"] },
      onSuccess: { skip: 2 },
    }),
    step("mkdirat", [root, "proc", 0o755], { group: "file system", label: "Make the directory /proc" }),
    step("openat", [root, "proc", 0], { group: "file system", label: "Open /proc" }),
    step("keyctl", [1, `gocker.${id}`], { group: "security", label: `Begin the keyring ${id}` }),
    step("setsid", [], { group: "file system" }),
    step("execve", ["/x\u001b[2J", words("x", 0), words(0)]),
  ];
  const clone = { flags: BigInt(CLONE_NEWNS | CLONE_NEWPID) };

  test("before it is run: every step in order, with headings where the subject changes", () => {
    const text = explainPlan({ clone, steps }, layout);
    expect(text).toStartWith("A container in 8 system calls\n\nbirth");
    expect(text).toContain("clone3({flags=CLONE_NEWNS|CLONE_NEWPID})\n");
    expect(text.match(/^(own|shared| +(own|shared)) +\w+/gm)?.map((line) => line.trim().replace(/ +/, " "))).toEqual([
      "own mount",
      "own pid",
      "shared uts",
      "shared ipc",
      "shared network",
      "own cgroup",
      "shared user",
    ]);
    expect(text.match(/^[a-z][a-z ]*(?=:|$)/gm)).toEqual([
      "birth",
      "namespaces",
      "file system",
      "security",
      "file system",
      "process",
    ]);
    expect(text).toContain("   2   Find /proc\n");
    expect(text.replace(/\s+/g, " ")).toContain("// ENOENT may happen; success leaves out the next 2");
    expect(text).not.toContain("µs");
  });

  test("a network that was made before is its own, and how it was made is told", () => {
    const attachment = {
      device: "eth0",
      port: "veth01234567",
      network: "blue",
      hardwareAddress: "02:42:0a:4e:00:02",
      addresses: ["10.78.0.2/24", "fd00::2/64"],
      gateways: ["10.78.0.1"],
    };
    const text = explainPlan({ clone, steps, attachments: [attachment] }, layout);
    expect(text).toContain("own     network   its own interfaces, addresses and ports\n");
    const oneLine = text.replace(/\s+/g, " ");
    for (const deed of [
      "unshare(CLONE_NEWNET)",
      "eth0 in there, and what comes out of it at a port of the bridge of network blue",
      "{RTM_NEWADDR: eth0, 10.78.0.2/24}",
      "{RTM_NEWADDR: eth0, fd00::2/64}",
      "Send everything else to the host, 10.78.0.1",
    ]) {
      expect(oneLine).toContain(deed);
    }
    expect(explainPlan({ clone, steps, attachments: [] }, layout)).toBe(explainPlan({ clone, steps }, layout));
  });

  test("IDs are short, and nothing moves the cursor", () => {
    const text = explainPlan({ clone, steps }, layout);
    expect(text).toContain("Begin the keyring 0123456789ab…\n");
    expect(text).toContain('"gocker.0123456789ab…"');
    expect(text).not.toContain(id);
    expect(text).not.toContain("\u001b");
  });

  test("after it was run: times, what was not needed, and where the time went", () => {
    const text = explainPlan({ clone, steps, times: [5000, 0, 0, 0, 700, 1_500_000, 2000] }, layout);
    expect(text).toStartWith("A container in 6 system calls, 1.51 ms from the first step to the last\n");
    expect(text).toMatch(/^ {3}1 {3}Do unshare {10,}5 µs$/m);
    expect(text).toMatch(/^ {3}2 {3}Find \/proc$/m);
    expect(text).toContain("       not needed: make the directory /proc; open /proc\n");
    expect(text).not.toContain("mkdirat(");
    expect(text).toMatch(/^ +1.5 ms {3}file system$/m);
    expect(text).toMatch(/the slowest steps\n +1.5 ms {3}6 {2}Do setsid\n +5 µs {3}1 {2}Do unshare\n/);
  });

  test("no line is wider than the window, where words allow it", () => {
    for (const width of [60, 80, 120]) {
      const text = explainPlan({ clone, steps, times: steps.map(() => 1000) }, { ...layout, width });
      for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(Math.max(width, 80));
    }
  });

  test("colour changes nothing but the looks", () => {
    const plan = { clone, steps, times: [5000, 0, 0, 0, 700, 1_500_000, 2000] };
    const coloured = explainPlan(plan, { ...layout, style: style(true) });
    expect(Bun.stripANSI(coloured)).toBe(explainPlan(plan, layout));
  });
});
