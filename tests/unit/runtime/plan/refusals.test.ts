import { describe, expect, test } from "bun:test";
import type { Linux, Namespace, NamespaceType, Process, RuntimeSpec } from "../../../../src/oci/runtime-spec.ts";
import type { LaunchPlanInput } from "../../../../src/runtime/plan/launch-plan.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";
import { minimalSpec, planOf, someFacts } from "../../../helpers/plan.ts";

function namespaces(...types: NamespaceType[]): Namespace[] {
  return ["mount" as const, ...types].map((type) => ({ type }));
}

interface Refusal {
  readonly what: string;
  readonly spec?: Partial<RuntimeSpec>;
  readonly process?: Partial<Process>;
  readonly linux?: Linux;
  readonly input?: Partial<LaunchPlanInput>;
  /** What the message begins with: the property, as the specification names it. */
  readonly message: string;
}

const refusals: Refusal[] = [
  { what: "nothing to execute", process: { args: [] }, message: "process.args: nothing to execute" },
  { what: "a relative working directory", process: { cwd: "work" }, message: "process.cwd: work is not absolute" },
  {
    what: "an unknown limit",
    process: { rlimits: [{ type: "RLIMIT_LUCK", soft: 1, hard: 1 }] },
    message: 'process.rlimits[0].type: unknown limit "RLIMIT_LUCK"',
  },
  {
    what: "a limit that is given twice",
    process: { rlimits: ["RLIMIT_CPU", "RLIMIT_CPU"].map((type) => ({ type, soft: 1, hard: 1 })) },
    message: "process.rlimits[1].type: RLIMIT_CPU is given twice",
  },
  {
    what: "a list of CPUs that no exec could follow",
    process: { execCPUAffinity: { initial: "0", final: "3-1" } },
    message: "process.execCPUAffinity.final: 3-1 is no CPU or range of CPUs",
  },
  {
    what: "a memory policy without a mode",
    linux: { memoryPolicy: {} },
    message: "linux.memoryPolicy.mode: invalid memory policy mode",
  },
  {
    what: "a namespace to join by a path that is not absolute",
    linux: { namespaces: [{ type: "mount" }, { type: "network", path: "netns/a" }] },
    message: "linux.namespaces[1].path: netns/a is not absolute",
  },
  {
    what: "a setting for which there is a property",
    linux: { namespaces: namespaces("uts"), sysctl: { "kernel.hostname": "b" } },
    message: "linux.sysctl: kernel.hostname conflicts with the property hostname, which is for that",
  },
  {
    what: "a setting that contradicts its property",
    spec: { domainname: "a" },
    linux: { namespaces: namespaces("uts"), sysctl: { "kernel.domainname": "b" } },
    message: "linux.sysctl: kernel.domainname conflicts with the property domainname, which is for that",
  },
  {
    what: "a namespace that is given twice",
    linux: { namespaces: namespaces("pid", "pid") },
    message: "linux.namespaces: pid is given twice",
  },
  {
    what: "an unknown propagation",
    linux: { rootfsPropagation: "contagious" },
    message: "linux.rootfsPropagation: unknown value contagious",
  },
  {
    what: "a relative mount point",
    spec: { mounts: [{ destination: "data", type: "tmpfs" }] },
    message: "mounts[0].destination: data is not absolute",
  },
  {
    what: "a bind mount of nothing",
    spec: { mounts: [{ destination: "/data", options: ["bind"] }] },
    message: "mounts: the bind mount at /data needs a source",
  },
  {
    what: "a bind mount of a relative path",
    spec: { mounts: [{ destination: "/data", source: "data", options: ["bind"] }] },
    message: "mounts: the bind mount at /data needs a source that is an absolute path",
  },
  {
    what: "a mount without a type",
    spec: { mounts: [{ destination: "/x" }] },
    message: "mounts: the mount at /x needs",
  },
  {
    what: "a relative masked path",
    linux: { maskedPaths: ["proc/kcore"] },
    message: "linux.maskedPaths: proc/kcore is not absolute",
  },
  {
    what: "a relative read-only path",
    linux: { readonlyPaths: ["proc/sys"] },
    message: "linux.readonlyPaths: proc/sys is not absolute",
  },
  {
    what: "a device without its numbers",
    linux: { devices: [{ type: "c", path: "/dev/x", major: 1 }] },
    message: "linux.devices: /dev/x needs major and minor",
  },
  { what: "a device at /", linux: { devices: [{ type: "p", path: "/" }] }, message: "linux.devices: / is no place" },
  {
    what: "other owners in a new file system",
    spec: { mounts: [{ destination: "/x", type: "tmpfs", uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] }] },
    message: "mounts: only a bind mount can change the owners of files, and that at /x is none",
  },
  {
    what: "other owners that nobody has made ready",
    spec: { mounts: [{ destination: "/x", type: "bind", source: "/x", options: ["idmap"] }] },
    message: "mounts: the owners of files at /x cannot be changed here",
  },
  {
    what: "a terminal that nobody takes",
    spec: { mounts: [{ destination: "/dev/pts", type: "devpts" }] },
    process: { terminal: true },
    message: "process.terminal: nobody is there",
  },
  {
    what: "a setting without a procfs",
    linux: { namespaces: namespaces("network"), sysctl: { "net.ipv4.ip_forward": "1" } },
    message: "linux.sysctl: net.ipv4.ip_forward needs a proc mount",
  },
  {
    what: "a name of a setting that leads elsewhere",
    spec: { mounts: [{ destination: "/proc", type: "proc" }] },
    linux: { namespaces: namespaces("network"), sysctl: { "net/../kernel/core_pattern": "|/x" } },
    message: "linux.sysctl: net/../kernel/core_pattern is no name",
  },
];

