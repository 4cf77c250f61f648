import { reconcileContainers } from "../../src/container/reconcile.ts";
import { ContainerStore } from "../../src/container/records.ts";
import { LayeredRoot } from "../../src/container/layered-root.ts";
import { removeContainer } from "../../src/container/remove.ts";
import { recordedMounts } from "../../src/container/recorded-mounts.ts";
import { volumeRequests } from "../../src/container/volume-requests.ts";
import { VolumeStore } from "../../src/container/volumes.ts";
import { newContainer } from "../helpers/container.ts";

/**
 * Run by container-crash.test.ts as a process of its own, to be killed at any moment: makes, runs and removes
 * containers with volumes as fast as it can. Arguments: gocker's root, and a layer.
 */
const [root = "", layer = ""] = process.argv.slice(2);
const stores = { containers: ContainerStore.open(root), volumes: VolumeStore.open(root) };
const wanted = { type: "volume", target: "/data", readOnly: false, noCopy: false } as const;
for (let round = 0; ; round++) {
  await reconcileContainers({
    ...stores,
    kill: () => {},
    onError: (_, error) => {
      throw error;
    },
  });
  using image = LayeredRoot.open([layer]);
  const requests = volumeRequests(undefined, [wanted, { ...wanted, name: "kept" }]);
  using claim = stores.containers.create(newContainer({ remove: true, mounts: recordedMounts([], requests) }));
  await stores.volumes.prepare(requests, { container: claim.id, image, owner: { uid: 0, gid: 0 } });
  claim.markRunning(process.pid);
  claim.markExited({ exitCode: 0 });
  await removeContainer(stores, claim, { anonymousVolumes: true });
  // The first round loads what the others have, which would take most of such a short life.
  if (round === 0) await Bun.write(Bun.stdout, "ready\n");
}
