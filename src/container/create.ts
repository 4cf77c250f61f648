import { mkdirSync } from "node:fs";
import { hostArchitecture } from "../linux/arch.ts";
import { kernelVersion } from "../linux/kernel.ts";
import { windowSize } from "../linux/terminal.ts";
import type { Digest } from "../oci/digest.ts";
import type { ImageConfig } from "../oci/image-config.ts";
import type { Resources, RuntimeSpec, Seccomp } from "../oci/runtime-spec.ts";
import type { OverlayRoot } from "../runtime/root.ts";
import { UsageError } from "../util/errors.ts";
import type { FileOwner } from "./adjust-mounts.ts";
import { askedOptions } from "./asked-options.ts";
import type { ClaimedContainer } from "./claim.ts";
import { resolveCommand } from "./command.ts";
import { requestDevices } from "./device-requests.ts";
import { buildEtcFiles, type EtcFilePaths, hasNameServer, readHostEtc, writeEtcFiles } from "./etc-files.ts";
import { type Healthcheck, mergeHealthcheck } from "./healthcheck.ts";
import { checkAgainstHost } from "./host-checks.ts";
import { type HostFacts, readHostFacts } from "./host-facts.ts";
import { settleOptions } from "./joined-options.ts";
import type { ImagePlace, MountedImage } from "./image-mounts.ts";
import { LayeredRoot } from "./layered-root.ts";
import { withInherited } from "./inherited-mounts.ts";
import type { ContainerOptions, MountOption } from "./options.ts";
import { overlayRoot } from "./overlay-root.ts";
import type { ContainerRecord, NewContainer } from "./record.ts";
import { recordedMounts } from "./recorded-mounts.ts";
import type { ContainerStore } from "./records.ts";
import { removeContainer } from "./remove.ts";
import { defaultSeccomp, seccompFromFile } from "./seccomp-profile.ts";
import { buildRuntimeSpec, containerHostname, specCapabilities } from "./spec.ts";
import { createStoredSpec } from "./stored-spec.ts";
import { fillUpper, type MarkedLayer, readLayers, visibleLayers } from "./upper.ts";
import { readUserDatabase, resolveUser } from "./user.ts";
import { locateTarget } from "./target-path.ts";
import { volumeRequests } from "./volume-requests.ts";
import type { VolumeStore } from "./volumes.ts";

/** The image of a container to be, as the store has it. */
export interface ContainerImage {
  /** As the user named it. */
  readonly reference: string;
  readonly id: string;
  readonly config: ImageConfig;
  /** Its layers' diff IDs and directories, lowest first. */
  readonly layers: readonly { readonly diffId: Digest; readonly directory: string }[];
}

/** What {@link createContainer} needs beside the options that describe the container itself. */
export interface CreateInput {
  readonly containers: ContainerStore;
  readonly volumes: VolumeStore;
  /** The store's root directory, below which layers and containers lie. */
  readonly root: string;
  readonly image: ContainerImage;
  readonly options: ContainerOptions;
  /** Those of its mounts, in their order. */
  readonly mountedImages: readonly MountedImage[];
  readonly name?: string | undefined;
  readonly remove: boolean;
  /** What later starts and its end go by. */
  readonly life: Pick<NewContainer, "interactive" | "init" | "restart" | "log">;
  readonly user?: string | undefined;
  readonly groupAdd: readonly string[];
  /** From `resolveUserEnvironment`. */
  readonly environment: readonly string[];
  readonly addHosts: readonly { readonly name: string; readonly address: string }[];
  readonly dns: readonly string[];
  readonly dnsSearch?: readonly string[] | undefined;
  readonly dnsOptions?: readonly string[] | undefined;
  /** `80/tcp`; the image's come with it. */
  readonly exposedPorts?: readonly string[] | undefined;
  readonly stopTimeout?: number | undefined;
  /** On top of the image's. */
  readonly healthcheck?: Healthcheck | undefined;
  readonly seccomp: "default" | "unconfined" | { readonly file: string };
}

/** A container that is whole on the disk and has not been started. */
export interface CreatedContainer extends Disposable {
  /** The caller disposes of it, after removing the container if it should not stay. */
  readonly claim: ClaimedContainer;
  readonly spec: RuntimeSpec;
  /** See `storedVersion`. */
  readonly specVersion: string;
  readonly imageConfig: ImageConfig;
  readonly rootFileSystem: OverlayRoot;
  /** See `MountFacts.resolveTarget`. Until this is disposed of. */
  resolveTarget(this: void, path: string): string;
}

