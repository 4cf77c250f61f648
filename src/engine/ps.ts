import type { ContainerState, RecordedMount } from "../container/record.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";

/** What a list shows of a container. */
export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  /** As the user named it. */
  readonly image: string;
  readonly imageId: string;
  readonly command: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly RecordedMount[];
  readonly state: ContainerState;
}

export interface ListContainersOptions {
  /** Also those that do not run. */
  readonly all: boolean;
  /** Told of containers whose record cannot be read, or that could not be put in order; they are left out. */
  readonly onBroken?: (id: string, error: unknown) => void;
}

/** The containers, the newest first. */
export async function listContainers(
  context: Pick<EngineContext, "root" | "state">,
  options: ListContainersOptions,
): Promise<ContainerSummary[]> {
  const { containers } = await openContainers(context, options.onBroken);
  return containers
    .list(options.onBroken)
    .filter(({ state }) => options.all || state.status === "running")
    .map(({ id, name, image, command, created, labels, mounts, state }) => ({
      id,
      name,
      image: image.reference,
      imageId: image.id,
      command,
      created,
      labels,
      mounts,
      state,
    }));
}
