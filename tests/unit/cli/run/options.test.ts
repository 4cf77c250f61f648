import { describe, expect, test } from "bun:test";
import { runFlags } from "../../../../src/cli/commands/run/flags.ts";
import { runOptions } from "../../../../src/cli/commands/run/options.ts";
import { parseFlags } from "../../../../src/cli/flags.ts";
import type { RunOptions } from "../../../../src/engine/options.ts";
import { GockerError } from "../../../../src/util/errors.ts";
import { runOptions as plainOptions } from "../../../helpers/container.ts";

/** What `gocker run` with these words asks for. */
function options(...words: string[]): RunOptions {
  const { flags, operands } = parseFlags(words, runFlags, { command: "run", stopAtOperand: true });
  const [image = "", ...rest] = operands;
  return runOptions(flags, [image, ...rest], { currentDirectory: "/here/now", asDocker: false, network: "bridge" });
}

const defaults = plainOptions({ network: "connected", networks: [{ network: "bridge" }] });

test("what is said twice with -v is said once", () => {
  const { mounts } = options("-v", "/a:/b", "-v", "/a:/b", "-v", "/a:/b:ro", "alpine");
  const bind = { type: "bind", source: "/a", target: "/b", createSource: true, recursive: true };
  expect(mounts as unknown[]).toEqual([
    { ...bind, readOnly: false },
    { ...bind, readOnly: true },
  ]);
});

test("the streams that are shown", () => {
  expect(options("-a", "STDIN", "--attach=stderr", "alpine").attach).toEqual(["stdin", "stderr"]);
  expect(() => options("-a", "x", "alpine")).toThrow('invalid --attach "x": it is stdin, stdout or stderr');
  expect(() => options("-d", "-a", "stdout", "alpine")).toThrow("-a conflicts with -d");
});

test("the flags that few containers have", () => {
  const words =
    "--network none --ipc shareable --pid container:web --uts host --cgroupns private --userns host " +
    "--stop-timeout -1 --device /dev/fuse --device /dev/sda:/dev/../dev/xvda:r --device /dev/kvm:rw --device /dev/a: " +
    "--sysctl net.ipv4.ip_forward=1 --sysctl kernel.sem=1=2 --annotation a=b=c --annotation d= --dns-search . " +
    "--dns-option ndots:2 --dns-opt rotate --expose 80 --expose 53-54/UDP --expose 80/tcp --log-opt max-size=1m " +
    "--health-cmd curl --health-interval 1m30s --health-timeout 500ms --health-retries 5 --health-start-period 0s " +
    "--security-opt systempaths=unconfined --security-opt writable-cgroups --security-opt apparmor=own";
  const rules = ["--device-cgroup-rule", "c 189:* rw", "--device-cgroup-rule", "a *:* rwm"];
  expect(options(...words.split(" "), ...rules, "alpine")).toStrictEqual({
    ...plainOptions({ network: "none" }),
    ipc: "shareable",
    pid: { container: "web" },
    uts: "host",
    cgroupns: "private",
    stopTimeout: -1,
    devices: [
      { source: "/dev/fuse", target: "/dev/fuse", access: "rwm" },
      { source: "/dev/sda", target: "/dev/xvda", access: "r" },
      { source: "/dev/kvm", target: "/dev/kvm", access: "rw" },
      { source: "/dev/a", target: "/dev/a", access: "rwm" },
    ],
    deviceRules: [
      { allow: true, type: "c", major: 189, access: "rw" },
      { allow: true, type: "a", access: "rwm" },
    ],
    sysctls: { "net.ipv4.ip_forward": "1", "kernel.sem": "1=2" },
    annotations: { a: "b=c", d: "" },
    dnsSearch: ["."],
    dnsOptions: ["ndots:2", "rotate"],
    exposedPorts: ["80/tcp", "53/udp", "54/udp"],
    log: { driver: "json-file", options: { "max-size": "1m" } },
    healthcheck: {
      test: ["CMD-SHELL", "curl"],
      interval: 90e9,
      timeout: 500e6,
      startPeriod: 0,
      retries: 5,
    },
    unconfinedPaths: true,
    writableCgroups: true,
    apparmorProfile: "own",
  });
});

