import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { defaultRuntimeSpec } from "../../../src/oci/default-runtime-spec.ts";
import { parseProcess, parseResources, parseRuntimeSpec } from "../../../src/oci/runtime-spec-parse.ts";
import { InvalidDocumentError } from "../../../src/util/errors.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const bytes = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const parse = (change: object) => parseRuntimeSpec(bytes({ ociVersion: "1.2.0", ...change }));
const process = (change: object) => parse({ process: { cwd: "/", user: { uid: 0, gid: 0 }, ...change } });

test("the specification that gocker writes is read as it is", () => {
  for (const cgroupNamespace of [true, false]) {
    const spec = defaultRuntimeSpec({ cgroupNamespace });
    expect(parseRuntimeSpec(bytes(spec))).toEqual(spec);
    expect(spec.linux?.namespaces?.some(({ type }) => type === "cgroup")).toBe(cgroupNamespace);
  }
});

test.each(["runc", "crun"])("what %s writes is read", (peer) => {
  const program = Bun.which(peer);
  if (program === null) return console.warn(`skipped: ${peer} is not installed`);
  using directory = new TemporaryDirectory("spec");
  expect(Bun.spawnSync([program, "spec"], { cwd: directory.path }).exitCode).toBe(0);
  const spec = parseRuntimeSpec(readFileSync(`${directory.path}/config.json`));
  expect(spec.process?.args).toEqual(["sh"]);
  expect(spec.linux?.maskedPaths).toContain("/proc/kcore");
});

test("null counts as absent, wherever it stands", () => {
  const spec = parse({
    hooks: null,
    linux: { seccomp: null, namespaces: null, resources: { memory: null } },
    mounts: null,
  });
  expect(spec).toEqual({ ociVersion: "1.2.0", linux: { resources: {} } });
  expect(process({ capabilities: { bounding: null }, args: null }).process).toEqual({
    cwd: "/",
    user: { uid: 0, gid: 0 },
    capabilities: {},
  });
});

test("an empty text counts as absent where Go's programs write both", () => {
  const spec = parse({
    hostname: "",
    domainname: "",
    process: {
      cwd: "/",
      apparmorProfile: "",
      selinuxLabel: "",
      user: { username: "" },
      execCPUAffinity: { initial: "", final: "1" },
    },
    mounts: [{ destination: "/a", type: "", source: "", options: ["bind", "", "ro"] }],
    linux: {
      cgroupsPath: "",
      rootfsPropagation: "",
      mountLabel: "",
      namespaces: [{ type: "mount", path: "" }],
      resources: { devices: [{ allow: false, type: "", access: "rwm" }] },
      seccomp: { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "", listenerMetadata: "" },
    },
  });
  // Not toEqual, for which what is undefined is absent.
  expect(JSON.stringify(spec.linux)).toBe(
    '{"namespaces":[{"type":"mount"}],"resources":{"devices":[{"allow":false,"access":"rwm"}]},' +
      '"seccomp":{"defaultAction":"SCMP_ACT_ALLOW"}}',
  );
  expect(Object.keys(spec)).toEqual(["ociVersion", "process", "mounts", "linux"]);
  expect(Object.keys(spec.process ?? {})).toEqual(["cwd", "user", "execCPUAffinity"]);
  expect(spec.process?.execCPUAffinity).toStrictEqual({ final: "1" });
  expect(spec.mounts).toStrictEqual([{ destination: "/a", options: ["bind", "ro"] }]);
});

test("the place of a mount is taken from the root directory", () => {
  const mounts = ["proc", "dev/pts", "/sys", "."].map((destination) => ({ destination, type: "tmpfs" }));
  expect(parse({ mounts }).mounts?.map(({ destination }) => destination)).toEqual(["/proc", "/dev/pts", "/sys", "/."]);
});

test("the size of a terminal is looked at where there is one", () => {
  const consoleSize = { height: 1e9, width: "x" };
  expect(() => process({ consoleSize })).not.toThrow();
  expect(() => process({ consoleSize, terminal: false })).not.toThrow();
  expect(() => process({ consoleSize, terminal: true })).toThrow("process.consoleSize.height is 1000000000");
  expect(process({ consoleSize: { height: 0, width: 80 }, terminal: true }).process?.consoleSize?.width).toBe(80);
});

