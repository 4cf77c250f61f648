import { reconcileContainers } from "../container/reconcile.ts";
import { ContainerStore } from "../container/records.ts";
import { VolumeStore } from "../container/volumes.ts";
import type { EngineContext } from "./context.ts";

/** The containers and volumes of a root directory. */
export interface ContainerStores {
  readonly containers: ContainerStore;
  readonly volumes: VolumeStore;
}

/**
 * Opens the containers of a context, after putting in order what gockers that died left there: see
 * `reconcileContainers`, which costs nearly nothing when there is nothing to do.
 * @param onError told of containers that could not be put in order
 */
export async function openContainers(
  context: Pick<EngineContext, "root" | "state">,
  onError: (id: string, error: unknown) => void = () => {},
): Promise<ContainerStores> {
  const stores = { containers: ContainerStore.open(context.root), volumes: VolumeStore.open(context.root) };
  const kill = (id: string) => killLeftovers(context.state, id, stores.containers.directory(id));
  await reconcileContainers({ ...stores, kill, onError });
  return stores;
}

/** Ends the processes of a container by its cgroup, which knows them all, and removes that and its monitor's socket. */
async function killLeftovers(state: string, id: string, directory: string): Promise<void> {
  const [{ openCgroup }, { removeMonitorSocket }, { cgroupPathOf }] = await Promise.all([
    import("../runtime/cgroup/open.ts"),
    import("../container/monitor/socket.ts"),
    import("../container/stored-spec.ts"),
  ]);
  removeMonitorSocket(state, id);
  using cgroup = openCgroup(cgroupPathOf(id, directory));
  cgroup.kill();
  cgroup.remove();
}
