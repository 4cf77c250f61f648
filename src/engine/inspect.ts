import { existsSync } from "node:fs";
import { logPath } from "../container/logs/log-path.ts";
import { isName } from "../container/names.ts";
import { isPaused } from "../container/paused.ts";
import type { ContainerRecord } from "../container/record.ts";
import { readStoredSpec } from "../container/stored-spec.ts";
import { isDigest } from "../oci/digest.ts";
import { InvalidReferenceError } from "../oci/reference.ts";
import { errorMessage, GockerError, NotFoundError } from "../util/errors.ts";
import { containerSizes } from "./container-sizes.ts";
import type { EngineContext } from "./context.ts";
import { containerDocument } from "./inspect/container-document.ts";
import { imageDocument } from "./inspect/image-document.ts";
import { networkDocument } from "./inspect/network-document.ts";
import { volumeDocument } from "./inspect/volume-document.ts";
import { findWithoutRecord, networkSummary } from "./network/summary.ts";
import { EndpointStore } from "../network/endpoints.ts";
import { NetworkStore } from "../network/networks.ts";
import { type ContainerStores, openContainers } from "./reconcile.ts";

/** What can be inspected. */
export type InspectedType = "container" | "image" | "volume" | "network";

/** In which order a name is looked for. */
const inOrder: readonly InspectedType[] = ["container", "image", "volume", "network"];

export interface InspectOptions {
  /** Only things of this type. */
  readonly type?: InspectedType | undefined;
  /** Also how much a container has written, which takes as long as to walk over it. */
  readonly size: boolean;
  /** Told what could not be put in order or read, and is left out. */
  readonly warn: (message: string) => void;
}

/** The file of a container's log; empty when its driver has none, or nothing looks after its outputs. */
function logOf({ log }: ContainerRecord, directory: string): string {
  const driver = log?.driver ?? "json-file";
  if (driver !== "json-file" && driver !== "local") return "";
  const path = logPath(directory, driver);
  return existsSync(path) ? path : "";
}

/** Tells all about single things. Opened once for several. */
export class Inspector {
  readonly #context: EngineContext;
  readonly #stores: ContainerStores;
  readonly #options: InspectOptions;

  private constructor(context: EngineContext, stores: ContainerStores, options: InspectOptions) {
    this.#context = context;
    this.#stores = stores;
    this.#options = options;
  }

  static async open(context: EngineContext, options: InspectOptions): Promise<Inspector> {
    const stores = await openContainers(context, (id, error) =>
      options.warn(`container ${id.slice(0, 12)} could not be put in order: ${errorMessage(error)}`),
    );
    return new Inspector(context, stores, options);
  }

  /**
   * The document of the thing of this name or ID, in Docker's form: see `util/document.ts`.
   * @throws NotFoundError there is none; UsageError, ConflictError the beginning of an ID fits several;
   *   InvalidDocumentError, StoreDamagedError what is known of it cannot be read
   */
  inspect(name: string): object {
    const { type } = this.#options;
    for (const kind of type === undefined ? inOrder : [type]) {
      const document = this.#find(kind, name);
      if (document !== undefined) return document;
    }
    throw new NotFoundError(`no such ${type ?? "object"}: ${name}`);
  }

  #find(kind: InspectedType, name: string): object | undefined {
    try {
      if (kind === "container") return this.#container(name);
      if (kind === "image") return this.#image(name);
      return kind === "volume" ? this.#volume(name) : this.#network(name);
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }

  #container(name: string): object {
    const { containers, volumes } = this.#stores;
    const { images } = this.#context;
    const record = containers.read(containers.resolve(name));
    const directory = containers.directory(record.id);
    return containerDocument({
      record,
      // Not there when it is just being made, or removed.
      spec: readStoredSpec(record.id, directory),
      image: this.#imageOf(record),
      directory,
      layers: record.layers.filter((layer) => isDigest(layer)).map((layer) => images.layerDirectory(layer)),
      paused: record.state.status === "running" && isPaused(record.id, directory),
      logPath: logOf(record, directory),
      endpoint: new EndpointStore(this.#context.state).read(record.id),
      sizes: this.#options.size ? containerSizes(this.#context, record, directory) : undefined,
      volumePath: (volume) => volumes.dataPath(volume),
    });
  }

  /** Containers outlive their images, when these are removed by force. */
  #imageOf({ image, id }: ContainerRecord) {
    try {
      return this.#context.images.resolve(image.id)?.config;
    } catch (error) {
      if (!(error instanceof GockerError)) throw error;
      this.#options.warn(`the image of container ${id.slice(0, 12)} cannot be read: ${error.message}`);
      return undefined;
    }
  }

  #image(name: string): object | undefined {
    try {
      const image = this.#context.images.resolve(name);
      return image === undefined ? undefined : imageDocument(image);
    } catch (error) {
      // What is no name of an image may be a volume's.
      if (error instanceof InvalidReferenceError) return undefined;
      throw error;
    }
  }

  #network(name: string): object {
    const store = new NetworkStore(this.#context.root, this.#context.state);
    const records = this.#stores.containers.list();
    return networkDocument(findWithoutRecord(name, records) ?? networkSummary(store.resolve(name), store, records));
  }

  #volume(name: string): object | undefined {
    const { volumes } = this.#stores;
    return isName(name) ? volumeDocument(volumes.read(name), volumes.dataPath(name)) : undefined;
  }
}
