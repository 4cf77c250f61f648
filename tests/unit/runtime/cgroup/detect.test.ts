import { describe, expect, test } from "bun:test";
import { type CgroupHost, findCgroups, parseProcCgroup } from "../../../../src/runtime/cgroup/detect.ts";

/** A hierarchy in one line, as the tests compare it. */
function summary(host: CgroupHost): { v1: string[]; v2: string | undefined } {
  return {
    v1: host.v1.map(({ controllers, directory, mountPoint }) => `${directory} [${controllers}] ${mountPoint}`).sort(),
    v2: host.v2,
  };
}

const base = `
22 28 0:20 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
23 28 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
`.trim();

const debian12 = {
  mountinfo: `${base}
29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
30 23 0:27 / /sys/fs/pstore rw,nosuid,nodev,noexec,relatime shared:10 - pstore pstore rw`,
  cgroup: "0::/user.slice/user-1000.slice/session-4.scope\n",
};

const ubuntu18 = {
  mountinfo: `${base}
29 23 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
31 29 0:27 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,name=systemd
34 29 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,cpu,cpuacct
35 29 0:31 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,net_cls,net_prio
36 29 0:32 / /sys/fs/cgroup/devices rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,devices
37 29 0:33 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:18 - cgroup cgroup rw,memory`,
  cgroup: `11:net_cls,net_prio:/
9:memory:/user.slice
7:cpu,cpuacct:/user.slice
4:devices:/user.slice
3:perf_event:/
1:name=systemd:/user.slice/user-1000.slice/session-1.scope
`,
};

