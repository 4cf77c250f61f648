import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { buildEtcFiles, readHostEtc, writeEtcFiles } from "../../src/container/etc-files.ts";
import { readHostFacts } from "../../src/container/host-facts.ts";
import { newContainerId, shortId } from "../../src/util/ids.ts";
import { defaultSeccomp } from "../../src/container/seccomp-profile.ts";
import { serialiseSpec } from "../../src/container/serialise-spec.ts";
import { buildRuntimeSpec, containerHostname, specCapabilities } from "../../src/container/spec.ts";
import { resolveUser } from "../../src/container/user.ts";
import type { RunOptions } from "../../src/engine/options.ts";
import type { ImageConfigExecution } from "../../src/oci/image-config.ts";
import { imageConfig, runOptions } from "../helpers/container.ts";
import { isRoot, TemporaryDirectory } from "../helpers/temporary.ts";

/**
 * The specifications that gocker builds are carried out by other runtimes, which read them strictly: what these
 * containers see is what was meant.
 */
const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
const runnable = isRoot && busybox !== undefined;
if (!runnable) console.warn("spec-peers: skipped, it needs root and busybox-static");

/** crun refuses hosts with both versions of cgroups: there it runs where the unified one is hidden. */
const isHybrid = existsSync("/sys/fs/cgroup/unified/cgroup.controllers");
const hideUnified = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified && exec "$0" "$@"'];
const peers: [name: string, command: string[]][] = [
  ["runc", ["runc"]],
  ["crun", isHybrid ? [...hideUnified, "crun"] : ["crun"]],
];

let directory: TemporaryDirectory;
let rootPath: string;

beforeAll(() => {
  if (!runnable) return;
  directory = new TemporaryDirectory("peers");
  rootPath = `${directory.path}/rootfs`;
  mkdirSync(`${rootPath}/bin`, { recursive: true });
  copyFileSync(busybox, `${rootPath}/bin/busybox`);
  for (const name of ["sh", "id", "cat", "env", "grep", "hostname", "touch", "true", "pwd", "mount", "stat", "ls"]) {
    symlinkSync("busybox", `${rootPath}/bin/${name}`);
  }
  mkdirSync(`${directory.path}/bound/below`, { recursive: true });
  writeFileSync(`${directory.path}/bound/file`, "bound\n");
});
afterAll(() => directory?.[Symbol.dispose]());

const database = { passwd: "web:x:33:34::/var/www:/bin/sh\n", group: "extra:x:44:web\n" };

