import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";

import { AttackGround, canAttack } from "../helpers/attack.ts";
import type { TarMemberInput } from "../helpers/tar.ts";

let ground: AttackGround;
beforeAll(async () => {
  if (canAttack) ground = await AttackGround.create();
});
afterAll(() => ground?.[Symbol.asyncDispose]());

const directories = (...names: string[]): TarMemberInput[] => names.map((name) => ({ name: `${name}/` }));
const link = (name: string, target: string): TarMemberInput => ({ name, type: "2", link: target });

describe.skipIf(!canAttack)("an image in the place of the kernel's files", () => {
  /** Where gocker writes settings of a new network namespace. CVE-2025-52881 */
  const settings = ["proc", "proc/sys", "proc/sys/net", "proc/sys/net/ipv4"];
  const redirected = [
    ...directories(...settings),
    link("proc/sys/net/ipv4/ip_unprivileged_port_start", "/canary"),
    link("proc/sys/net/ipv4/ping_group_range", "../../../../canary"),
    { name: "canary", content: "untouched" },
  ];

  for (const place of ["/proc", "/proc/sys", "/proc/sys/net/ipv4", "/proc/../proc/self"]) {
    test(`a volume at ${place} is refused`, async () => {
      await ground.load("volume-in-proc", { layers: [redirected], config: { Volumes: { [place]: {} } } });
      const { stdout, stderr, exitCode } = await ground.run(["volume-in-proc", "cat", "/canary"]);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
      expect(stderr).toContain("what /proc says is the kernel's to say");
    });
  }

  test("a link that leads a volume to /proc is refused", async () => {
    const layers = [[...redirected, link("data", "/proc/sys/net/ipv4")]];
    await ground.load("link-to-proc", { layers, config: { Volumes: { "/data": {} } } });
    const { stdout, stderr, exitCode } = await ground.run(["link-to-proc", "cat", "/canary"]);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    expect(stderr).toContain("/data: the image has a link there that leads to /proc/sys/net/ipv4");
  });

  test("a link in a volume that leads a mount to /proc leads below the real one", async () => {
    // The image has the directories, so that there is something to mount on before /proc is.
    await ground.load("directories-in-proc", { layers: [directories(...settings)] });
    const made = await ground.run(["-v", "trap:/v", "attack", "ln", "-s", "/proc/sys/net", "/v/link"]);
    expect(made).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    // The volume with the link is mounted first, because its path sorts first.
    const { stdout, exitCode } = await ground.run([
      "-v",
      "trap:/v",
      "-v",
      "fake:/v/link/ipv4",
      "directories-in-proc",
      "sh",
      "-c",
      "grep -c fake /proc/self/mountinfo; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
    ]);
    expect({ stdout, exitCode }).toEqual({ stdout: "1\n0\n", exitCode: 0 });
  });

  for (const name of ["proc", "sys"]) {
    for (const target of ["/tmp", "../../../../../../tmp", "/nowhere", "."]) {
      test(`/${name} as a link to ${target} is refused`, async () => {
        await ground.load("link-for-proc", { layers: [[link(name, target)]] });
        const { stdout, stderr, exitCode } = await ground.run(["link-for-proc", "true"]);
        expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
        expect(stderr).toContain(`/${name}`);
        expect(stderr).toContain("ELOOP");
      });
    }
  }

  test("a file for /proc is refused", async () => {
    await ground.load("file-for-proc", { layers: [[{ name: "proc", content: "" }]] });
    const { stderr, exitCode } = await ground.run(["file-for-proc", "true"]);
    expect(exitCode).toBe(125);
    expect(stderr).toContain("/proc");
  });

  test("single files of /proc that lxcfs gives can be replaced by the user", async () => {
    const path = `${ground.sandbox.directory}/uptime`;
    await Bun.write(path, "1.00 1.00\n");
    const { stdout } = await ground.run(["-v", `${path}:/proc/uptime:ro`, "attack", "cat", "/proc/uptime"]);
    expect(stdout).toBe("1.00 1.00\n");
    for (const place of ["/proc/self/attr", "/proc/sys/kernel/core_pattern"]) {
      const { exitCode } = await ground.run(["-v", `${path}:${place}`, "attack", "true"]);
      expect(exitCode).toBe(125);
    }
    expect((await ground.run(["--tmpfs", "/proc/sys", "attack", "true"])).exitCode).toBe(125);
  });
});

