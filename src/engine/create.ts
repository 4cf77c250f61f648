import { existsSync } from "node:fs";
import { createContainer, type CreatedContainer } from "../container/create.ts";
import type { MountedImage } from "../container/image-mounts.ts";
import { resolveUserEnvironment } from "../container/environment.ts";
import { containerEvent } from "../container/events.ts";
import { removeContainer as removeFiles } from "../container/remove.ts";
import { defaultNetworkName } from "../network/record.ts";
import { distinctLayers, type StoredImage } from "../image/stored-image.ts";
import { errorMessage, NotFoundError, UsageError } from "../util/errors.ts";
import { writeFileExclusive } from "../util/exclusive-file.ts";
import { findBuiltIn, isBuiltIn } from "./built-in.ts";
import { refuseConflicts } from "./conflicts.ts";
import type { EngineContext } from "./context.ts";
import { findImage } from "./find-image.ts";
import type { RunOptions } from "./options.ts";
import { type ContainerStores, openContainers } from "./reconcile.ts";
import { recordEvent } from "./record-event.ts";
import type { RunUi } from "./run-ui.ts";

/** A container that was made, and the stores that it is in. */
export interface NewContainer extends Disposable {
  readonly stores: ContainerStores;
  readonly created: CreatedContainer;
}

/**
 * `gocker create`: finds or pulls the image and makes a container of it, which the caller has the claim of.
 * @throws any GockerError: nothing is left of the container then
 */
export async function createFromOptions(context: EngineContext, given: RunOptions, ui: RunUi): Promise<NewContainer> {
  checkBeforehand(given);
  const options = await settleNetworks(context, given, ui);
  if (options.log?.driver === "journald") (await import("../container/logs/journald-log.ts")).checkJournald();
  const environment = resolveUserEnvironment(options.environment, options.environmentFiles, process.env);
  const stores = await openContainers(context, (id, error) =>
    ui.warn(`container ${id.slice(0, 12)} could not be put in order: ${errorMessage(error)}`),
  );
  const created = await createFromImage({ context, options, ui, stores, environment });
  recordEvent(context, containerEvent(created.claim.record, "create"));
  return { stores, created, [Symbol.dispose]: () => created[Symbol.dispose]() };
}

/**
 * `gocker create` by itself: the container is there, to be started.
 * @returns its ID
 * @throws as {@link createFromOptions}
 */
export async function create(context: EngineContext, options: RunOptions, ui: RunUi): Promise<string> {
  using made = await createFromOptions(context, options, ui);
  using claim = made.created.claim;
  return claim.id;
}

/** Networks by their names, as long as they are there; ports only where there is a network to publish them from. */
async function settleNetworks(context: EngineContext, options: RunOptions, ui: RunUi): Promise<RunOptions> {
  const { networks, ports = [], publishAllPorts = false } = options;
  const hasPorts = ports.length > 0 || publishAllPorts;
  if (networks === undefined && hasPorts) {
    ui.warn("published ports are left out: the container is in no network of gocker's");
    const { ports: _ports, publishAllPorts: _all, ...others } = options;
    return others;
  }
  if (networks === undefined || networks.every(({ network }) => network === defaultNetworkName)) return options;
  const { canonicalNetworks } = await import("./network/canonical.ts");
  const canonical = canonicalNetworks(context, networks);
  if (hasPorts) {
    const { whyUnpublished } = await import("./network/unpublished.ts");
    const reason = whyUnpublished(context, canonical);
    if (reason !== undefined) ui.warn(`published ports are left out: ${reason}`);
  }
  return { ...options, networks: canonical };
}

/** What can be refused before an image is pulled. */
function checkBeforehand(options: RunOptions): void {
  refuseConflicts(options);
  if (options.cidFile !== undefined && existsSync(options.cidFile)) {
    throw new UsageError(`the container ID file ${options.cidFile} exists`, {
      hint: "another container may run under it: remove the file or name another one",
    });
  }
}

interface CreateRequest {
  readonly context: EngineContext;
  readonly options: RunOptions;
  readonly ui: RunUi;
  readonly stores: ContainerStores;
  readonly environment: readonly string[];
}

