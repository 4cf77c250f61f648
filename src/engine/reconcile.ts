import { containerEvent } from "../container/events.ts";
import { shortId } from "../util/ids.ts";
import { reconcileContainers } from "../container/reconcile.ts";
import { ContainerStore } from "../container/records.ts";
import { VolumeStore } from "../container/volumes.ts";
import { errorMessage } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { recordEnd, recordEvent } from "./record-event.ts";
import { leaveNetworks } from "./surroundings.ts";

/** The containers and volumes of a root directory. */
export interface ContainerStores {
  readonly containers: ContainerStore;
  readonly volumes: VolumeStore;
}

/**
 * Opens the containers of a context, after putting in order what gockers that died left there: see
 * `reconcileContainers`, which costs nearly nothing when there is nothing to do.
 * @param onError told of containers that could not be put in order; without it the debug log is
 */
export async function openContainers(
  context: Pick<EngineContext, "root" | "state"> & Partial<Pick<EngineContext, "debug">>,
  onError: (id: string, error: unknown) => void = (id, error) =>
    context.debug?.(`container ${shortId(id)} could not be put in order: ${errorMessage(error)}`),
): Promise<ContainerStores> {
  const { root, state, debug } = context;
  const volumes = VolumeStore.open(root, (id, action) => {
    recordEvent({ state, debug }, { type: "volume", action, id, attributes: { driver: "local" } });
  });
  const stores = { containers: ContainerStore.open(root), volumes };
  const kill = (id: string) => killLeftovers(context, id, stores.containers.directory(id));
  const told = { state, debug };
  await reconcileContainers({
    ...stores,
    kill,
    onEnd: (record, end) => recordEnd(told, record, end),
    onRemoved: (record) => recordEvent(told, containerEvent(record, "destroy")),
    onError,
  });
  return stores;
}

/**
 * Ends the processes of a container by its cgroup, which knows them all, and removes that, its monitor's socket and what
 * it has of its networks. For the holder of its lock: who held it before may have died since {@link openContainers} looked.
 */
export async function killLeftovers(
  context: Pick<EngineContext, "root" | "state">,
  id: string,
  directory: string,
): Promise<void> {
  const [{ openCgroup }, { removeMonitorSocket }, { cgroupPathOf }] = await Promise.all([
    import("../runtime/cgroup/open.ts"),
    import("../container/monitor/socket.ts"),
    import("../container/stored-spec.ts"),
  ]);
  removeMonitorSocket(context.state, id);
  using cgroup = openCgroup(cgroupPathOf(id, directory));
  cgroup.kill();
  cgroup.remove();
  await leaveNetworks(context, id);
}
