import type { OwnedFd } from "../linux/fd.ts";
import { type NamespaceName, openNamespaceOf, type OpenNamespace } from "../linux/namespace.ts";
import { sendSignal } from "../linux/process.ts";
import type { NamespaceType, RuntimeSpec } from "../oci/runtime-spec.ts";
import type { NamespaceDescriptor } from "../runtime/plan/namespaces.ts";
import { PreparedMounts } from "../runtime/prepared-mounts.ts";
import { ConflictError } from "../util/errors.ts";
import { openFirstProcess } from "./first-process.ts";
import { requireShareable } from "./joined-options.ts";
import { referredContainer } from "./namespaces.ts";
import type { MonitorSockets } from "./monitor/sockets.ts";
import type { ContainerRecord } from "./record.ts";
import { takeSharedMemory } from "./shared-memory.ts";
import { readStoredSpec } from "./stored-spec.ts";

/** What a container is started in that is there before it: all of it the caller's. */
export interface OpenedSurroundings {
  readonly openedNamespaces: ReadonlyMap<NamespaceType, NamespaceDescriptor>;
  readonly prepared?: PreparedMounts | undefined;
  /** What a monitor serves for it; only containers with a monitor have any. */
  readonly sockets?: MonitorSockets | undefined;
  /** To be called once, before the container is launched, when there is nothing else to do: see `ConnectedContainer`. */
  complete?(): Promise<void>;
}

/** What a container has of others, open until disposal, when its first process has been launched. */
export interface JoinedNamespaces extends Disposable {
  readonly openedNamespaces: ReadonlyMap<NamespaceType, NamespaceDescriptor>;
  readonly prepared: PreparedMounts;
}

/** Where the containers are looked up that are joined. */
export interface JoinableContainers {
  read(id: string): ContainerRecord;
  directory(id: string): string;
}

const names = {
  network: "net",
  ipc: "ipc",
  pid: "pid",
  uts: "uts",
  cgroup: "cgroup",
  mount: "mnt",
  user: "user",
  time: "time",
} as const satisfies Record<NamespaceType, NamespaceName>;

/**
 * Opens the namespaces of other containers that a specification refers to, by their first processes, and the directory
 * of an IPC namespace's shared memory.
 * @returns undefined when it refers to none, as nearly all do
 * @throws ConflictError a container does not run, is just being started, or does not share its IPC namespace;
 *   NotFoundError one is gone
 */
export async function joinNamespaces(
  { linux, mounts = [] }: RuntimeSpec,
  containers: JoinableContainers,
): Promise<JoinedNamespaces | undefined> {
  const wanted = (linux?.namespaces ?? []).flatMap((namespace) => {
    const id = referredContainer(namespace.path);
    return id === undefined ? [] : [{ type: namespace.type, donor: donorOf(id, containers) }];
  });
  if (wanted.length === 0) return undefined;
  using cleanup = new DisposableStack();
  const prepared = cleanup.use(new PreparedMounts());
  const openedNamespaces = new Map<NamespaceType, NamespaceDescriptor>();
  for (const { type, donor } of wanted) {
    using process = DonorProcess.open(donor, type);
    const { file, isOwn } = cleanup.use(process.namespace(type));
    if (isOwn && !isHosts(donor.spec, type)) throw notYet(donor.record, type);
    openedNamespaces.set(type, { descriptor: file.number, whose: `container ${donor.record.name}`, isOwn });
    if (type !== "ipc") continue;
    requireShareable(donor.record, donor.spec);
    const memory = mounts.find(({ source }) => referredContainer(source) === donor.record.id);
    if (memory !== undefined)
      prepared.trees.set(memory, prepared.own(await process.sharedMemory({ mayBeHosts: isOwn })));
  }
  const owned = cleanup.move();
  return { openedNamespaces, prepared, [Symbol.dispose]: () => owned.dispose() };
}

/** A container that is joined. */
interface Donor {
  readonly record: ContainerRecord;
  readonly spec: RuntimeSpec;
}

function donorOf(id: string, containers: JoinableContainers): Donor {
  return { record: containers.read(id), spec: readStoredSpec(id, containers.directory(id)) };
}

/** The first process of a container that is joined, which nothing that is opened here can be mistaken for another's. */
class DonorProcess implements Disposable {
  readonly #donor: Donor;
  readonly #type: NamespaceType;
  readonly #pid: number;
  readonly #pidfd: OwnedFd;

  private constructor(donor: Donor, type: NamespaceType, pid: number, pidfd: OwnedFd) {
    this.#donor = donor;
    this.#type = type;
    this.#pid = pid;
    this.#pidfd = pidfd;
  }

  /** @throws ConflictError the container does not run */
  static open(donor: Donor, type: NamespaceType): DonorProcess {
    const { state } = donor.record;
    const pidfd = openFirstProcess(state);
    if (pidfd === undefined || state.pid === undefined) throw notRunning(donor.record, type);
    return new DonorProcess(donor, type, state.pid, pidfd);
  }

  namespace(type: NamespaceType): OpenNamespace {
    const opened = openNamespaceOf(this.#pid, names[type]);
    // What was opened is this process's if it still lives: its number is not used again before that.
    if (opened !== undefined && sendSignal(this.#pidfd, 0)) return opened;
    opened?.[Symbol.dispose]();
    throw notRunning(this.#donor.record, this.#type);
  }

  /** What the container has at /dev/shm: with the host's IPC namespace the host's. */
  async sharedMemory(options: { readonly mayBeHosts: boolean }): Promise<OwnedFd> {
    using mounts = this.namespace("mount");
    if (mounts.isOwn) throw notYet(this.#donor.record, this.#type);
    return await takeSharedMemory(mounts.file.number, this.#donor.record.name, options);
  }

  [Symbol.dispose](): void {
    this.#pidfd.close();
  }
}

/** Whether a container is meant to have the host's namespace: by none of its own, or by way of another container. */
function isHosts({ linux }: RuntimeSpec, type: NamespaceType): boolean {
  const own = linux?.namespaces?.find((namespace) => namespace.type === type);
  return own === undefined || (own.path !== undefined && own.path !== "");
}

function notRunning({ name }: ContainerRecord, type: NamespaceType): ConflictError {
  return new ConflictError(`cannot join the ${type} namespace of container ${name}: it is not running`, {
    hint: `start ${name} first`,
  });
}

function notYet({ name }: ContainerRecord, type: NamespaceType): ConflictError {
  return new ConflictError(`cannot join the ${type} namespace of container ${name}: it is still being started`, {
    hint: "try again in a moment",
  });
}
