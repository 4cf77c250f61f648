import type { ContainerRecord } from "../../container/record.ts";
import type { Attachment } from "../../network/endpoints.ts";
import type { NetworkStore } from "../../network/networks.ts";
import { isPredefined, type NetworkDriver, type NetworkRecord } from "../../network/record.ts";
import { UsageError } from "../../util/errors.ts";

/** A network, and who is in it. */
export interface NetworkSummary extends Omit<NetworkRecord, "driver"> {
  /** Docker's words for the two networks that there is no record of: see {@link withoutRecord}. */
  readonly driver: NetworkDriver | "host" | "null";
  /** Those that run. */
  readonly connected: readonly ConnectedMember[];
  /** The names of all containers that want to be in it, running or not. */
  readonly users: readonly string[];
}

export interface ConnectedMember {
  readonly container: string;
  readonly name: string;
  /** Absent where nothing was made for it. */
  readonly attachment?: Attachment;
}

/** A network with those who are in it. */
export function networkSummary(
  network: NetworkRecord,
  store: NetworkStore,
  records: readonly ContainerRecord[],
): NetworkSummary {
  const connected = store.endpoints
    .list()
    .flatMap(({ container, name, attachments }) =>
      attachments.flatMap((attachment) =>
        attachment.networkId === network.id ? [{ container, name, attachment }] : [],
      ),
    );
  const users = records.filter(({ networks = [] }) => networks.some((one) => one.network === network.name));
  return { ...network, connected, users: users.map(({ name }) => name) };
}

/** Whether no container wants to be in a network, which may be removed. */
export function isUnused({ name, connected, users }: NetworkSummary): boolean {
  return !isPredefined(name) && connected.length + users.length === 0;
}

const drivers = { host: "host", none: "null" } as const;

/** `host` and `none`, which are always there: with Docker they are networks as others. */
export function withoutRecord(records: readonly ContainerRecord[]): NetworkSummary[] {
  return (["host", "none"] as const).map((name) => {
    const users = records.filter(({ options }) => options?.network === name);
    const running = users.filter(({ state }) => state.status === "running");
    return {
      version: 1,
      id: new Bun.CryptoHasher("sha256").update(`gocker network ${name}`).digest("hex"),
      name,
      // Go's zero time, as Docker's documents have it where there is none.
      created: "0001-01-01T00:00:00Z",
      driver: drivers[name],
      device: "",
      subnets: [],
      internal: false,
      labels: {},
      options: {},
      connected: running.map((record) => ({ container: record.id, name: record.name })),
      users: users.map((record) => record.name),
    };
  });
}

/** The one of {@link withoutRecord} that a user means by its name, or by the beginning of its ID. */
export function findWithoutRecord(reference: string, records: readonly ContainerRecord[]): NetworkSummary | undefined {
  const isId = /^[0-9a-f]{1,64}$/.test(reference);
  return withoutRecord(records).find(({ name, id }) => name === reference || (isId && id.startsWith(reference)));
}

/** @throws UsageError the network is one of {@link withoutRecord}, which nobody makes or changes */
export function refuseWithoutRecord(reference: string): void {
  const network = findWithoutRecord(reference, []);
  if (network === undefined) return;
  throw new UsageError(`network ${network.name} is always there, and is neither removed nor connected to`, {
    hint: `a container has it from the beginning, by \`--network ${network.name}\``,
  });
}