async function createFromImage(request: CreateRequest): Promise<CreatedContainer> {
  const { context, options, stores, environment } = request;
  const wanted = options.mounts.filter((mount) => mount.type === "image");
  const ids: string[] = [];
  for (const { image: name } of wanted) {
    // Whoever pulls waits for those who hold images, also for himself.
    using found = await findOrPull(request, name);
    ids.push(found.image.id);
  }
  using pins = new DisposableStack();
  const { image } = pins.use(await findOrPull(request, options.image));
  const mountedImages: MountedImage[] = [];
  for (const [index, option] of wanted.entries()) {
    const mounted = pins.use(await pinned(context, ids[index] ?? "", option.image)).image;
    mountedImages.push({ option, id: mounted.id, layers: layersOf(context, mounted) });
  }
  const created = await createContainer({
    ...stores,
    root: context.root,
    image: { reference: options.image, id: image.id, config: image.config, layers: layersOf(context, image) },
    options,
    mountedImages,
    name: options.name,
    remove: options.remove,
    life: {
      interactive: options.interactive,
      init: options.init,
      ...(options.restart !== undefined && { restart: options.restart }),
      ...(options.log !== undefined && { log: options.log }),
    },
    user: options.user,
    groupAdd: options.groupAdd,
    environment,
    addHosts: options.addHosts,
    dns: options.dns,
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOptions,
    exposedPorts: options.exposedPorts,
    stopTimeout: options.stopTimeout,
    healthcheck: options.healthcheck,
    seccomp: options.seccomp,
  });
  try {
    if (options.cidFile !== undefined) writeFileExclusive(options.cidFile, created.claim.id);
  } catch (error) {
    await removeFiles(stores, created.claim, { anonymousVolumes: true });
    throw error;
  }
  return created;
}

function layersOf({ images }: EngineContext, image: StoredImage) {
  const layers = distinctLayers(image.config.rootfs.diff_ids);
  return layers.map((diffId) => ({ diffId, directory: images.layerDirectory(diffId) }));
}

/** An image that nobody can remove as long as this is held: until a container's record names it. */
interface PinnedImage extends Disposable {
  readonly image: StoredImage;
}

/** @param name of the container's image, or of one that is to be mounted in it */
async function findOrPull({ context, options, ui }: CreateRequest, name: string): Promise<PinnedImage> {
  if (isBuiltIn(name)) {
    const { id } = await findBuiltIn(context, name, { platform: options.platform });
    return pinned(context, id, name);
  }
  if (options.pull !== "always") {
    const present = await pinnedIfPresent(context, name);
    if (present !== undefined) {
      if (present.image.certain && (await fitsPlatform(present.image, options.platform))) return present;
      present[Symbol.dispose]();
      // What the last boot may have damaged is put right first, and not while others are kept from it.
      const mended = await findImage(context, name, { onProgress: ui.onPullProgress });
      if (mended !== undefined && (await fitsPlatform(mended, options.platform))) {
        return pinned(context, mended.id, name);
      }
    }
    if (options.pull === "never") throw noSuchImage(name);
  }
  const { pull } = await import("./pull.ts");
  const { image, substituted } = await pull(context, name, {
    platform: options.platform,
    onProgress: ui.onPullProgress,
  });
  if (substituted !== undefined) {
    ui.warn(`${name} has no tag "latest": took "${substituted}", the last one that the registry lists`);
  }
  return pinned(context, image.id, name);
}

async function pinnedIfPresent({ images }: EngineContext, nameOrId: string): Promise<PinnedImage | undefined> {
  using cleanup = new DisposableStack();
  const pin = cleanup.use(await images.pin());
  const image = images.resolve(nameOrId);
  if (image === undefined) return undefined;
  cleanup.move();
  return { image, [Symbol.dispose]: () => pin[Symbol.dispose]() };
}

async function pinned(context: EngineContext, id: string, name: string): Promise<PinnedImage> {
  const found = await pinnedIfPresent(context, id);
  if (found === undefined) throw noSuchImage(name);
  return found;
}

async function fitsPlatform(image: StoredImage, wanted: string | undefined): Promise<boolean> {
  if (wanted === undefined) return true;
  const { parsePlatform, platformDistance } = await import("../oci/platform.ts");
  return platformDistance(image.config, parsePlatform(wanted)) !== undefined;
}

function noSuchImage(name: string): NotFoundError {
  return new NotFoundError(`no such image here: ${name}`, { hint: "leave out --pull=never to pull it" });
}