describe("findCgroups", () => {
  test("version 2 alone, as Debian 12 has it", () => {
    expect(findCgroups(debian12.mountinfo, debian12.cgroup)).toEqual({ v1: [], v2: "/sys/fs/cgroup" });
  });

  test("version 1 alone, with controllers that share a hierarchy; one that is not mounted is left out", () => {
    expect(summary(findCgroups(ubuntu18.mountinfo, ubuntu18.cgroup))).toEqual({
      v1: [
        "cpu,cpuacct [cpu,cpuacct] /sys/fs/cgroup/cpu,cpuacct",
        "devices [devices] /sys/fs/cgroup/devices",
        "memory [memory] /sys/fs/cgroup/memory",
        "net_cls,net_prio [net_cls,net_prio] /sys/fs/cgroup/net_cls,net_prio",
        "systemd [] /sys/fs/cgroup/systemd",
      ],
      v2: undefined,
    });
  });

  test("hybrid, with the unified hierarchy beside the others", () => {
    const mountinfo = `${ubuntu18.mountinfo}
30 29 0:26 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup rw,nsdelegate`;
    const host = findCgroups(mountinfo, `${ubuntu18.cgroup}0::/user.slice/user-1000.slice/session-1.scope\n`);
    expect(host.v2).toBe("/sys/fs/cgroup/unified");
    expect(host.v1).toHaveLength(5);
  });

  test("the order of controllers in mountinfo need not be that of /proc/self/cgroup", () => {
    const mountinfo = `${base}
33 23 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpuacct,cpu`;
    expect(summary(findCgroups(mountinfo, "4:cpu,cpuacct:/\n")).v1).toEqual([
      "cpu,cpuacct [cpu,cpuacct] /sys/fs/cgroup/cpu,cpuacct",
    ]);
  });

  test("WSL 2 with a cgroup2 mounted over the older hierarchies: those cannot be reached any more", () => {
    const mountinfo = `
64 1 8:32 / / rw,relatime - ext4 /dev/sdc rw
71 64 0:58 / /sys rw,nosuid,nodev,noexec,noatime - sysfs sysfs rw
76 71 0:63 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:27 - tmpfs tmpfs ro,size=4096k,nr_inodes=1024,mode=755
77 76 0:21 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:28 - cgroup2 cgroup2 rw,nsdelegate
78 76 0:54 / /sys/fs/cgroup/cpuset rw,nosuid,nodev,noexec,relatime shared:31 - cgroup cgroup rw,cpuset
79 76 0:55 / /sys/fs/cgroup/cpu rw,nosuid,nodev,noexec,relatime shared:35 - cgroup cgroup rw,cpu
95 76 0:21 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw,nsdelegate`.trim();
    const cgroup = "2:cpu:/\n1:cpuset:/\n0::/init.scope\n";
    expect(findCgroups(mountinfo, cgroup)).toEqual({ v1: [], v2: "/sys/fs/cgroup" });
    const before = mountinfo.split("\n").slice(0, -1).join("\n");
    expect(summary(findCgroups(before, cgroup))).toEqual({
      v1: ["cpu [cpu] /sys/fs/cgroup/cpu", "cpuset [cpuset] /sys/fs/cgroup/cpuset"],
      v2: "/sys/fs/cgroup/unified",
    });
  });

  test("inside of a container of version 1, whose mounts show its own cgroup, read-only", () => {
    const mountinfo = `
812 700 0:140 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
815 812 0:145 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
816 815 0:146 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
817 816 0:33 /docker/0123abc /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:18 - cgroup cgroup rw,memory`.trim();
    expect(summary(findCgroups(mountinfo, "9:memory:/docker/0123abc\n"))).toEqual({
      v1: ["memory [memory] /sys/fs/cgroup/memory"],
      v2: undefined,
    });
  });

  test("inside of a privileged container with its own cgroup namespace", () => {
    const mountinfo = `
486 477 0:146 / / rw,relatime - overlay overlay rw
487 486 0:149 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw
488 487 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate`.trim();
    expect(findCgroups(mountinfo, "0::/\n")).toEqual({ v1: [], v2: "/sys/fs/cgroup" });
  });

  test("of two mounts of one hierarchy the writable one is used, then the one at the usual place", () => {
    const mounts = (first: string, second: string) => `${base}
40 23 0:33 / ${first} - cgroup cgroup rw,memory
41 28 0:33 / ${second} - cgroup cgroup rw,memory`;
    const place = (mountinfo: string) => findCgroups(mountinfo, "9:memory:/\n").v1[0]?.mountPoint;
    expect(place(mounts("/sys/fs/cgroup/memory ro,relatime", "/cgroup/memory rw,relatime"))).toBe("/cgroup/memory");
    expect(place(mounts("/sys/fs/cgroup/memory rw,relatime", "/cgroup/memory rw,relatime"))).toBe(
      "/sys/fs/cgroup/memory",
    );
  });

  test("a hierarchy that is mounted elsewhere has its usual name in the container", () => {
    const mountinfo = `${base}
40 28 0:33 / /dev/cg\\040roup/x rw,relatime - cgroup cgroup rw,name=elogind
41 28 0:34 / /acct rw,relatime - cgroup cgroup rw,cpu,cpuacct`;
    expect(summary(findCgroups(mountinfo, "2:name=elogind:/\n1:cpu,cpuacct:/\n")).v1).toEqual([
      "cpu,cpuacct [cpu,cpuacct] /acct",
      "elogind [] /dev/cg roup/x",
    ]);
  });

  test("nothing is mounted", () => {
    expect(findCgroups(base, "3:cpu:/\n0::/\n")).toEqual({ v1: [], v2: undefined });
    expect(findCgroups("", "")).toEqual({ v1: [], v2: undefined });
  });
});

test("a path of /proc/self/cgroup may hold colons", () => {
  expect(parseProcCgroup("12:cpu,cpuacct:/a:b/c\n1:name=systemd:/\n0::/x y\n")).toEqual([
    { hierarchyId: 12, subsystems: ["cpu", "cpuacct"], path: "/a:b/c" },
    { hierarchyId: 1, subsystems: ["name=systemd"], path: "/" },
    { hierarchyId: 0, subsystems: [], path: "/x y" },
  ]);
});