/**
 * Makes a container of an image: record, directories, files for /etc, volumes and specification. Everything that the
 * options could have wrong is found before anything is made.
 * @throws UsageError, NoCommandError, UnknownUserError, ConflictError (the name), SystemCallError
 */
export async function createContainer(given: CreateInput): Promise<CreatedContainer> {
  const input = withMounts(given);
  const { image } = input;
  const { options, etcFiles } = settleOptions(input.options, input.containers);
  await using cleanup = new AsyncDisposableStack();
  const layers = readLayers(image.layers.map(({ directory }) => directory));
  const visible = visibleLayers(layers).map(({ directory }) => directory);
  const imageRoot = cleanup.use(LayeredRoot.open(visible));
  const host = readHostFacts({ devices: options.privileged });
  checkAgainstHost(options, host);
  if (options.diskSize !== undefined) {
    const { checkDiskLimit } = await import("./disk-limit.ts");
    checkDiskLimit(`${input.root}/containers`);
  }
  const devices = requestDevices(options.devices ?? []);
  const wantedUser = input.user ?? image.config.config?.User ?? "";
  const user = resolveUser(wantedUser, input.groupAdd, readUserDatabase(imageRoot));
  const seccomp = await seccompOf(input, host);
  const limits = await limitsOf(options);
  const requests = volumeRequests(image.config.config, options.mounts);
  const command = resolveCommand({ ...options, image: image.config.config });
  createBindSources(options);

  const claim = cleanup.adopt(
    input.containers.create({
      name: input.name,
      image: { reference: image.reference, id: image.id },
      command,
      labels: { ...image.config.config?.Labels, ...options.labels },
      mounts: recordedMounts(options.mounts, requests, input.mountedImages),
      layers: image.layers.map(({ diffId }) => diffId),
      remove: input.remove,
      terminal: options.terminal,
      ...input.life,
      ...(wantedUser !== "" && { user: wantedUser }),
      ...(input.groupAdd.length > 0 && { groupAdd: input.groupAdd }),
      environment: [...(image.config.config?.Env ?? []), ...input.environment],
      ...(options.networks !== undefined && { networks: options.networks }),
      ...(options.ports !== undefined && { ports: options.ports }),
      ...(options.publishAllPorts === true && { publishAllPorts: true }),
      options: askedOptions({
        ...options,
        // The record says which networks it is in.
        network: options.network === "connected" ? undefined : options.network,
        mounts: given.options.mounts,
        ...given,
      }),
      ...(stopSignalOf(input) !== undefined && { stopSignal: stopSignalOf(input) as string }),
      ...furtherDetails(input),
    }),
    (unfinished) => removeContainer(input, unfinished, { anonymousVolumes: true }),
  );
  const volumes = await input.volumes.prepare(requests, { container: claim.id, image: imageRoot, owner: user });
  await adjustBinds(options.mounts, user);
  const images = input.mountedImages.length === 0 ? [] : await placesOfImages(input, claim);
  const spec = buildRuntimeSpec({
    id: claim.id,
    image: image.config,
    options,
    environment: input.environment,
    user,
    volumes,
    images,
    etcFiles: etcFiles ?? ownEtcFiles(input, claim, options),
    rootPath: "rootfs",
    host,
    devices,
    seccomp,
    limits,
    ...(options.terminal && { consoleSize: windowSize(1) ?? windowSize(0) }),
  });
  const specVersion = createStoredSpec(claim.directory, spec);
  const rootFileSystem = await makeOverlay(input, claim, layers);
  cleanup.move();
  return {
    claim,
    spec,
    specVersion,
    imageConfig: image.config,
    rootFileSystem,
    resolveTarget: (path) => locateTarget(imageRoot, path),
    [Symbol.dispose]: () => imageRoot[Symbol.dispose](),
  };
}

async function openPlaces(
  mountedImages: readonly MountedImage[],
  directory: string,
  { mounts }: ContainerRecord,
): Promise<ImagePlace[]> {
  const { imagePlaces } = await import("./image-mounts.ts");
  const directories = new Map(
    mountedImages.flatMap(({ layers }) => layers.map((layer) => [layer.diffId, layer.directory] as const)),
  );
  return imagePlaces(directory, mounts, (diffId) => directories.get(diffId) ?? "");
}

async function placesOfImages({ mountedImages }: CreateInput, { directory }: ClaimedContainer) {
  const { makeImagePlaces } = await import("./image-mounts.ts");
  return makeImagePlaces(directory, mountedImages);
}

