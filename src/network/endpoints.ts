import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { sweepPrepared, writeFileAtomic } from "../util/atomic-file.ts";
import { InvalidDocumentError } from "../util/errors.ts";
import { readIfThere } from "../util/read-if-there.ts";
import { endpointDirectory, endpointPath, endpointSuffix } from "./endpoint-path.ts";
import type { Publication } from "./publication.ts";

/** A container's place in one network. */
export interface Attachment {
  /** The network's name and ID. */
  readonly network: string;
  readonly networkId: string;
  /** What its device is called in the container. */
  readonly device: string;
  /** The host's end of it, a port of the network's bridge; absent where there is no bridge. */
  readonly port?: string;
  readonly hardwareAddress: string;
  /** With the prefix length of their subnets: `10.77.0.2/16`. */
  readonly addresses: readonly string[];
  /** Of each family at most one. */
  readonly gateways: readonly string[];
  /** The container's way out is by the network with the highest: see {@link byPriority}. 0 where it is absent. */
  readonly gatewayPriority?: number;
  /** Other names that it has in this network. */
  readonly aliases: readonly string[];
}

/** By which of its networks a container is to reach what is in none: the first of them first, unless others come before it. */
export function byPriority<Item extends Pick<Attachment, "gatewayPriority">>(attachments: readonly Item[]): Item[] {
  return attachments.toSorted((one, other) => (other.gatewayPriority ?? 0) - (one.gatewayPriority ?? 0));
}

/** What a container that runs has of the host's networks, and what has to be given back when it does not any more. */
export interface Endpoint {
  /** The form of this document. */
  readonly version: 1;
  /** The container's ID. */
  readonly container: string;
  /** Its name, by which others in its networks find it. */
  readonly name: string;
  readonly attachments: readonly Attachment[];
  readonly publications: readonly Publication[];
}

/**
 * The endpoints of all containers that run: `STATE/networks/endpoints/<container>.json`. One is on record before anything
 * is made for it, so that whoever finds a container whose gocker was killed knows what is left of it.
 */
export class EndpointStore {
  readonly #state: string;
  readonly #directory: string;

  /** @param state gocker's state directory; nothing is made before it is needed */
  constructor(state: string) {
    this.#state = state;
    this.#directory = endpointDirectory(state);
  }

  /** @throws InvalidDocumentError */
  read(container: string): Endpoint | undefined {
    const path = this.#path(container);
    const text = readIfThere(path);
    return text === undefined ? undefined : parseEndpoint(text, path);
  }

  write(endpoint: Endpoint): void {
    const write = () => writeFileAtomic(this.#path(endpoint.container), JSON.stringify(endpoint));
    try {
      write();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      write();
    }
  }

  remove(container: string): void {
    rmSync(this.#path(container), { force: true });
  }

  /** See {@link NetworkStore.sweepPrepared}. */
  sweepPrepared(): void {
    sweepPrepared(this.#directory);
  }

  /** Whether no container has anything of a network. */
  isEmpty(): boolean {
    return this.#names().length === 0;
  }

  /** Milliseconds since one was last put on record or removed; undefined when there has never been one. */
  restTime(): number | undefined {
    const changedAt = statSync(this.#directory, { throwIfNoEntry: false })?.mtimeMs;
    return changedAt === undefined ? undefined : Date.now() - changedAt;
  }

  /** @param onBroken told of documents that cannot be read; they are left out */
  list(onBroken: (path: string, error: unknown) => void = () => {}): Endpoint[] {
    return this.#names().flatMap((name) => {
      try {
        return this.read(name.slice(0, -endpointSuffix.length)) ?? [];
      } catch (error) {
        onBroken(`${this.#directory}/${name}`, error);
        return [];
      }
    });
  }

  #names(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => name.endsWith(endpointSuffix));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  #path(container: string): string {
    return endpointPath(this.#state, container);
  }
}

function parseEndpoint(text: string, path: string): Endpoint {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidDocumentError(`${path} is no JSON document`, { cause: error });
  }
  if (isEndpoint(value)) return value;
  throw new InvalidDocumentError(`${path} is nothing of a container's network that this version of gocker understands`);
}

function isEndpoint(value: unknown): value is Endpoint {
  if (typeof value !== "object" || value === null) return false;
  const endpoint = value as Partial<Endpoint>;
  return (
    endpoint.version === 1 &&
    typeof endpoint.container === "string" &&
    Array.isArray(endpoint.attachments) &&
    Array.isArray(endpoint.publications)
  );
}
