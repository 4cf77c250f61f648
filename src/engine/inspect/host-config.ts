import type { AskedNamespace, AskedOptions } from "../../container/asked-options.ts";
import { capabilityNumber } from "../../linux/capabilities.ts";
import type { DeviceCgroupRule, NamespaceType, RuntimeSpec } from "../../oci/runtime-spec.ts";
import { Dictionary, listOrNil, nilList, omitEmpty } from "../../util/document.ts";
import { parseSize } from "../../util/units.ts";
import type { ContainerFacts } from "./facts.ts";
import { portBindings } from "./network-settings.ts";
import { bindTexts, mountRequests, tmpfsOptions } from "./mounts.ts";
import { resourceFields } from "./resources.ts";

/** Docker's word for the network of a container: the first one's name, where it is in networks. */
function networkMode({ record, spec }: ContainerFacts): string {
  const [first] = record.networks ?? [];
  if (first !== undefined) return first.network;
  const asked = record.options?.network;
  return asked === undefined ? namespaceMode(spec, "network", "none") : askedMode(asked);
}

/** What a container is to the host: `.HostConfig`. Limits and namespaces are the specification's, wishes the record's. */
export function hostConfig(facts: ContainerFacts) {
  const { record, spec } = facts;
  const asked: AskedOptions = record.options ?? {};
  const { Memory, NanoCpus, CpuShares, ...resources } = resourceFields(spec.linux?.resources);
  const mounts = asked.mounts ?? [];
  return omitEmpty(
    {
      Binds: listOrNil(bindTexts(mounts)),
      ContainerIDFile: asked.cidFile ?? "",
      LogConfig: { Type: record.log?.driver ?? "json-file", Config: Dictionary.of(record.log?.options) },
      NetworkMode: networkMode(facts),
      PortBindings: portBindings(record.ports ?? []),
      RestartPolicy: {
        Name: record.restart?.name ?? "no",
        MaximumRetryCount: record.restart?.maximumRetries ?? 0,
      },
      AutoRemove: record.remove,
      VolumeDriver: "",
      VolumesFrom: listOrNil(asked.volumesFrom?.map(({ container, readOnly }) => container + (readOnly ? ":ro" : ""))),
      ConsoleSize: [spec.process?.consoleSize?.height ?? 0, spec.process?.consoleSize?.width ?? 0],
      Annotations: Dictionary.of(asked.annotations),
      CapAdd: capabilities(asked.capAdd),
      CapDrop: capabilities(asked.capDrop),
      CgroupnsMode: hasOwn(spec, "cgroup") ? "private" : "host",
      Dns: asked.dns ?? [],
      DnsOptions: asked.dnsOptions ?? [],
      DnsSearch: asked.dnsSearch ?? [],
      ExtraHosts: listOrNil(asked.addHosts?.map(({ name, address }) => `${name}:${address}`)),
      GroupAdd: listOrNil(record.groupAdd),
      IpcMode: asked.ipc === undefined ? namespaceMode(spec, "ipc", "private") : askedMode(asked.ipc),
      Cgroup: "",
      Links: nilList,
      OomScoreAdj: spec.process?.oomScoreAdj ?? 0,
      PidMode: asked.pid === undefined ? namespaceMode(spec, "pid", "") : askedMode(asked.pid),
      Privileged: asked.privileged === true,
      PublishAllPorts: record.publishAllPorts === true,
      ReadonlyRootfs: spec.root?.readonly === true,
      SecurityOpt: listOrNil(securityOptions(asked, spec)),
      Tmpfs: new Dictionary(tmpfsOptions(mounts)),
      UTSMode: namespaceMode(spec, "uts", ""),
      UsernsMode: "",
      ShmSize: sharedMemory(spec),
      StorageOpt: Dictionary.of(asked.diskSize === undefined ? undefined : { size: String(asked.diskSize) }),
      Sysctls: Dictionary.of(asked.sysctls),
      Runtime: "gocker",
      Isolation: "",
      CpuShares,
      Memory,
      NanoCpus,
      CgroupParent: asked.cgroupParent ?? "",
      ...resources,
      Devices: (asked.devices ?? []).map(({ source, target, access }) => ({
        PathOnHost: source,
        PathInContainer: target,
        CgroupPermissions: access,
      })),
      DeviceCgroupRules: listOrNil(asked.deviceRules?.map(ruleText)),
      DeviceRequests: nilList,
      Ulimits: (asked.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
      CpuCount: 0,
      CpuPercent: 0,
      IOMaximumIOps: 0,
      IOMaximumBandwidth: 0,
      Mounts: mountRequests(mounts),
      MaskedPaths: spec.linux?.maskedPaths ?? [],
      ReadonlyPaths: spec.linux?.readonlyPaths ?? [],
      Init: record.init === true ? true : null,
    },
    "Annotations",
    "Tmpfs",
    "StorageOpt",
    "Sysctls",
    "Mounts",
    "Init",
  );
}

function hasOwn(spec: RuntimeSpec, type: NamespaceType): boolean {
  return spec.linux?.namespaces?.some((namespace) => namespace.type === type) === true;
}

/** @param own how Docker says that a container has one of its own */
function namespaceMode(spec: RuntimeSpec, type: NamespaceType, own: string): string {
  const found = spec.linux?.namespaces?.find((namespace) => namespace.type === type);
  if (found === undefined) return "host";
  return found.path === undefined ? own : `ns:${found.path}`;
}

/** Docker's words for a namespace of another container, and podman's for one by its path. */
export function askedMode(asked: AskedNamespace): string {
  if (typeof asked === "string") return asked;
  return "container" in asked ? `container:${asked.container}` : `ns:${asked.path}`;
}

/** Docker writes them with their prefix, and ALL without. */
function capabilities(names: readonly string[] | undefined): readonly string[] {
  const full = (name: string) => {
    const upper = name.toUpperCase();
    return capabilityNumber(name) === undefined || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  };
  return listOrNil(names?.map(full));
}

/** As `--device-cgroup-rule` has it: `c 10:* rwm`. */
function ruleText({ type = "a", major, minor, access = "rwm" }: DeviceCgroupRule): string {
  const number = (one: number | undefined) => (one === undefined || one < 0 ? "*" : String(one));
  return `${type} ${number(major)}:${number(minor)} ${access}`;
}

function securityOptions({ seccomp }: AskedOptions, spec: RuntimeSpec): string[] {
  return [
    ...(spec.process?.noNewPrivileges === true ? ["no-new-privileges"] : []),
    ...(seccomp === "unconfined" ? ["seccomp=unconfined"] : []),
    ...(typeof seccomp === "object" ? [`seccomp=${seccomp.file}`] : []),
  ];
}

/** Docker's, for a container that has none of its own. */
const usualSharedMemory = 64 * 2 ** 20;

/** The size of /dev/shm in bytes. */
function sharedMemory(spec: RuntimeSpec): number {
  const options = spec.mounts?.find(({ destination }) => destination === "/dev/shm")?.options ?? [];
  const size = options.find((option) => option.startsWith("size="))?.slice("size=".length);
  return size === undefined ? usualSharedMemory : parseSize(size, "size of /dev/shm");
}
