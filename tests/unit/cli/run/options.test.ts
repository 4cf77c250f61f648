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
  return runOptions(flags, [image, ...rest], { currentDirectory: "/here/now", asDocker: false });
}

const defaults = plainOptions({ network: "host" });

test("without flags everything is at its default, and nothing else is there", () => {
  expect(options("alpine")).toStrictEqual(defaults);
});

test("every flag at once", () => {
  const words =
    "-i -t -d --rm --init --detach-keys ctrl-x --name web -h box -l a=b=c --label d --cidfile id --platform linux/arm64 --pull always -q " +
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
    detach: true,
    detachKeys: "ctrl-x",
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
  ["--add-host", "a:host-gateway", /gocker has no bridge/],
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
  ["--network", "bridge", 'gocker has no network "bridge" yet'],
  ["--network", "", /gocker has no network ""/],
  ["--env", "", 'invalid --env "": its name is empty'],
  ["--env", "=x", 'invalid --env "=x": its name is empty'],
  ["--label", "", 'invalid --label "": its name is empty'],
  ["--label", "=x", 'invalid --label "=x": its name is empty'],
  ["--group-add", "", "--group-add is empty"],
  ["--security-opt", "foo", 'invalid --security-opt "foo": there is no such option'],
  ["--security-opt", "", /there is no such option/],
  ["--security-opt", "seccomp", /seccomp needs a value/],
  ["--security-opt", "no-new-privileges=maybe", /no-new-privileges is true or false/],
  ["--security-opt", "apparmor=docker-default", /gocker does not load AppArmor profiles/],
  ["--security-opt", "label=type:x", /gocker does not set SELinux labels/],
  ["--security-opt", "systempaths=unconfined", /does not have yet/],
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