/** Changes of the host: each is fine in a namespace of the container's own. */
const hostChanges: (Refusal & { readonly namespace?: NamespaceType })[] = [
  {
    what: "the host's name",
    spec: { hostname: "x" },
    namespace: "uts",
    message: "hostname: a container without a uts",
  },
  { what: "its domain", spec: { domainname: "x" }, namespace: "uts", message: "domainname: a container without a uts" },
  ...(
    [
      ["net.ipv4.ip_forward", "network"],
      ["net/ipv4/conf/eth0.1/forwarding", "network"],
      ["kernel.shmmax", "ipc"],
      ["kernel.msgmni", "ipc"],
      ["fs.mqueue.msg_max", "ipc"],
      ["kernel.domainname", "uts"],
    ] as const
  ).map(([name, namespace]) => ({
    what: name,
    spec: { mounts: [{ destination: "/proc", type: "proc", source: "proc" }] },
    linux: { sysctl: { [name]: "1" } },
    namespace,
    message: `linux.sysctl: ${name} would change the host without a ${namespace} namespace`,
  })),
  ...["kernel.core_pattern", "vm.swappiness", "fs.file-max", "kernel.shmmax2", "kernel.modprobe"].map((name) => ({
    what: name,
    linux: { sysctl: { [name]: "1" } },
    message: `linux.sysctl: ${name} is the host's`,
  })),
  {
    what: "the options of its cgroup2 mount",
    spec: { mounts: [{ destination: "/c", type: "cgroup", source: "cgroup", options: ["memory_localevents"] }] },
    input: { facts: { ...someFacts, cgroupView: { type: "v2", mountPoint: "/sys/fs/cgroup" } } },
    namespace: "cgroup",
    message: "mounts: memory_localevents at /c would change the host's cgroups",
  },
  {
    what: "its cgroup2 mount beside version 1",
    spec: { mounts: [{ destination: "/c", type: "cgroup2", source: "cgroup" }] },
    input: { facts: { ...someFacts, cgroupView: { type: "v1", hierarchies: [], links: [] } } },
    namespace: "cgroup",
    message: "mounts: the cgroup2 mount at /c needs a cgroup namespace here",
  },
];

const unsupported: Refusal[] = (
  [{ mountLabel: "system_u:object_r:container_file_t:s0" }, { intelRdt: { closID: "a" } }] satisfies Linux[]
).map((linux) => {
  const what = `linux.${Object.keys(linux)[0]}`;
  return { what, linux, message: `${what} is not supported yet` };
});

function plan({ spec, process, linux, input }: Refusal, more: NamespaceType[] = []): () => unknown {
  const own = { namespaces: namespaces(...more), ...linux };
  return () => planOf(minimalSpec({ ...spec, linux: own }, process), input);
}

describe("refused, by the property's name", () => {
  test.each(refusals)("$what", (refusal) => {
    expect(plan(refusal)).toThrow(InvalidDocumentError);
    expect(plan(refusal)).toThrow(refusal.message);
  });

  test("a specification without a process", () => {
    const { process: _, ...spec } = minimalSpec();
    expect(() => planOf(spec)).toThrow("process: nothing to execute");
  });
});

describe("what would change the host is refused", () => {
  test.each(hostChanges)("$what", (refusal) => {
    expect(plan(refusal)).toThrow(InvalidDocumentError);
    expect(plan(refusal)).toThrow(refusal.message);
    if (refusal.namespace !== undefined) expect(plan(refusal, [refusal.namespace])).not.toThrow();
  });
});

describe("what is not carried out is refused", () => {
  test.each(unsupported)("$what", (refusal) => {
    expect(plan(refusal)).toThrow(InvalidDocumentError);
    expect(plan(refusal)).toThrow(refusal.message);
  });

  test("but may say the same as its property", () => {
    const linux = { namespaces: namespaces("uts"), sysctl: { "kernel.domainname": "a" } };
    const mounts = [{ destination: "/proc", type: "proc", source: "proc" }];
    expect(() => planOf(minimalSpec({ domainname: "a", linux, mounts }))).not.toThrow();
  });

  test("but may be there and empty", () => {
    const empty: RuntimeSpec = minimalSpec(
      {
        hooks: { prestart: [], poststop: [] },
        linux: { namespaces: namespaces(), uidMappings: [], timeOffsets: {}, mountLabel: "", intelRdt: {} },
        mounts: [{ destination: "/x", type: "tmpfs", source: "x", gidMappings: [] }],
      },
      { apparmorProfile: "", selinuxLabel: "" },
    );
    expect(() => planOf(empty)).not.toThrow();
  });
});
