import { posix } from "node:path";
import { type CapabilityName, containerCapabilities } from "../linux/capabilities.ts";
import { isAtLeast } from "../linux/kernel.ts";
import type { ImageConfig } from "../oci/image-config.ts";
import type { Capabilities, Linux, Process, Resources, RuntimeSpec, Seccomp } from "../oci/runtime-spec.ts";
import { InvalidDocumentError, UsageError } from "../util/errors.ts";
import { buildAnnotations } from "./annotations.ts";
import { resolveCommand } from "./command.ts";
import { noDevices, type RequestedDevices, withDevices } from "./device-requests.ts";
import { privilegedDeviceRules } from "./devices.ts";
import { buildEnvironment } from "./environment.ts";
import type { EtcFilePaths } from "./etc-files.ts";
import type { HostFacts } from "./host-facts.ts";
import { shortId } from "../util/ids.ts";
import { defaultDeviceRules, defaultMaskedPaths, defaultReadonlyPaths, networkSysctls } from "./linux-defaults.ts";
import { buildMounts } from "./mounts.ts";
import { buildNamespaces } from "./namespaces.ts";
import type { ContainerOptions } from "./options.ts";
import { buildRlimits } from "./rlimits.ts";
import type { ContainerUser } from "./user.ts";
import type { MountedVolume } from "./volume-requests.ts";

/** Everything that decides a container's specification, looked up beforehand. */
export interface SpecInput {
  readonly id: string;
  readonly image: ImageConfig;
  readonly options: ContainerOptions;
  /** From `resolveUserEnvironment`. */
  readonly environment: readonly string[];
  readonly user: ContainerUser;
  readonly volumes: readonly MountedVolume[];
  /** See `MountsInput.images`. */
  readonly images?: readonly { readonly source: string; readonly target: string }[] | undefined;
  /** Absent: the image's own files stay visible. */
  readonly etcFiles?: EtcFilePaths;
  /** The root file system: a path of the host, or relative to the bundle. */
  readonly rootPath: string;
  readonly host: HostFacts;
  /** Those of `--device`; absent: none. */
  readonly devices?: RequestedDevices | undefined;
  /** The filter for the container's capabilities ({@link specCapabilities}); absent: unconfined. */
  readonly seccomp?: Seccomp | undefined;
  /** Limits, from `newResources`. */
  readonly limits?: Resources | undefined;
  /** Lines and columns of the user's terminal, when there is one. */
  readonly consoleSize?: { readonly height: number; readonly width: number } | undefined;
}

/**
 * The version of the OCI runtime specification that gocker's specifications need: nothing in them is newer, so that
 * older runtimes can take them.
 */
const ociVersion = "1.1.0";

/**
 * The OCI runtime specification of a container: an image's configuration, the user's options and Docker's defaults
 * brought together. Looks nothing up and changes nothing.
 * @throws NoCommandError nothing to run; UsageError an option that cannot be granted
 */
export function buildRuntimeSpec(input: SpecInput): RuntimeSpec {
  const { id, image, options, host } = input;
  return {
    ociVersion,
    process: buildProcess(input),
    root: { path: input.rootPath, readonly: options.readOnly },
    // Names are the UTS namespace's.
    ...(options.uts !== "host" && { hostname: containerHostname(id, options) }),
    ...(options.uts !== "host" && options.domainname !== undefined && { domainname: options.domainname }),
    mounts: buildMounts({
      mounts: options.mounts,
      volumes: input.volumes,
      images: input.images,
      etcFiles: input.etcFiles,
      readOnly: options.readOnly,
      privileged: options.privileged,
      shmSize: options.shmSize,
      ipc: options.ipc,
      writableCgroups: options.writableCgroups,
      recursiveReadOnly: isAtLeast(host.kernel, 5, 12),
    }),
    annotations: { ...buildAnnotations(image, options.labels, options.stopSignal), ...options.annotations },
    linux: buildLinux(input),
  };
}

/**
 * The container's host name: as asked for, else the short form of its ID.
 * @throws UsageError it is no host name: hostname(7), with the underscores that many use; sethostname(2) takes 64 bytes
 */
