import { reconcileContainers } from "../../src/container/reconcile.ts";
import { ContainerStore } from "../../src/container/records.ts";
import { LayeredRoot } from "../../src/container/layered-root.ts";
import { removeContainer } from "../../src/container/remove.ts";
import { nameVolumes, VolumeStore } from "../../src/container/volumes.ts";
import { newContainer } from "../helpers/container.ts";

/**
 * Run by container-crash.test.ts as a process of its own, to be killed at any moment: makes, runs and removes
 * containers with volumes as fast as it can. Arguments: gocker's root, and a layer.
 */
const [root = "", layer = ""] = process.argv.slice(2);
const stores = { containers: ContainerStore.open(root), volumes: VolumeStore.open(root) };
const requests = [
  { target: "/data", readOnly: false, noCopy: false },
  { name: "kept", target: "/data", readOnly: false, noCopy: false },
];
await Bun.write(Bun.stdout, "ready\n");
for (;;) {
  await reconcileContainers({
    ...stores,
    kill: () => {},
    onError: (_, error) => {
      throw error;
    },
  });
  using image = LayeredRoot.open([layer]);
  const names = nameVolumes(requests);
  const mounts = names.map((name, index) => ({
    type: "volume" as const,
    name,
    anonymous: index === 0,
    destination: "/data",
    readOnly: false,
  }));
  using claim = stores.containers.create(newContainer({ remove: true, mounts }));
  await stores.volumes.prepare(requests, names, image);
  claim.markRunning(process.pid);
  claim.markExited({ exitCode: 0 });
  await removeContainer(stores, claim, { anonymousVolumes: true });
}