describe.skipIf(!canAttack)("masks and read-only paths", () => {
  test("cover what tells about the host, by the container's own null device and an empty directory", async () => {
    const files = await ground.shell(
      "for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/sched_debug /proc/latency_stats; do" +
        " [ ! -e $f ] || stat -c '%F %t:%T' $f; done; for d in /proc/acpi /proc/scsi /proc/asound /sys/firmware" +
        ' /sys/devices/virtual/powercap; do [ ! -d $d ] || [ -z "$(ls -A $d)" ] || echo $d is open; done',
    );
    expect(new Set(files.trimEnd().split("\n"))).toEqual(new Set(["character special file 1:3"]));
  });

  test("cover the same when the image has links in their places below /proc and /dev", async () => {
    const layers = [
      [
        ...directories("proc", "dev", "sys"),
        link("dev/null", "/proc/sysrq-trigger"),
        link("dev/console", "/proc/sys/kernel/core_pattern"),
        link("dev/pts", "/proc"),
        link("dev/shm", "../../.."),
        link("proc/kcore", "/etc/passwd"),
        link("proc/keys", "/etc/passwd"),
        link("sys/firmware", "/etc"),
      ],
    ];
    await ground.load("masked-links", { layers });
    const script = "stat -c '%F' /dev/null /dev/pts /dev/shm /proc/keys; ls /sys/firmware; cat /etc/passwd | head -n1";
    expect(await ground.shell(script, [], "masked-links")).toBe(
      "character special file\ndirectory\ndirectory\ncharacter special file\nroot:x:0:0:root:/root:/bin/sh\n",
    );
  });

  // CVE-2025-31133: masks were made of what /dev/null led to.
  for (const fake of [link("dev/null", "/proc/sys/kernel"), { name: "dev/null", type: "0", content: "fake" }]) {
    test(`are not made of the image's own /dev/null, a ${fake.type === "2" ? "link" : "file"} in a volume`, async () => {
      await ground.load("own-dev", { layers: [[...directories("dev"), fake]], config: { Volumes: { "/dev": {} } } });
      const covers = await ground.shell(
        "stat -c '%F %t:%T' /proc/keys; readlink /dev/null || cat /dev/null",
        [],
        "own-dev",
      );
      expect(covers).toBe(`character special file 1:3\n${fake.type === "2" ? "/proc/sys/kernel\n" : "fake"}`);
    });
  }

  test("the kernel's settings cannot be written", async () => {
    const results = await ground.calls(
      [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/proc/bus/pci/devices",
        "/proc/fs/ext4",
        "/sys/kernel/uevent_helper",
        "/sys/power/state",
        "/sys/module/printk/parameters/time",
      ].map((path) => ["openat", -100, path, 1 /* O_WRONLY */]),
    );
    const refused = new Set(["EROFS", "ENOENT", "EACCES", "EISDIR"]);
    expect(results.filter((result) => !refused.has(result))).toEqual([]);
    expect(results[0]).toBe("EROFS");
    expect(results[3]).toBe(existsSync("/proc/sysrq-trigger") ? "EROFS" : "ENOENT");
  });

  test("the host's own sysfs stays writable", async () => {
    // Without a network namespace of its own the container's sysfs shares the host's superblock.
    const flags = () => /^\S+ \/sys sysfs (\S+)/m.exec(readFileSync("/proc/mounts", "utf8"))?.[1];
    const before = flags();
    await ground.gocker(["run", "--rm", "--network", "host", "attack", "true"]);
    expect(flags()).toBe(before);
  });

  test("the kernel's memory and log cannot be read", async () => {
    const [kcore, kmsg, mem, syslog] = await ground.calls([
      ["openat", -100, "/proc/kcore", 0],
      ["openat", -100, "/proc/kmsg", 0],
      ["openat", -100, "/dev/mem", 0],
      ["syslog", 3, { output: 16 }, 16],
    ]);
    // /proc/kcore is the null device, or this kernel has none.
    if (kcore !== "ENOENT") expect(kcore).toMatch(/^\d+$/);
    expect([kmsg, mem, syslog]).toEqual(["EPERM", "ENOENT", "EPERM"]);
  });
});
