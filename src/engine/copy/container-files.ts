import type { ContainerRecord } from "../../container/record.ts";
import { RecordedContainer } from "../../container/recorded-container.ts";
import { volumesOf } from "../../container/recorded-mounts.ts";
import { confinedSources } from "../../container/volume-place.ts";
import { CLONE_NEWNS } from "../../linux/constants.ts";
import { duplicate } from "../../linux/fd.ts";
import { openJoinTarget } from "../../runtime/join-target.ts";
import { type FileView, mountView } from "../../runtime/view.ts";
import { ConflictError, GockerError } from "../../util/errors.ts";
import type { EngineContext } from "../context.ts";
import { openStored } from "../open-container.ts";
import { type ContainerStores, openContainers } from "../reconcile.ts";

/** The files of a container, and what is known of it. Nobody starts one that does not run until this is disposed of. */
export interface ContainerFiles extends Pick<FileView, "root">, AsyncDisposable {
  readonly record: ContainerRecord;
}

/** How long another gocker may take to start the container or to be done with it; in milliseconds. */
const longestWait = 10_000;

/**
 * The files of a container as its processes see them; of one that does not run, as they would see them, but for what is
 * only there while it runs.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError, UsageError; ConflictError another gocker works on it; the errors of `mountView`
 */
export async function openContainerFiles(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
): Promise<ContainerFiles> {
  const stores = await openContainers(context);
  const { containers } = stores;
  const id = containers.resolve(reference);
  const deadline = performance.now() + longestWait;
  do {
    const record = containers.read(id);
    const container = new RecordedContainer(record, containers.directory(id));
    // Until its first process is set up, what that sees may be the host.
    const status = container.status();
    const files = status === "stopped" ? await atRest(context.root, stores, id) : undefined;
    if (files !== undefined) return files;
    const view = status === "running" || status === "paused" ? ofRunning(container) : undefined;
    if (view !== undefined) {
      const { root } = view;
      return { root, record, [Symbol.asyncDispose]: async () => view[Symbol.dispose]() };
    }
    await Bun.sleep(5);
  } while (performance.now() < deadline);
  throw new ConflictError(`another gocker works on container ${reference}`);
}

/** @returns undefined when it has ended */
function ofRunning(container: RecordedContainer): FileView | undefined {
  using target = openJoinTarget(container);
  if (target === undefined) return undefined;
  if ((target.namespaces & CLONE_NEWNS) === 0) {
    throw new GockerError("MOUNTS", `the container ${container.id} has no mounts of its own`);
  }
  const root = duplicate(target.root);
  return { root, [Symbol.dispose]: () => root.close() };
}

/** @returns undefined when somebody else has it */
async function atRest(
  root: string,
  { containers, volumes }: ContainerStores,
  id: string,
): Promise<ContainerFiles | undefined> {
  await using cleanup = new AsyncDisposableStack();
  const claim = containers.claim(id);
  if (claim === undefined) return undefined;
  cleanup.use(claim);
  // Started before it was claimed: by a gocker that has died since.
  if (claim.record.state.status === "running") return undefined;
  const { spec, rootFileSystem, resolveTarget } = cleanup.use(openStored(root, claim));
  cleanup.use(await volumes.use(volumesOf(claim.record.mounts), id));
  const view = await mountView({
    spec,
    // A volatile overlay is one that cannot be mounted again.
    root: { ...rootFileSystem, volatile: false },
    resolveTarget,
    confined: confinedSources(claim.directory),
  });
  cleanup.use(view);
  const owned = cleanup.move();
  return { root: view.root, record: claim.record, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
