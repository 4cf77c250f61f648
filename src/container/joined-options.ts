import { hostname } from "node:os";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { ConflictError } from "../util/errors.ts";
import type { EtcFilePaths } from "./etc-files.ts";
import { isJoined, referredContainer } from "./namespaces.ts";
import type { ContainerOptions, JoinedContainer } from "./options.ts";
import type { ContainerRecord } from "./record.ts";
import type { ContainerStore } from "./records.ts";
import { readStoredSpec } from "./stored-spec.ts";

/** Options as a specification can be made of them, and what follows from the container whose network it is. */
export interface SettledOptions {
  readonly options: ContainerOptions;
  /** The files of /etc of the container whose network it is; absent: files of its own. */
  readonly etcFiles?: EtcFilePaths;
}

/**
 * Looks up what options take over from other containers and from the host: the IDs of containers that are joined, and
 * the names and files that go with a network and with the host's UTS namespace.
 * @throws NotFoundError, UsageError (several fit), ConflictError a container that does not share its IPC namespace
 */
export function settleOptions(options: ContainerOptions, containers: ContainerStore): SettledOptions {
  const settled = { ...options };
  if (isJoined(options.pid)) settled.pid = resolved(options.pid, containers);
  if (isJoined(options.ipc)) {
    settled.ipc = resolved(options.ipc, containers);
    const id = settled.ipc.container;
    requireShareable(containers.read(id), readStoredSpec(id, containers.directory(id)));
  }
  // On its network a container is known by the host's name, unless it has one of its own.
  if (options.uts === "host" || (options.network === "host" && options.hostname === undefined)) {
    settled.hostname = hostname();
  }
  if (!isJoined(options.network)) return { options: settled };
  settled.network = resolved(options.network, containers);
  const id = settled.network.container;
  const spec = readStoredSpec(id, containers.directory(id));
  // As Docker has it: programs look up their own name in the hosts file, which is that container's too.
  if (options.uts !== "host" && spec.hostname !== undefined) settled.hostname = spec.hostname;
  if (options.uts !== "host" && spec.domainname !== undefined) settled.domainname = spec.domainname;
  const etcFiles = etcFilesOf(spec);
  return { options: settled, ...(etcFiles !== undefined && { etcFiles }) };
}

function resolved({ container }: JoinedContainer, containers: ContainerStore): JoinedContainer {
  return { container: containers.resolve(container) };
}

/**
 * A private IPC namespace stays so, as with Docker; that of the host and of another container is shared already.
 * @throws ConflictError
 */
export function requireShareable({ name, options }: ContainerRecord, { linux }: RuntimeSpec): void {
  const own = linux?.namespaces?.find(({ type }) => type === "ipc");
  if (options?.ipc === "shareable" || own === undefined || referredContainer(own.path) !== undefined) return;
  throw new ConflictError(`cannot join the IPC namespace of container ${name}: it is private`, {
    hint: `run ${name} with --ipc shareable`,
  });
}

function etcFilesOf({ mounts = [] }: RuntimeSpec): EtcFilePaths | undefined {
  const sourceOf = (path: string) => mounts.find(({ destination }) => destination === path)?.source;
  const [name, hosts, resolvConf] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].map(sourceOf);
  return name !== undefined && hosts !== undefined && resolvConf !== undefined
    ? { hostname: name, hosts, resolvConf }
    : undefined;
}
