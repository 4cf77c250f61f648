import { statSync } from "node:fs";
import { formatIpAddress, parseIpAddress } from "../util/ip-address.ts";
import type { NameLookup } from "./dns/server.ts";
import { endpointDirectory } from "./endpoint-path.ts";
import type { Endpoint } from "./endpoints.ts";
import type { NetworkStore } from "./networks.ts";

/** Who has what name in the networks of a container, as it is now. */
export class ContainerNames implements NameLookup {
  readonly #store: NetworkStore;
  readonly #container: string;
  readonly #directory: string;
  #known: Known | undefined;

  /** @param state gocker's state directory @param container whose networks they are */
  constructor(store: NetworkStore, state: string, container: string) {
    this.#store = store;
    this.#container = container;
    this.#directory = endpointDirectory(state);
  }

  addresses(name: string): readonly string[] | undefined {
    return this.#current().addresses.get(name.toLowerCase());
  }

  /** Whether the container has no way out by any of its networks. */
  get isIsolated(): boolean {
    return this.#current().isIsolated;
  }

  nameOf(address: string): string | undefined {
    const parsed = parseIpAddress(address);
    return parsed === undefined ? undefined : this.#current().names.get(formatIpAddress(parsed));
  }

  /** Each endpoint is written by a rename: the directory's time tells whether any has changed. */
  #current(): Known {
    const version = statSync(this.#directory, { bigint: true, throwIfNoEntry: false })?.mtimeNs ?? 0n;
    if (this.#known?.version === version) return this.#known;
    const isSettled = BigInt(Date.now()) * 1_000_000n - version > clockSteps;
    const current = { version, ...this.#read() };
    this.#known = isSettled ? current : undefined;
    return current;
  }

  #read(): Omit<Known, "version"> {
    const addresses = new Map<string, string[]>();
    const names = new Map<string, string>();
    const endpoints = this.#store.endpoints.list();
    const own = endpoints.find(({ container }) => container === this.#container);
    const internal = new Set(this.#store.list().flatMap((network) => (network.internal ? [network.id] : [])));
    const networks = new Set(own?.attachments.map(({ networkId }) => networkId));
    for (const endpoint of endpoints) {
      for (const attachment of endpoint.attachments) {
        if (!networks.has(attachment.networkId) || !hasNames(attachment)) continue;
        const theirs = attachment.addresses.map((address) => address.split("/", 1)[0] ?? "");
        const found = namesOf(endpoint, attachment.aliases);
        for (const name of found.flatMap((one) => [one, `${one}.${attachment.network.toLowerCase()}`])) {
          addresses.set(name, [...(addresses.get(name) ?? []), ...theirs]);
        }
        for (const address of theirs) names.set(address, `${endpoint.name}.${attachment.network}`);
      }
    }
    const isIsolated = [...networks].every((id) => internal.has(id));
    return { addresses, names, isIsolated };
  }
}

/**
 * Nanoseconds in which the clock of files goes on for certain: it does so in steps, and what changes within one of them
 * leaves the time as it was. Before that nothing that was read is kept. current_time() of the kernel
 */
const clockSteps = 100_000_000n;

interface Known {
  /** Of the directory that they were read from. */
  readonly version: bigint;
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly names: ReadonlyMap<string, string>;
  readonly isIsolated: boolean;
}

/** In the default network containers do not know each other by names, as with Docker. */
function hasNames({ network }: Endpoint["attachments"][number]): boolean {
  return network !== "bridge";
}

function namesOf({ name, container }: Endpoint, aliases: readonly string[]): string[] {
  return [...new Set([name, container.slice(0, 12), ...aliases].map((one) => one.toLowerCase()))];
}