/** Runs a script in a container of the peer's and gives what it printed. */
async function run(peer: string[], script: string, options: Partial<RunOptions>, config: ImageConfigExecution = {}) {
  const id = newContainerId();
  const bundle = `${directory.path}/${id}`;
  mkdirSync(bundle);
  const wanted = runOptions({ words: ["sh", "-ec", script], ...options });
  const host = readHostFacts({ devices: wanted.privileged });
  const seccomp = defaultSeccomp({ ...host, capabilities: specCapabilities(wanted, host) });
  const spec = buildRuntimeSpec({
    id,
    image: imageConfig(config),
    options: wanted,
    environment: wanted.environment,
    user: resolveUser(wanted.user ?? "", wanted.groupAdd, database),
    volumes: [],
    etcFiles: writeEtcFiles(
      bundle,
      buildEtcFiles({ ...wanted, hostname: containerHostname(id, wanted) }, readHostEtc()),
    ),
    rootPath,
    host,
    ...(wanted.privileged ? {} : { seccomp }),
  });
  writeFileSync(`${bundle}/config.json`, serialiseSpec(spec));
  const process = Bun.spawn([...peer, "--root", `${directory.path}/state`, "run", "--bundle", bundle, id], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([process.stdout.text(), process.stderr.text(), process.exited]);
  rmSync(bundle, { recursive: true });
  return { id, stdout, stderr, exitCode };
}

describe.skipIf(!runnable).each(peers)("%s", (name, command) => {
  const missing = Bun.which(name) === null;
  if (missing) console.warn(`spec-peers: ${name} is not installed`);

  test.skipIf(missing)("a container without any flag", async () => {
    const script = `
      id -u; id -g; id -G; hostname; pwd; env
      grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status
      cat /etc/hostname; grep -c localhost /etc/hosts
      touch /etc/hosts /new; rm -f /new 2>/dev/null || true
      if touch /proc/sys/kernel/domainname 2>/dev/null; then echo writable; else echo read-only; fi
      [ ! -e /proc/kcore ] || cat /proc/kcore | busybox wc -c | grep -x 0 >/dev/null
      for hidden in /proc/acpi /proc/scsi /sys/firmware; do [ ! -e $hidden ] || ls -A $hidden; done
      cat /proc/sys/net/ipv4/ip_unprivileged_port_start
      busybox cat /sys/class/net/lo/operstate >/dev/null; ls /sys/class/net
      exit 7`;
    const { id, stdout, stderr, exitCode } = await run(command, script, {}, { Env: ["IMAGE=1"] });
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 7 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, 5)).toEqual(["0", "0", "0", shortId(id), "/"]);
    for (const line of [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      `HOSTNAME=${shortId(id)}`,
      "IMAGE=1",
      "HOME=/",
      "CapInh:\t0000000000000000",
      "CapPrm:\t00000000a80425fb",
      "CapEff:\t00000000a80425fb",
      "CapBnd:\t00000000a80425fb",
      "CapAmb:\t0000000000000000",
      "NoNewPrivs:\t0",
      "Seccomp:\t2",
      "read-only",
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.slice(-2)).toEqual(["0", "lo"]);
  });

  test.skipIf(missing)("flags", async () => {
    const script = `
      id -u; id -g; id -G; pwd; ulimit -n; ulimit -c; echo $HOME
      grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs):' /proc/self/status
      cat /bound/file
      if touch /bound/file 2>/dev/null; then echo writable; else echo read-only; fi
      if touch /x 2>/dev/null; then echo writable; else echo read-only; fi
      touch /tmpfs/x; grep ' /tmpfs ' /proc/mounts`;
    const { stdout, stderr, exitCode } = await run(command, script, {
      user: "web",
      groupAdd: ["55"],
      workingDirectory: "/bound",
      ulimits: [
        { name: "nofile", soft: 100, hard: 200 },
        { name: "core", soft: 0, hard: 0 },
      ],
      readOnly: true,
      noNewPrivileges: true,
      network: "host",
      capDrop: ["ALL"],
      capAdd: ["KILL"],
      mounts: [
        {
          type: "bind",
          source: `${directory.path}/bound`,
          target: "/bound",
          readOnly: true,
          createSource: false,
          recursive: true,
        },
        { type: "tmpfs", target: "/tmpfs", options: ["size=64k", "mode=1777", "exec"] },
      ],
    });
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, -1)).toEqual([
      "33",
      "34",
      "34 44 55",
      "/bound",
      "100",
      "0",
      "/var/www",
      "CapPrm:\t0000000000000000",
      "CapEff:\t0000000000000000",
      "CapBnd:\t0000000000000020",
      "NoNewPrivs:\t1",
      "bound",
      "read-only",
      "read-only",
    ]);
    const options = lines.at(-1)?.split(" ")[3]?.split(",");
    expect(options).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev", "size=64k"]));
    expect(options).not.toContain("noexec");
  });

  test.skipIf(missing)("devices: those that every program needs, and no others", async () => {
    const script = `
      for device in null zero full random urandom; do busybox head -c 1 /dev/$device >/dev/null; echo "$device $?"; done
      for device in null zero full random urandom tty; do stat -c '%n %a %t:%T' /dev/$device; done
      busybox mknod /tmp-device c 10 200; if busybox head -c 1 /tmp-device 2>/dev/null; then echo open; else echo denied; fi
      rm /tmp-device`;
    const { stdout, stderr, exitCode } = await run(command, script.replace("rm /", "busybox rm /"), {});
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout.trimEnd().split("\n")).toEqual([
      ...["null", "zero", "full", "random", "urandom"].map((device) => `${device} 0`),
      "/dev/null 666 1:3",
      "/dev/zero 666 1:5",
      "/dev/full 666 1:7",
      "/dev/random 666 1:8",
      "/dev/urandom 666 1:9",
      "/dev/tty 666 5:0",
      "denied",
    ]);
  });

  test.skipIf(missing)("privileged", async () => {
    const script = `
      grep -E '^Seccomp:' /proc/self/status
      grep -c ' /sys sysfs rw' /proc/mounts
      if busybox sh -c 'echo > /proc/sys/kernel/domainname'; then echo writable; fi
      [ "$(ls /dev | busybox wc -l)" -gt 20 ] && echo devices`;
    const { stdout, stderr, exitCode } = await run(command, script, { privileged: true });
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout.trimEnd().split("\n")).toEqual(["Seccomp:\t0", "1", "writable", "devices"]);
  });
});