describe("networks of gocker's", () => {
  const networks = (...words: string[]) => options(...words, "alpine").networks;

  test("one, several, and what a container wants there", () => {
    expect(networks("--network", "blue")).toEqual([{ network: "blue" }]);
    expect(networks("--network", "", "--network", "blue", "--net", "green")).toEqual([
      { network: "blue" },
      { network: "green" },
    ]);
    expect(
      networks(
        ..."--network blue --network name=green,alias=w,ip=10.0.0.9,gw-priority=-2 --network-alias web".split(" "),
        ..."--ip 10.1.0.5 --ip6 FD00::5 --mac-address 02-42-C0-A8-00-05".split(" "),
      ),
    ).toEqual([
      { network: "blue", aliases: ["web"], ipv4: "10.1.0.5", ipv6: "fd00::5", hardwareAddress: "02:42:c0:a8:00:05" },
      { network: "green", aliases: ["w"], ipv4: "10.0.0.9", gatewayPriority: -2 },
    ]);
  });

  test.each([
    [["--network", "blue", "--network", "host"], /host is no network of gocker's/],
    [["--network", "none", "--network", "blue"], /none is no network of gocker's/],
    [["--network", "blue", "--network", "blue"], /blue is given twice/],
    [["--network", "host", "--ip", "10.0.0.5"], /--ip conflicts with --network host/],
    [["--network", "container:web", "-p", "80"], /--publish conflicts with --network container/],
  ])("%p is refused", (words, message) => {
    expect(() => options(...words, "alpine")).toThrow(message);
  });
});

test("published ports", () => {
  const ports = (text: string) => options("-p", text, "alpine").ports;
  const port = { protocol: "tcp", containerPort: 80 } as const;
  expect(ports("80")).toEqual([port]);
  expect(ports("0:80")).toEqual([port]);
  expect(ports("8080:80/UDP")).toEqual([{ ...port, protocol: "udp", hostPorts: { first: 8080, last: 8080 } }]);
  expect(ports("127.0.0.1:8080:80")).toEqual([
    { ...port, hostAddress: "127.0.0.1", hostPorts: { first: 8080, last: 8080 } },
  ]);
  expect(ports("127.0.0.1::80")).toEqual([{ ...port, hostAddress: "127.0.0.1" }]);
  expect(ports("[::ffff:127.0.0.1]::80")).toEqual([{ ...port, hostAddress: "127.0.0.1" }]);
  expect(ports("[::1]:8080:80")).toEqual([{ ...port, hostAddress: "::1", hostPorts: { first: 8080, last: 8080 } }]);
  expect(ports("8000-8010:80")).toEqual([{ ...port, hostPorts: { first: 8000, last: 8010 } }]);
  expect(ports("8000-8001:80-81")).toEqual([
    { ...port, hostPorts: { first: 8000, last: 8000 } },
    { ...port, containerPort: 81, hostPorts: { first: 8001, last: 8001 } },
  ]);
  expect(ports("80-81")).toEqual([port, { ...port, containerPort: 81 }]);
});

test("networks that are somebody else's", () => {
  expect(options("--network", "container:web", "alpine").network).toEqual({ container: "web" });
  expect(options("--network", "ns:/run/netns/blue", "alpine").network).toEqual({ path: "/run/netns/blue" });
});

test("a health check is switched off, and not changed at the same time", () => {
  expect(options("--no-healthcheck", "alpine").healthcheck).toEqual({ test: ["NONE"] });
  expect(() => options("--no-healthcheck", "--health-retries", "2", "alpine")).toThrow(
    "--no-healthcheck conflicts with the --health-… flags",
  );
});

test.each([
  ["--hostname conflicts with --network container:…", "--network container:web -h box"],
  ["--add-host …:host-gateway is for containers that are connected", "--network none --add-host a:host-gateway"],
  ["--dns-search conflicts with --network container:…", "--network container:web --dns-search a"],
  ["--add-host conflicts with --network container:…", "--network container:web --add-host a:1.2.3.4"],
  ["--expose conflicts with --network container:…", "--network container:web --expose 80"],
  ["--hostname conflicts with --uts host", "--uts host -h box"],
  ["--domainname conflicts with --uts host", "--uts host --domainname example.org"],
  ["--init conflicts with --pid", "--init --pid host"],
  ["--sysctl kernel.sem cannot be set with --ipc host", "--ipc host --sysctl kernel.sem=1"],
])("%s", (message, words) => {
  expect(() => options(...words.split(" "), "alpine")).toThrow(message);
});

test("without flags everything is at its default, and nothing else is there", () => {
  expect(options("alpine")).toStrictEqual(defaults);
});

test("every flag at once", () => {
  const words =
    "-i -t --rm --init --detach-keys ctrl-x --name web -h box -l a=b=c --label d --cidfile id --platform linux/arm64 --pull always -q " +
    "-e A=b -e C --env-file env -u 1000:users -w /srv --group-add wheel --group-add 10 --ulimit nofile=1:2 " +
    "--stop-signal TERM --entrypoint /bin/x -v data:/data:ro --mount type=tmpfs,target=/m --tmpfs /t:size=1m " +
    "--read-only --network none --add-host db:10.0.0.1 --dns 1.1.1.1 --cap-add net_admin --cap-drop ALL --privileged " +
    "--security-opt no-new-privileges --security-opt seccomp=p.json -m 64m --cpus 1.5 --shm-size 1m " +
    "--oom-score-adj 5 --cgroup-parent /batch --explain=only alpine:3 sh -c x";
  expect(options(...words.split(" "))).toStrictEqual({
    image: "alpine:3",
    words: ["sh", "-c", "x"],
    dockerWords: false,
    entrypoint: "/bin/x",
    interactive: true,
    terminal: true,
    remove: true,
    init: true,
    detach: false,
    detachKeys: new Uint8Array([24]),
    name: "web",
    hostname: "box",
    labels: { a: "b=c", d: "" },
    cidFile: "id",
    platform: "linux/arm64",
    pull: "always",
    quiet: true,
    environment: ["A=b", "C"],
    environmentFiles: ["env"],
    user: "1000:users",
    groupAdd: ["wheel", "10"],
    workingDirectory: "/srv",
    ulimits: [{ name: "nofile", soft: 1, hard: 2 }],
    stopSignal: "TERM",
    mounts: [
      { type: "volume", name: "data", target: "/data", readOnly: true, noCopy: false },
      { type: "tmpfs", target: "/m", options: [] },
      { type: "tmpfs", target: "/t", options: ["size=1m"] },
    ],
    readOnly: true,
    network: "none",
    addHosts: [{ name: "db", address: "10.0.0.1" }],
    dns: ["1.1.1.1"],
    capAdd: ["net_admin"],
    capDrop: ["ALL"],
    privileged: true,
    noNewPrivileges: true,
    seccomp: { file: "/here/now/p.json" },
    resources: { memory: 64 * 2 ** 20, cpus: 1.5 },
    oomScoreAdj: 5,
    shmSize: 2 ** 20,
    cgroupParent: "/batch",
    explain: "only",
  });
});

test("what goes on by itself cannot be shown step by step, and keys must be keys", () => {
  expect(options("-d", "alpine").detach).toBe(true);
  expect(() => options("-d", "--explain=only", "alpine")).toThrow("leave out -d");
  expect(() => options("--detach-keys", "ctrl-", "alpine")).toThrow("is no key");
  expect(options("--sig-proxy=false", "alpine").keepSignals).toBe(true);
  expect(options("--sig-proxy", "alpine")).not.toHaveProperty("keepSignals");
  expect(() => options("--explain", "-a", "stdout", "alpine")).toThrow("leave out --attach and --sig-proxy");
});

test("words after the image are handed on as they are", () => {
  expect(options("alpine", "--", "-x", "--help", "--rm", "").words).toEqual(["--", "-x", "--help", "--rm", ""]);
});

test("a given but empty value counts as not given, except for --entrypoint", () => {
  const words = ["--name=", "-h", "", "--cidfile=", "--platform=", "-u", "", "-w", "", "--stop-signal="];
  expect(options(...words, "alpine")).toStrictEqual(defaults);
  expect(options("--entrypoint", "", "alpine").entrypoint).toBe("");
});

test("a label named __proto__ is a label", () => {
  expect(Object.entries(options("-l", "__proto__=x", "alpine").labels)).toEqual([["__proto__", "x"]]);
});

const understood: [flag: string, value: string, expected: Partial<RunOptions>][] = [
  ["--ulimit", "nofile=1024", { ulimits: [{ name: "nofile", soft: 1024, hard: 1024 }] }],
  ["--ulimit", "core=-1", { ulimits: [{ name: "core", soft: -1, hard: -1 }] }],
  ["--ulimit", "core=0:-1", { ulimits: [{ name: "core", soft: 0, hard: -1 }] }],
  ["--ulimit", "memlock=unlimited", { ulimits: [{ name: "memlock", soft: -1, hard: -1 }] }],
  ["--ulimit", "NPROC=5:6", { ulimits: [{ name: "nproc", soft: 5, hard: 6 }] }],
  ["--add-host", "a=1.2.3.4", { addHosts: [{ name: "a", address: "1.2.3.4" }] }],
  ["--add-host", "a:::1", { addHosts: [{ name: "a", address: "::1" }] }],
  ["--add-host", "a=[fe80::1]", { addHosts: [{ name: "a", address: "fe80::1" }] }],
  ["--dns", "2001:db8::1", { dns: ["2001:db8::1"] }],
  ["--dns", "::ffff:1.2.3.4", { dns: ["::ffff:1.2.3.4"] }],
  ["--cap-add", "CAP_SYS_PTRACE", { capAdd: ["CAP_SYS_PTRACE"] }],
  ["--cap-drop", "all", { capDrop: ["all"] }],
  ["--stop-signal", "SIGRTMIN+3", { stopSignal: "SIGRTMIN+3" }],
  ["--stop-signal", "9", { stopSignal: "9" }],
  ["--name", "/web", { name: "web" }],
  ["--security-opt", "no-new-privileges=false", { noNewPrivileges: false }],
  ["--security-opt", "no-new-privileges:true", { noNewPrivileges: true }],
  ["--security-opt", "seccomp=unconfined", { seccomp: "unconfined" }],
  ["--security-opt", "seccomp:unconfined", { seccomp: "unconfined" }],
  ["--security-opt", "seccomp=/etc/a:b.json", { seccomp: { file: "/etc/a:b.json" } }],
  ["--security-opt", "seccomp=builtin", { seccomp: "default" }],
  ["--security-opt", "apparmor=unconfined", {}],
  ["--security-opt", "label=disable", {}],
  ["--tmpfs", "/run", { mounts: [{ type: "tmpfs", target: "/run", options: [] }] }],
  [
    "--tmpfs",
    "/run:ro,noexec,size=50%,mode=1777,uid=0",
    { mounts: [{ type: "tmpfs", target: "/run", options: ["ro", "noexec", "size=50%", "mode=1777", "uid=0"] }] },
  ],
  ["--env", "A==", { environment: ["A=="] }],
  ["--explain", "alpine", { explain: "run", image: "alpine" }],
];

test.each(understood)("%s %s", (flag, value, expected) => {
  const words = flag === "--explain" ? [flag, value] : [flag, value, "alpine"];
  expect(options(...words)).toStrictEqual({ ...defaults, ...expected });
});

const refused: [flag: string, value: string, message: string | RegExp][] = [
  ["--ulimit", "nofile", 'invalid --ulimit "nofile": it is not of the form NAME=SOFT[:HARD]'],
  ["--ulimit", "nofile=a", /it is not of the form/],
  ["--ulimit", "nofile=1:2:3", /it is not of the form/],
  ["--ulimit", "nofile=", /it is not of the form/],
  ["--ulimit", "foo=1", /foo/],
  ["--ulimit", "nofile=2:1", /soft limit/],
  ["--ulimit", "nofile=-1:5", /soft limit/],
  ["--add-host", "a", 'invalid --add-host "a": it is not of the form NAME:ADDRESS'],
  ["--add-host", ":1.2.3.4", /not of the form/],
  ["--add-host", "a b:1.2.3.4", /not of the form/],
  ["--add-host", "a:1.2.3", /"1.2.3" is not an IP address/],
  ["--add-host", "a:1.2.3.4\n6.6.6.6 bank", /is not an IP address/],
  ["--dns", "dns.example.com", 'invalid --dns "dns.example.com": it is not an IP address'],
  ["--dns", "1.2.3.04", /not an IP address/],
  ["--dns", "1.2.3.256", /not an IP address/],
  ["--dns", "fe80::1%eth0", /not an IP address/],
  ["--dns", "", /not an IP address/],
  ["--cap-add", "FLY", 'invalid --cap-add "FLY": there is no such capability'],
  ["--cap-drop", "", /there is no such capability/],
  ["--stop-signal", "FOO", 'invalid --stop-signal "FOO": there is no such signal'],
  ["--stop-signal", "0", /there is no such signal/],
  ["--stop-signal", "65", /there is no such signal/],
  ["--name", "a", /invalid container name "a"/],
  ["--name", "-a", /invalid container name/],
  ["--name", "a/b", /invalid container name/],
  ["--workdir", "srv", 'invalid --workdir "srv": it is not an absolute path'],
  ["--hostname", "x".repeat(65), /it has more than 64 bytes/],
  ["--hostname", "a b", /white space/],
  ["--network", "name=web,ip=1.2.3", /"1.2.3": it is no address of IPv4/],
  ["--network", "alias=web", /it has no name=NETWORK/],
  ["--network", "name=web,size=3", /"size=3" is no field of it/],
  ["--ip", "10.0.0.5", /--ip is for others/],
  ["--network-alias", "web", /--network-alias is for others/],
  ["--mac-address", "01:42:c0:a8:00:05", /no hardware address of one device/],
  ["--mac-address", "ff:ff:ff:ff:ff:ff", /no hardware address of one device/],
  ["--mac-address", "00:00:00:00:00:00", /no hardware address of one device/],
  ["--network", "name=web,gw-priority=1.5", 'invalid --network gw-priority "1.5": it is no whole number'],
  ["--network", "name=web,gw-priority=4294967296", /it is no whole number/],
  ["--network", "name=web,mac-address=00-00-00-00-00-00", /no hardware address of one device/],
  ["--publish", "80:", /"" is no port/],
  ["--publish", "8000-8001:80-83", /not of one length/],
  ["--publish", "80/xyz", /none of the protocols/],
  ["--publish", "a:80:80", /"a" is no IP address/],
  ["--publish", "255.255.255.255:80:80", /"255.255.255.255" is the broadcast address, and none of the host alone/],
  ["--publish", "224.0.0.1:80:80/udp", /"224.0.0.1" is a multicast address, and none of the host alone/],
  ["--publish", "239.255.255.255::80", /a multicast address/],
  ["--publish", "[::ffff:224.0.0.1]:80:80", /a multicast address/],
  ["--publish", "[ff02::1]:80:80", /"ff02::1" is a multicast address/],
  ["--publish", "65536", /no port/],
  ["--publish", "90-80", /ends before it begins/],
  ["--env", "", 'invalid --env "": its name is empty'],
  ["--env", "=x", 'invalid --env "=x": its name is empty'],
  ["--label", "", 'invalid --label "": its name is empty'],
  ["--label", "=x", 'invalid --label "=x": its name is empty'],
  ["--group-add", "", "--group-add is empty"],
  ["--security-opt", "foo", 'invalid --security-opt "foo": there is no such option'],
  ["--security-opt", "", /there is no such option/],
  ["--security-opt", "seccomp", /seccomp needs a value/],
  ["--security-opt", "no-new-privileges=maybe", /no-new-privileges is true or false/],
  ["--security-opt", "apparmor=", /apparmor needs the name of a profile/],
  ["--security-opt", "label=type:x", /gocker gives files no SELinux labels/],
  ["--security-opt", "systempaths=all", /systempaths can only be unconfined/],
  ["--security-opt", "writable-cgroups=maybe", /writable-cgroups is true or false/],
  ["--ipc", "shared", 'invalid --ipc "shared"'],
  ["--ipc", "container:", /it names no container/],
  ["--pid", "none", 'invalid --pid "none"'],
  ["--pid", "container", /it names no container/],
  ["--uts", "none", 'invalid --uts "none"'],
  ["--cgroupns", "container:web", 'invalid --cgroupns "container:web"'],
  ["--userns", "keep-id", /gocker run makes no user namespaces yet/],
  ["--network", "container:", /it names no container/],
  ["--network", "ns:run/x", /"run\/x" is not an absolute path/],
  ["--domainname", "a b", 'invalid --domainname "a b"'],
  ["--stop-timeout", "soon", 'invalid --stop-timeout "soon": it is not a number of seconds'],
  ["--annotation", "=x", 'invalid --annotation "=x": its name is empty'],
  ["--dns-search", "a_b.c d", /is not a domain/],
  ["--dns-search", "", /is not a domain/],
  ["--dns-option", "a b", /is not one word/],
  ["--expose", "80:80", /no port and no range of ports/],
  ["--expose", "90-80", /no port and no range of ports/],
  ["--expose", "70000", /no port and no range of ports/],
  ["--expose", "80/icmp", /no port and no range of ports/],
  ["--device", "dev/x", /"dev\/x" is not an absolute path/],
  ["--device", "vendor.com/gpu=0", /CDI/],
  ["--device", "/dev/a:/dev/b:rx", /"rx" is not made of r, w and m/],
  ["--device", "/dev/a:/dev/b:rr", /each at most once/],
  ["--device", "/dev/a:b", /"b" is not an absolute path/],
  ["--device", "/dev/a:/", /root directory/],
  ["--device", "/a:/b:r:w", /more than three parts/],
  ["--device-cgroup-rule", "c 1:3", 'invalid --device-cgroup-rule "c 1:3"'],
  ["--device-cgroup-rule", "d 1:3 r", /it looks like|invalid/],
  ["--sysctl", "net.ipv4.ip_forward", /not of the form NAME=VALUE/],
  ["--sysctl", "vm.swappiness=1", /it is the whole host's/],
  ["--sysctl", "kernel.hostname=x", "--sysctl kernel.hostname cannot be set"],
  ["--health-interval", "1", /--health-interval must be a duration/],
  ["--health-timeout", "-1s", /--health-timeout must be a duration/],
  ["--health-start-period", "10us", "--health-start-period cannot be less than 1ms"],
  ["--health-retries", "-1", /is not a number of checks/],
  ["--tmpfs", "run", 'invalid --tmpfs "run": the target "run" is not an absolute path'],
  ["--tmpfs", "/", /the target is the container's root/],
  ["--tmpfs", "/a:zz", /there is no option "zz"/],
  ["--tmpfs", "/a:size=big", /"big" is no value for size/],
  ["--tmpfs", "/a:mode=999", /"999" is no value for mode/],
];

describe("refuses", () => {
  test.each(refused)("%s %j", (flag, value, message) => {
    expect(() => options(flag, value, "alpine")).toThrow(GockerError);
    expect(() => options(flag, value, "alpine")).toThrow(message);
  });

  test("an image without a name", () => {
    expect(() => options("")).toThrow("the image's name is empty");
  });
});
