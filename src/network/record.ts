import { InvalidDocumentError } from "../util/errors.ts";

/** How a network connects its containers. */
export type NetworkDriver = "bridge" | "macvlan";

/** A block of addresses of a network. */
export interface NetworkSubnet {
  /** `10.77.0.0/16` */
  readonly subnet: string;
  /** The host's own address in it, through which containers reach everything else; absent where there is no way out. */
  readonly gateway?: string;
  /** The part of it from which addresses are given; all of it when absent. */
  readonly ipRange?: string;
  /** Addresses that no container gets, by the names of those for whom they are kept free. */
  readonly auxiliary?: Readonly<Record<string, string>>;
}

/** What gocker remembers of a network: `ROOT/networks/<name>.json`. */
export interface NetworkRecord {
  /** The form of this document. */
  readonly version: 1;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** RFC 3339. */
  readonly created: string;
  readonly driver: NetworkDriver;
  /** The host's device: of a bridge network its bridge, of a macvlan network that whose network it is. */
  readonly device: string;
  /** At most one of each family. */
  readonly subnets: readonly NetworkSubnet[];
  /** There is no way out of it. */
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Docker's `--opt`, as the user gave them. */
  readonly options: Readonly<Record<string, string>>;
}

/** Whether containers of a network can be reached from outside by the host's addresses: ports can be published by it. */
export function isReachedByHost({ driver, internal }: Pick<NetworkRecord, "driver" | "internal">): boolean {
  return driver === "bridge" && !internal;
}

/** The network of containers that ask for none. */
export const defaultNetworkName = "bridge";

/** Whether a network is there without having been made, and stays. */
export function isPredefined(name: string): boolean {
  return name === defaultNetworkName || name === "host" || name === "none";
}

/** Names that no network of a user's can have: they stand for something else, as Docker has it. */
export const reservedNetworkNames: ReadonlySet<string> = new Set([
  defaultNetworkName,
  "default",
  "host",
  "none",
  "container",
  "ns",
]);

/**
 * Reads a network's document.
 * @throws InvalidDocumentError it is not one of gocker's
 */
export function parseNetworkRecord(text: string, path: string): NetworkRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidDocumentError(`${path} is no JSON document`, { cause: error });
  }
  if (!isNetworkRecord(value)) {
    throw new InvalidDocumentError(`${path} is nothing of a network that this version of gocker understands`);
  }
  return value;
}

/** gocker alone writes these documents: what is checked is that it was, and in this form. */
function isNetworkRecord(value: unknown): value is NetworkRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Partial<NetworkRecord>;
  return (
    record.version === 1 &&
    typeof record.id === "string" &&
    typeof record.name === "string" &&
    (record.driver === "bridge" || record.driver === "macvlan") &&
    typeof record.device === "string" &&
    Array.isArray(record.subnets)
  );
}