export function containerHostname(id: string, options: Pick<ContainerOptions, "hostname">): string {
  const { hostname } = options;
  if (hostname !== undefined && (hostname.length > 64 || !/^[\w-]+(\.[\w-]+)*$/.test(hostname))) {
    throw new UsageError(`invalid host name ${JSON.stringify(hostname)}`, {
      hint: "a host name has letters, digits and -, in parts that dots separate, and at most 64 characters",
    });
  }
  return hostname ?? shortId(id);
}

/** The capabilities that a container's bounding set will hold: what the default seccomp profile goes by. */
export function specCapabilities(
  options: Pick<ContainerOptions, "capAdd" | "capDrop" | "privileged">,
  host: Pick<HostFacts, "capabilities">,
): CapabilityName[] {
  return containerCapabilities({
    add: options.capAdd,
    drop: options.capDrop,
    privileged: options.privileged,
    available: host.capabilities,
  });
}

function buildProcess(input: SpecInput): Process {
  const { id, image, options, user } = input;
  const { config } = image;
  const args = resolveCommand({
    words: options.words,
    dockerWords: options.dockerWords,
    entrypoint: options.entrypoint,
    image: config,
  });
  const cwd = workingDirectory(options.workingDirectory, config?.WorkingDir);
  // JSON can say what the kernel cannot take.
  if ([...args, cwd].some((text) => text.includes("\0"))) {
    throw new InvalidDocumentError("the image's command or working directory holds a NUL character");
  }
  return {
    terminal: options.terminal,
    ...(options.terminal && input.consoleSize !== undefined ? { consoleSize: input.consoleSize } : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids] },
    args,
    env: buildEnvironment({
      hostname: containerHostname(id, options),
      terminal: options.terminal,
      image: config?.Env ?? [],
      user: input.environment,
      home: user.home,
    }),
    cwd,
    capabilities: processCapabilities(specCapabilities(options, input.host), user),
    rlimits: buildRlimits(options.ulimits, input.host.openFiles),
    ...(options.oomScoreAdj === undefined ? {} : { oomScoreAdj: options.oomScoreAdj }),
    noNewPrivileges: options.noNewPrivileges,
    ...(options.apparmorProfile !== undefined && { apparmorProfile: options.apparmorProfile }),
  };
}

/** Nothing is inheritable or ambient (CVE-2022-29162); a user other than root has only what it can gain by executing. */
export function processCapabilities(bounding: readonly string[], user: Pick<ContainerUser, "uid">): Capabilities {
  const own = user.uid === 0 ? bounding : [];
  return { bounding: [...bounding], effective: [...own], permitted: [...own], inheritable: [], ambient: [] };
}

function workingDirectory(wanted: string | undefined, image: string | undefined): string {
  if (wanted !== undefined && !wanted.startsWith("/")) {
    throw new UsageError(`invalid working directory ${JSON.stringify(wanted)}: it must be an absolute path`);
  }
  const normal = posix.normalize(posix.join("/", wanted ?? image ?? "/"));
  return normal === "/" ? normal : normal.replace(/\/+$/, "");
}

function buildLinux({ id, options, host, seccomp, limits, devices = noDevices }: SpecInput): Linux {
  const sysctl = {
    ...((options.network === "none" || options.network === "connected") && networkSysctls),
    ...options.sysctls,
  };
  const isOpen = options.privileged || options.unconfinedPaths === true;
  const rules = options.privileged ? privilegedDeviceRules() : defaultDeviceRules();
  return {
    cgroupsPath: posix.join("/", options.cgroupParent ?? "gocker", id),
    namespaces: buildNamespaces(options, host.cgroupV2Only),
    ...(Object.keys(sysctl).length > 0 && { sysctl }),
    devices: withDevices(options.privileged ? host.devices : [], devices.nodes),
    resources: { devices: [...rules, ...devices.rules, ...(options.deviceRules ?? [])], ...limits },
    maskedPaths: isOpen ? [] : defaultMaskedPaths(host.thermalProcessors),
    readonlyPaths: isOpen ? [] : [...defaultReadonlyPaths],
    ...(seccomp === undefined ? {} : { seccomp }),
  };
}