test("a device's mode may have the bits of Go's os.FileMode", () => {
  // os.ModeDevice | os.ModeCharDevice | 0o620
  const fileMode = 2 ** 26 + 2 ** 21 + 0o620;
  const device = { type: "c", path: "/dev/x", major: 1, minor: 3, fileMode };
  expect(parse({ linux: { devices: [device] } }).linux?.devices).toEqual([device as never]);
});

test("limits may be without limit", () => {
  const limits = (soft: string, hard: string) =>
    parseProcess(bytes(`{"cwd":"/","rlimits":[{"type":"RLIMIT_CORE","soft":${soft},"hard":${hard}}]}`)).rlimits?.[0];
  expect(limits("-1", "-1")).toEqual({ type: "RLIMIT_CORE", soft: -1, hard: -1 });
  expect(limits("18446744073709551615", "-1")).toEqual({ type: "RLIMIT_CORE", soft: 2 ** 64, hard: -1 });
  expect(limits("5", "18446744073709551615")).toEqual({ type: "RLIMIT_CORE", soft: 5, hard: 2 ** 64 });
  expect(() => limits("-1", "5")).toThrow("process.rlimits[0]: the soft limit of RLIMIT_CORE (-1) is above the hard");
  expect(() => limits("18446744073709551615", "5")).toThrow("is above the hard one (5)");
});

test("no message tells what is in an environment", () => {
  for (const entry of ["hunter2", "=hunter2", "hunter\u00002=", { hunter2: "hunter2" }]) {
    let message = "";
    try {
      parseProcess(bytes({ cwd: "/", env: ["A=", entry] }));
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toStartWith("process.env[1] ");
    expect(message).not.toContain("hunter");
  }
});

test("what is nested too deeply is refused in one sentence", () => {
  const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  for (const levels of [501, 5_000, 50_000, 1_000_000]) {
    const read = () => parseRuntimeSpec(bytes(`{"ociVersion":"1.2.0","x":${nested(levels)}}`));
    expect(read).toThrow(InvalidDocumentError);
    expect(read).toThrow(/^(?:x is nested too deeply: at most 500 levels|config\.json is nested too deeply)$/);
  }
  expect(() => parseRuntimeSpec(bytes(`{"ociVersion":"1.2.0","x":${nested(500)}}`))).not.toThrow();
});

test("resources alone", () => {
  const text = '{"memory":{"limit":9223372036854775807,"swap":null},"devices":[{"allow":true,"type":""}]}';
  expect(parseResources(Buffer.from(text))).toStrictEqual({ memory: { limit: 2 ** 63 }, devices: [{ allow: true }] });
  expect(() => parseResources(bytes("[]"))).toThrow("linux.resources is an array: expected an object");
  expect(() => parseResources(bytes("null"))).toThrow("linux.resources is null: expected an object");
  expect(() => parseResources(bytes("{"))).toThrow("linux.resources is not JSON");
  expect(() => parseResources(bytes({ devices: [{ allow: 1 }] }))).toThrow("linux.resources.devices[0].allow is 1");
});

test("what is not known is left alone", () => {
  const future = { timeTravel: { to: [1955] } };
  expect(parse({ future, linux: { future } })).toEqual({ ociVersion: "1.2.0", future, linux: { future } } as never);
});

test("a property named like the prototype gives nothing past its check", () => {
  const user = parseProcess(bytes('{"cwd":"/","user":{"__proto__":{"uid":4294967295,"gid":7}}}')).user;
  expect([user.uid, user.gid]).toEqual([0, 0]);
  const spec = parseRuntimeSpec(bytes('{"ociVersion":"1.2.0","__proto__":{"hooks":{"prestart":[{"path":"x"}]}}}'));
  expect(spec.hooks).toBeUndefined();
});

test("a process without a user is root's", () => {
  expect(parseProcess(bytes({ cwd: "/", args: ["true"] }))).toEqual({
    cwd: "/",
    args: ["true"],
    user: { uid: 0, gid: 0 },
  });
  expect(parseProcess(bytes({ cwd: "/", user: { gid: 5 } })).user).toEqual({ uid: 0, gid: 5 });
});

test("64-bit numbers of a filter are exact, others become the nearest number", () => {
  const text = `{"ociVersion":"1.2.0","process":{"cwd":"/","rlimits":[{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}]},
    "linux":{"resources":{"memory":{"limit":9223372036854775807}},"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
    {"names":["clone"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}}}`;
  const { linux, process: own } = parseRuntimeSpec(Buffer.from(text));
  expect(linux?.seccomp?.syscalls?.[0]?.args?.[0]?.value).toBe(18446744073709551615n);
  expect(own?.rlimits?.[0]?.hard).toBe(2 ** 64);
  expect(linux?.resources?.memory?.["limit"]).toBe(2 ** 63);
});

test.each(["1.0.0", "1.0.2-dev", "1.2.1", "1.99.0-rc.1"])("version %s", (ociVersion) => {
  expect(parseRuntimeSpec(bytes({ ociVersion })).ociVersion).toBe(ociVersion);
});

const seccompArg = (arg: object) => ({
  linux: {
    seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: [], action: "SCMP_ACT_LOG", args: [arg] }] },
  },
});