/** The options with the mounts of other containers that the user wants, too. */
function withMounts(input: CreateInput): CreateInput {
  const { volumesFrom = [], mounts } = input.options;
  if (volumesFrom.length === 0) return input;
  return { ...input, options: { ...input.options, mounts: withInherited(mounts, volumesFrom, input.containers) } };
}

async function adjustBinds(mounts: readonly MountOption[], owner: FileOwner): Promise<void> {
  for (const mount of mounts) {
    if (mount.type !== "bind" || mount.adjust === undefined) continue;
    const { adjustBind } = await import("./adjust-mounts.ts");
    await adjustBind(mount.source, mount.adjust, owner);
  }
}

/** The record's fields that most containers do not have. */
function furtherDetails(input: CreateInput): Partial<NewContainer> {
  const { image, stopTimeout = image.config.config?.StopTimeout } = input;
  const healthcheck = mergeHealthcheck(input.healthcheck, image.config.config);
  const exposedPorts = [
    ...Object.keys(image.config.config?.ExposedPorts ?? {}),
    ...(input.exposedPorts ?? []),
    // As Docker's command line has it.
    ...(input.options.ports ?? []).map(({ containerPort, protocol }) => `${containerPort}/${protocol}`),
  ];
  return {
    ...(stopTimeout !== undefined && { stopTimeout }),
    ...(healthcheck !== undefined && { healthcheck }),
    ...(exposedPorts.length > 0 && { exposedPorts: [...new Set(exposedPorts)].toSorted() }),
  };
}

function ownEtcFiles(input: CreateInput, claim: ClaimedContainer, options: ContainerOptions): EtcFilePaths {
  const files = buildEtcFiles(
    {
      hostname: containerHostname(claim.id, options),
      domainname: options.domainname,
      network: options.network,
      addHosts: input.addHosts,
      dns: input.dns,
      dnsSearch: input.dnsSearch,
      dnsOptions: input.dnsOptions,
      hasNameServer: hasNameServer(options.networks),
    },
    readHostEtc(),
  );
  return writeEtcFiles(claim.directory, files);
}

function stopSignalOf({ options, image }: CreateInput): string | undefined {
  return options.stopSignal ?? image.config.config?.StopSignal;
}

async function seccompOf({ seccomp, options }: CreateInput, host: HostFacts): Promise<Seccomp | undefined> {
  if (seccomp === "unconfined" || (seccomp === "default" && options.privileged)) return undefined;
  const facts = {
    capabilities: specCapabilities(options, host),
    architecture: hostArchitecture,
    kernel: host.kernel,
  };
  return seccomp === "default" ? defaultSeccomp(facts) : seccompFromFile(seccomp.file, facts);
}

async function limitsOf({ resources }: ContainerOptions): Promise<Resources | undefined> {
  if (resources === undefined) return undefined;
  const [{ newResources }, { resourceHost }] = await Promise.all([
    import("./resources.ts"),
    import("./resource-host.ts"),
  ]);
  return newResources(resources, resourceHost);
}

/** `-v` makes a missing source directory, as Docker does; `--mount` takes it for a mistake unless it is told to. */
function createBindSources({ mounts }: ContainerOptions): void {
  for (const mount of mounts) {
    if (mount.type !== "bind" || !(mount.createSource || mount.createMountpoint === true)) continue;
    try {
      mkdirSync(mount.source, { recursive: true, mode: 0o755 });
    } catch (error) {
      // A file, or anything else that can be mounted.
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      const reason = (error as Error).message;
      throw new UsageError(`cannot make the directory ${mount.source} to mount: ${reason}`, { cause: error });
    }
  }
}

/** The directories of the container's own, and the overlay that they and the layers make. */
async function makeOverlay(
  { root, remove, mountedImages, options: { diskSize } }: CreateInput,
  { directory, record }: ClaimedContainer,
  layers: readonly MarkedLayer[],
): Promise<OverlayRoot> {
  const upper = `${directory}/upper`;
  const work = `${directory}/work`;
  for (const path of [upper, work, `${directory}/rootfs`]) mkdirSync(path, { mode: 0o700 });
  if (diskSize !== undefined) {
    const { limitDisk } = await import("./disk-limit.ts");
    limitDisk([upper, work], diskSize);
  }
  fillUpper(upper, layers);
  const images = mountedImages.length === 0 ? [] : await openPlaces(mountedImages, directory, record);
  return overlayRoot({ root, directory, layers, volatile: remove, kernel: kernelVersion(), images });
}
