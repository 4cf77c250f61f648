import { InvalidDocumentError } from "../util/errors.ts";
import type { Healthcheck } from "./healthcheck.ts";
import type { AskedOptions } from "./asked-options.ts";
import type { BindMountOption, NetworkRequest, PortRequest } from "./options.ts";

/** What gocker remembers of a container: `container.json` in its directory, and its state in files beside it. */
export interface ContainerRecord {
  /** The form of this document. */
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly image: {
    /** As the user named it. */
    readonly reference: string;
    /** The digest of its configuration. */
    readonly id: string;
  };
  /** RFC 3339. */
  readonly created: string;
  /** The arguments of the first process. */
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly RecordedMount[];
  /** The diff IDs of the image's layers, lowest first: they stay as long as the container does. */
  readonly layers: readonly string[];
  /** The container is removed when it has ended. */
  readonly remove: boolean;
  readonly terminal: boolean;
  readonly stopSignal?: string;
  /** As whom its processes run, in the words of the user or the image; root when absent. */
  readonly user?: string;
  /** `--group-add`: what its processes have beside the groups of their users. */
  readonly groupAdd?: readonly string[];
  /** What the image and then the user put into the environment: `KEY=value`, or `KEY` alone to take it away. */
  readonly environment?: readonly string[];
  /** Seconds that a container has for its end before it is killed; negative: for ever. 10 when absent. */
  readonly stopTimeout?: number;
  /** Its standard input can be written to (`-i`). */
  readonly interactive?: boolean;
  /** Process 1 is a reaper of gocker's (`--init`). */
  readonly init?: boolean;
  /** What happens when it has ended; nothing when absent. */
  readonly restart?: RestartPolicy;
  /** Where its outputs are kept; `json-file` when absent. */
  readonly log?: LogConfiguration;
  /** How it is found out whether the container works: the user's wishes on top of the image's. */
  readonly healthcheck?: Healthcheck;
  /** Ports that its programs listen on, by the image's word and the user's: `80/tcp`. Nothing follows from them. */
  readonly exposedPorts?: readonly string[];
  /** The networks of gocker's that it is in while it runs, the first of them first; none when absent. */
  readonly networks?: readonly NetworkRequest[];
  /** The ports that are reachable on the host while it runs. */
  readonly ports?: readonly PortRequest[];
  /** All of {@link exposedPorts} are, too. */
  readonly publishAllPorts?: boolean;
  /** What it was asked to be. */
  readonly options?: AskedOptions;
  readonly state: ContainerState;
}

/** `--restart`. A container that was stopped by its user is never started again by a policy. */
export interface RestartPolicy {
  readonly name: "always" | "on-failure" | "unless-stopped";
  /** Of `on-failure`: no limit when absent. */
  readonly maximumRetries?: number;
}

/** `--log-driver` and `--log-opt`. */
export interface LogConfiguration {
  readonly driver: "json-file" | "local" | "journald" | "none";
  readonly options: Readonly<Record<string, string>>;
}

/** A mount that the user or the image asked for. */
export interface RecordedMount {
  readonly type: "bind" | "volume" | "tmpfs" | "image";
  /** Of a volume. */
  readonly name?: string;
  /** The volume was made for this container. */
  readonly anonymous?: boolean;
  readonly source?: string;
  readonly destination: string;
  readonly readOnly: boolean;
  /** The part of a volume or an image that is mounted; all of it when absent. */
  readonly subpath?: string;
  /** Of an image: its ID, and its layers' diff IDs, lowest first; `source` is what the user called it. */
  readonly imageId?: string;
  readonly layers?: readonly string[];
  /** Of a bind mount: `rprivate` when absent. mount_namespaces(7) */
  readonly propagation?: NonNullable<BindMountOption["propagation"]>;
  /** Of a bind mount: with what is mounted below it, unless this is false. */
  readonly recursive?: false;
}

export type ContainerStatus = "created" | "running" | "restarting" | "exited";

/** Where a container is in its life; in `running.json` and `exited.json`. Times are RFC 3339. */
export interface ContainerState {
  readonly status: ContainerStatus;
  /** Of the first process, as the host numbers it; only while running. */
  readonly pid?: number;
  /** In clock ticks since boot: with `pid` it names the process for good. */
  readonly pidStartTime?: number;
  readonly startedAt?: string;
  /** When it ended last; while it runs, too. */
  readonly finishedAt?: string;
  readonly exitCode?: number;
  /** How often its policy has started it again since its user did. */
  readonly restartCount?: number;
  /** A process of it was killed because memory was lacking: the container's, or the machine's. */
  readonly oomKilled?: boolean;
  /** How many that is known of while it runs. */
  readonly oomKills?: number;
  /** Why the container did not run or did not end by itself. */
  readonly error?: string;
  /** What its health check has found; absent without one. */
  readonly health?: ContainerHealth;
}

/** What a health check has found since the container was started. */
export interface ContainerHealth {
  readonly status: "starting" | "healthy" | "unhealthy";
  /** How many probes have failed since the last one that did not. */
  readonly failingStreak: number;
  /** The last probes, the newest last. Times are RFC 3339. */
  readonly log: readonly {
    readonly start: string;
    readonly end: string;
    readonly exitCode: number;
    readonly output: string;
  }[];
}

/** What to tell of a container that is about to be made; {@link ContainerRecord} says what the fields mean. */
export type NewContainer = Omit<ContainerRecord, "version" | "id" | "name" | "created" | "state"> & {
  /** Absent: a random one. */
  readonly name?: string | undefined;
};

/** What `container.json` says; the state has files of its own. */
export type StoredRecord = Omit<ContainerRecord, "state">;

/** A document on a container that is not whole: no gocker has written it like this. */
export class BrokenDocumentError extends InvalidDocumentError {}

/**
 * Reads a `container.json`.
 * @throws BrokenDocumentError; InvalidDocumentError it is one of a newer gocker
 */
export function parseRecord(text: string, path: string): StoredRecord {
  return parse(text, path, isRecord);
}

/**
 * Reads a `running.json` or `exited.json`.
 * @throws as {@link parseRecord}
 */
export function parseState(text: string, path: string): ContainerState {
  return parse(text, path, isState);
}

function parse<Document>(text: string, path: string, accepts: (value: unknown) => value is Document): Document {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BrokenDocumentError(`${path} is no JSON document`, { cause: error });
  }
  if (accepts(value)) return value;
  if (!isMarked(value)) throw new BrokenDocumentError(`${path} is nothing of a container`);
  throw new InvalidDocumentError(`${path} is nothing of a container that this version of gocker understands`);
}

/** Whether a document says of what kind it is, so that another version of gocker may know it. */
function isMarked(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { version, status } = value as { readonly version?: unknown; readonly status?: unknown };
  return (typeof version === "number" && version > 1) || typeof status === "string";
}

/** gocker alone writes these documents: what is checked is that it was, and in this form, not each field. */
function isRecord(value: unknown): value is StoredRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Partial<StoredRecord>;
  return (
    record.version === 1 &&
    typeof record.id === "string" &&
    typeof record.name === "string" &&
    typeof record.image?.reference === "string" &&
    Array.isArray(record.command) &&
    Array.isArray(record.mounts) &&
    Array.isArray(record.layers)
  );
}

function isState(value: unknown): value is ContainerState {
  if (typeof value !== "object" || value === null) return false;
  return ["created", "running", "restarting", "exited"].includes((value as Partial<ContainerState>).status ?? "");
}