const refused: readonly (readonly [change: object, message: string])[] = [
  [{ ociVersion: undefined }, "ociVersion is missing"],
  [{ mounts: "x".repeat(5000) }, `mounts is "${"x".repeat(64)}"… (5000 characters): expected a list`],
  [{ ociVersion: "2.0.0" }, "ociVersion is 2.0.0: gocker reads version 1 of the specification"],
  [{ ociVersion: "one" }, 'ociVersion is "one": expected a version such as 1.2.0'],
  [{ root: {} }, "root.path is missing"],
  [{ root: [] }, "root is an array: expected an object"],
  [{ hostname: 5 }, "hostname is 5: expected a text"],
  [{ hostname: "a\0b" }, "hostname holds a NUL character"],
  [{ process: { user: {} } }, "process.cwd is missing"],
  [
    { process: { cwd: "/", user: { uid: "x" } } },
    'process.user.uid is "x": expected a whole number from 0 to 4294967294',
  ],
  [{ process: { cwd: "/", user: { uid: -1 } } }, "process.user.uid is -1"],
  [
    { process: { cwd: "/", user: { uid: 0, umask: 512 } } },
    "process.user.umask is 512: expected a whole number from 0 to 511",
  ],
  [{ process: { cwd: "/", args: ["a", 1] } }, "process.args[1] is 1: expected a text"],
  [{ process: { cwd: "/", env: ["A=\0"] } }, "process.env[0] holds a NUL character"],
  [{ process: { cwd: "/", oomScoreAdj: 2000 } }, "process.oomScoreAdj is 2000"],
  [{ process: { cwd: "/", rlimits: [{ type: "RLIMIT_CPU", soft: 1 }] } }, "process.rlimits[0].hard is missing"],
  [
    { process: { cwd: "/", rlimits: [{ type: "RLIMIT_CPU", soft: 2, hard: 1 }] } },
    "process.rlimits[0]: the soft limit of RLIMIT_CPU (2) is above the hard one (1)",
  ],
  [
    { process: { cwd: "/", rlimits: [{ type: "RLIMIT_CPU", soft: -2, hard: 1 }] } },
    "process.rlimits[0].soft is -2: expected a whole number from -1",
  ],
  [{ process: { cwd: "/", rlimits: [{ type: "RLIMIT_CPU", soft: 1, hard: -5 }] } }, "process.rlimits[0].hard is -5"],
  [{ process: { cwd: "/", env: ["A=b", "C"] } }, "process.env[1] has no = after its name"],
  [{ process: { cwd: "/", env: ["=b"] } }, "process.env[0] has no name before its ="],
  [{ process: { cwd: "/", env: [5] } }, "process.env[0] is a number: expected NAME=VALUE"],
  [{ hooks: { prestart: [{ path: "/x", env: ["A"] }] } }, "hooks.prestart[0].env[0] has no = after its name"],
  [{ process: { cwd: "" } }, 'process.cwd is "": expected an absolute path'],
  [{ process: { cwd: "work" } }, 'process.cwd is "work": expected an absolute path'],
  [{ process: { cwd: `/${"x/".repeat(2048)}` } }, "process.cwd has 4097 bytes: the kernel takes 4095"],
  [{ root: { path: "" } }, 'root.path is "": expected a path'],
  [{ hostname: "x".repeat(65) }, "hostname has 65 bytes: the kernel takes 64"],
  [{ domainname: "ü".repeat(33) }, "domainname has 66 bytes: the kernel takes 64"],
  [{ mounts: [{ destination: "" }] }, 'mounts[0].destination is "": expected a path'],
  [{ linux: { namespaces: [{ type: "pid", path: "/".repeat(4096) }] } }, "linux.namespaces[0].path has 4096 bytes"],
  [{ linux: { maskedPaths: ["/a", "b"] } }, 'linux.maskedPaths[1] is "b": expected an absolute path'],
  [{ linux: { readonlyPaths: [""] } }, 'linux.readonlyPaths[0] is "": expected an absolute path'],
  [{ linux: { sysctl: { "net.a\0b": "1" } } }, "a name in linux.sysctl holds a NUL character"],
  [{ mounts: [{ type: "tmpfs" }] }, "mounts[0].destination is missing"],
  [{ mounts: [{ destination: "/a", options: "ro" }] }, 'mounts[0].options is "ro": expected a list'],
  [{ hooks: { poststop: [{ path: "bin/x" }] } }, 'hooks.poststop[0].path is "bin/x": expected an absolute path'],
  [{ hooks: { poststop: [{ path: "/x", timeout: 0 }] } }, "hooks.poststop[0].timeout is 0"],
  [{ linux: { namespaces: [{ type: "net" }] } }, 'linux.namespaces[0].type is "net": expected one of pid, network'],
  [{ linux: { devices: [{ type: "c", path: "/dev/x", major: 1 }] } }, "linux.devices[0]: a device of the type c needs"],
  [{ linux: { devices: [{ type: "c", path: "/dev/x", major: 4097, minor: 3 }] } }, "linux.devices[0].major is 4097"],
  [
    { linux: { devices: [{ type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 2 ** 32 }] } },
    "linux.devices[0].fileMode is 4294967296",
  ],
  [
    { linux: { devices: [{ type: "c", path: "/dev/x", major: 1, minor: 0x100003 }] } },
    "linux.devices[0].minor is 1048579",
  ],
  [{ linux: { uidMappings: [{ containerID: 0, hostID: 0, size: 0 }] } }, "linux.uidMappings[0].size is 0"],
  [{ linux: { seccomp: { defaultAction: "ALLOW" } } }, 'linux.seccomp.defaultAction is "ALLOW": expected one of'],
  [seccompArg({ index: 6, value: 0, op: "SCMP_CMP_EQ" }), "linux.seccomp.syscalls[0].args[0].index is 6"],
  [seccompArg({ index: 0, value: -1, op: "SCMP_CMP_EQ" }), "linux.seccomp.syscalls[0].args[0].value is -1"],
  [{ linux: { resources: { devices: [{}] } } }, "linux.resources.devices[0].allow is missing"],
];

describe("refused, by the property's path", () => {
  test.each(refused.map(([change, message]) => [message, change] as const))("%s", (message, change) => {
    expect(() => parse(change)).toThrow(InvalidDocumentError);
    expect(() => parse(change)).toThrow(message);
  });

  test("what is no JSON", () => {
    expect(() => parseRuntimeSpec(bytes("{"))).toThrow("config.json is not JSON");
    expect(() => parseRuntimeSpec(bytes("[]"))).toThrow("the document is an array: expected an object");
    expect(() => parseProcess(new Uint8Array([0xff]))).toThrow("the process is not JSON");
  });
});
