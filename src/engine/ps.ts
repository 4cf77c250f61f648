import { type DeadContainer, deadContainers } from "../container/dead.ts";
import type { ContainerRecord, ContainerState, RecordedMount } from "../container/record.ts";
import { type ShownStatus, shownStatus } from "../container/status.ts";
import { distinctLayers } from "../image/stored-image.ts";
import { EndpointStore } from "../network/endpoints.ts";
import { leadsSomewhere, type Publication } from "../network/publication.ts";
import { InvalidReferenceError } from "../oci/reference.ts";
import { GockerError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import type { ContainerSizes } from "./inspect/facts.ts";
import { openContainers } from "./reconcile.ts";

/** What a list shows of a container. */
export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  /** As the user named it. */
  readonly image: string;
  readonly imageId: string;
  /** The diff IDs of the image's layers, lowest first. */
  readonly layers: readonly string[];
  readonly command: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly RecordedMount[];
  /** `80/tcp` */
  readonly exposedPorts: readonly string[];
  /** What is reachable on the host; nothing while it does not run. */
  readonly publications: readonly Publication[];
  /** The names of the networks that it is in. */
  readonly networks: readonly string[];
  readonly status: ShownStatus;
  readonly state: ContainerState;
}

export interface ListContainersOptions {
  /** Also those that do not run. */
  readonly all: boolean;
  readonly onTrouble?: (trouble: ListTrouble) => void;
}

/** What is told beside a list. */
export interface ListTrouble {
  /**
   * What is wrong with the container: it is shown as dead, as its record is damaged; it is left out, as it is a newer
   * gocker's; or what became of it is not on record, as that could not be written.
   */
  readonly kind: "dead" | "left out" | "unwritten";
  readonly id: string;
  readonly error: unknown;
}

/** The containers, the newest first. One whose record is damaged is among them, with what is known of it. */
export async function listContainers(
  context: Pick<EngineContext, "root" | "state">,
  { all, onTrouble }: ListContainersOptions,
): Promise<ContainerSummary[]> {
  const troubles = new Map<string, unknown>();
  const { containers } = await openContainers(context, (id, error) => void troubles.set(id, error));
  const broken = new Map<string, unknown>();
  const records = containers.list((id, error) => void broken.set(id, error));
  const shown = records.filter(({ state }) => all || isAlive(state));
  // Only of those that run there is something to ask, and of the host only once.
  const isPaused = shown.some(({ state }) => state.status === "running") ? await pauseProbe() : () => false;
  const summaries = shown.flatMap((record) => {
    try {
      const paused = record.state.status === "running" && isPaused(record.id, containers.directory(record.id));
      return [summaryOf(record, paused, publicationsOf(context, record))];
    } catch (error) {
      if (!(error instanceof GockerError)) throw error;
      broken.set(record.id, error);
      return [];
    }
  });
  const dead = deadContainers(containers, broken);
  for (const { id } of dead) onTrouble?.({ kind: "dead", id, error: broken.get(id) });
  for (const [id, error] of broken) {
    if (!dead.some((one) => one.id === id)) onTrouble?.({ kind: "left out", id, error });
  }
  for (const [id, error] of troubles) if (!broken.has(id)) onTrouble?.({ kind: "unwritten", id, error });
  if (!all || dead.length === 0) return summaries;
  return [...summaries, ...dead.map(deadSummary)].sort((a, b) => (a.created < b.created ? 1 : -1));
}

/** What nobody knows any more is empty. */
function deadSummary(dead: DeadContainer): ContainerSummary {
  return {
    ...dead,
    image: "",
    imageId: "",
    layers: [],
    command: [],
    mounts: [],
    exposedPorts: [],
    publications: [],
    networks: [],
    status: "dead",
    state: { status: "exited" },
  };
}

function isAlive({ status }: ContainerState): boolean {
  return status === "running" || status === "restarting";
}

async function pauseProbe(): Promise<(id: string, directory: string) => boolean> {
  const [{ isPaused }, { detectCgroups }] = await Promise.all([
    import("../container/paused.ts"),
    import("../runtime/cgroup/detect.ts"),
  ]);
  const host = detectCgroups();
  return (id, directory) => isPaused(id, directory, host);
}

/** The ports of a container that are published now. */
export function publicationsOf(
  { state }: Pick<EngineContext, "state">,
  { id, ports = [], publishAllPorts = false }: Pick<ContainerRecord, "id" | "ports" | "publishAllPorts">,
): readonly Publication[] {
  if (ports.length === 0 && !publishAllPorts) return [];
  return (new EndpointStore(state).read(id)?.publications ?? []).filter(leadsSomewhere);
}

function summaryOf(record: ContainerRecord, paused: boolean, publications: readonly Publication[]): ContainerSummary {
  const { id, name, image, layers, command, created, labels, mounts, exposedPorts = [], options, state } = record;
  return {
    id,
    name,
    image: image.reference,
    imageId: image.id,
    layers,
    command,
    created,
    labels,
    mounts,
    exposedPorts,
    publications,
    // Whose network another container's is, that one says.
    networks:
      record.networks?.map(({ network }) => network) ?? (typeof options?.network === "string" ? [options.network] : []),
    status: shownStatus(state, paused),
    state,
  };
}

/** How much a container has written, and that with its image; as {@link containerSizes} throws. */
export async function sizesOf(context: EngineContext, { id, layers }: ContainerSummary): Promise<ContainerSizes> {
  const { containerSizes } = await import("./container-sizes.ts");
  return containerSizes(context, { layers }, `${context.root}/containers/${id}`);
}

/**
 * Tells which containers are of an image, or of one that was made of it: that has its layers and more, or its layers and a
 * history that goes on from its own. One that is not here is known by its name and ID alone.
 */
export function descendsFrom(
  { images }: Pick<EngineContext, "images">,
  nameOrId: string,
): (container: ContainerSummary) => boolean {
  const image = find();
  const ancestor = image === undefined ? [] : distinctLayers(image.config.rootfs.diff_ids);
  const id = nameOrId.replace(/^sha256:/, "");
  return (container) => {
    if (container.image === nameOrId || container.imageId === image?.id) return true;
    if (/^[0-9a-f]+$/.test(id) && container.imageId.startsWith(`sha256:${id}`)) return true;
    const hasLayers = ancestor.length > 0 && ancestor.every((layer, index) => container.layers[index] === layer);
    return hasLayers && (container.layers.length > ancestor.length || goesOn(container.imageId));
  };

  /** Of an image with the same layers. */
  function goesOn(imageId: string): boolean {
    const before = image?.config.history ?? [];
    const history = images.resolve(imageId)?.config.history ?? [];
    return history.length > before.length && before.every((entry, index) => Bun.deepEquals(entry, history[index]));
  }

  function find() {
    try {
      return images.resolve(nameOrId);
    } catch (error) {
      if (error instanceof InvalidReferenceError) return undefined;
      throw error;
    }
  }
}
