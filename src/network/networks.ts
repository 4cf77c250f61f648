import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { FileLock, type LockMode } from "../linux/lock.ts";
import { lockNetwork } from "../linux/network-lock.ts";
import { sweepPrepared, writeFileAtomic } from "../util/atomic-file.ts";
import { ConflictError, NotFoundError, UsageError } from "../util/errors.ts";
import { newContainerId } from "../util/ids.ts";
import { readIfThere } from "../util/read-if-there.ts";
import { EndpointStore } from "./endpoints.ts";
import { AddressLeases } from "./leases.ts";
import { defaultNetworkName, type NetworkRecord, parseNetworkRecord, reservedNetworkNames } from "./record.ts";

/** A network to be made. */
export type NewNetwork = Omit<NetworkRecord, "version" | "id" | "created">;

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;

/**
 * The name of a network that a user makes.
 * @throws UsageError it is not of the form of names, or stands for something else
 */
export function parseNetworkName(name: string): string {
  if (!namePattern.test(name)) {
    throw new UsageError(`invalid network name ${JSON.stringify(name)}`, {
      hint: "a name has letters, digits, _, . and -, begins with a letter or digit, and has at most 255 characters",
    });
  }
  if (reservedNetworkNames.has(name)) {
    throw new UsageError(`a network cannot be called ${name}: that word stands for something else`);
  }
  return name;
}

/**
 * The networks of a root directory, and what is in force of them:
 *
 *     ROOT/networks/<name>.json              what was asked for
 *     STATE/networks/leases/<id>/<address>   whose an address is: see `AddressLeases`
 *     STATE/networks/endpoints/<container>.json   see `EndpointStore`
 *     STATE/networks/forwards-4, -6           packets are forwarded since gocker has told the kernel to
 *     STATE/networks/forwards-4-told, -6-told   the user knows of that
 *     STATE/networks/sweeping                held by a process that will look for what is not used
 *     STATE/networks/lock                    held while bridges and the firewall change
 *     ROOT/networks/.lock                    shared: to connect containers; exclusive: to make and remove networks
 */
export class NetworkStore {
  readonly #records: string;
  readonly #state: string;
  readonly endpoints: EndpointStore;

  /** Nothing is made before it is needed. */
  constructor(root: string, state: string) {
    this.#records = `${root}/networks`;
    this.#state = `${state}/networks`;
    this.endpoints = new EndpointStore(state);
  }

  leases(id: string): AddressLeases {
    return new AddressLeases(`${this.#state}/leases/${id}`);
  }

  /**
   * Held while the host's devices and the firewall are made to fit what is on record: by one gocker alone in this network,
   * also where several have root directories of their own.
   */
  async lockHost(signal?: AbortSignal): Promise<Disposable> {
    mkdirSync(this.#state, { recursive: true, mode: 0o700 });
    using cleanup = new DisposableStack();
    cleanup.use(await FileLock.acquire(`${this.#state}/lock`, "exclusive", { signal }));
    cleanup.use(await lockNetwork(signal));
    return cleanup.move();
  }

  /** Whether nobody has {@link lockHost} at this moment. */
  isHostAtRest(): boolean {
    try {
      using lock = FileLock.tryAcquire(`${this.#state}/lock`, "shared", "there");
      return lock !== undefined;
    } catch (error) {
      // Nobody has ever had it.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  /** Removes what was prepared by processes that have been killed before they put it on record. */
  sweepPrepared(): void {
    for (const directory of [this.#records, this.#state]) sweepPrepared(directory);
    this.endpoints.sweepPrepared();
  }

  /** Held by who will look in a while whether the host's side is still used; undefined when somebody else has it. */
  trySweeping(): FileLock | undefined {
    mkdirSync(this.#state, { recursive: true, mode: 0o700 });
    return FileLock.tryAcquire(this.#sweeping, "exclusive");
  }

  /** {@link trySweeping} of a process that has had it since it was another program. */
  inheritSweeping(descriptor: number): FileLock {
    return FileLock.inherit(this.#sweeping, descriptor);
  }

  get #sweeping(): string {
    return `${this.#state}/sweeping`;
  }

  /**
   * Held by who makes or removes a network, so that no two of them choose the same addresses or name; and shared by those who
   * put on record that a container is in networks, so that none of them is removed meanwhile. Whoever needs {@link lockHost}
   * too takes this one first.
   */
  async lockRecords(mode: LockMode = "exclusive"): Promise<FileLock> {
    mkdirSync(this.#records, { recursive: true, mode: 0o700 });
    return await FileLock.acquire(`${this.#records}/.lock`, mode);
  }

  /**
   * That networks are still there, for a holder of {@link lockRecords}.
   * @throws NotFoundError one has been removed since it was read
   */
  confirm(networks: readonly NetworkRecord[]): void {
    for (const { name, id } of networks) {
      if (this.read(name)?.id !== id) throw new NotFoundError(`network ${name} has been removed`);
    }
  }

  /** Notes, until the next boot, that the host forwarded nothing of a family before gocker made it. */
  markForwarding(family: 4 | 6): void {
    writeFileAtomic(`${this.#state}/forwards-${family}`, "");
  }

  /** Whether nobody has been told in this boot that gocker switches the forwarding of a family on; from now on somebody has. */
  isNewsOfForwarding(family: 4 | 6): boolean {
    const path = `${this.#state}/forwards-${family}-told`;
    if (readIfThere(path) !== undefined) return false;
    writeFileAtomic(path, "");
    return true;
  }

  /** Ends what {@link markForwarding} has noted. */
  unmarkForwarding(family: 4 | 6): void {
    rmSync(`${this.#state}/forwards-${family}`, { force: true });
  }

  /** The families of which that was noted. */
  switchedForwarding(): (4 | 6)[] {
    return ([4, 6] as const).filter((family) => readIfThere(`${this.#state}/forwards-${family}`) !== undefined);
  }

  /** Notes, until the next boot, devices that gocker has had take routes from routers though the host forwards. */
  markRouterAdvertisements(devices: readonly string[]): void {
    const all = new Set([...this.routerAdvertisements(), ...devices]);
    writeFileAtomic(this.#advertised, [...all].join("\n"));
  }

  /** The names that were noted. */
  routerAdvertisements(): string[] {
    return (readIfThere(this.#advertised) ?? "").split("\n").filter((name) => name !== "");
  }

  unmarkRouterAdvertisements(): void {
    rmSync(this.#advertised, { force: true });
  }

  get #advertised(): string {
    return `${this.#state}/accepts-routes`;
  }

  /** @throws InvalidDocumentError */
  read(name: string): NetworkRecord | undefined {
    const path = this.#path(name);
    const text = readIfThere(path);
    return text === undefined ? undefined : parseNetworkRecord(text, path);
  }

  /** By their names. @throws InvalidDocumentError */
  list(): NetworkRecord[] {
    return this.#names()
      .toSorted()
      .flatMap((name) => this.read(name) ?? []);
  }

  /**
   * A network by its name, its ID or the beginning of that.
   * @throws NotFoundError; UsageError several fit
   */
  resolve(reference: string): NetworkRecord {
    const name = reference === "default" ? defaultNetworkName : reference;
    const named = namePattern.test(name) ? this.read(name) : undefined;
    if (named !== undefined) return named;
    const found = /^[0-9a-f]{1,64}$/.test(reference) ? this.list().filter(({ id }) => id.startsWith(reference)) : [];
    const [first, second] = found;
    if (first === undefined) {
      throw new NotFoundError(`no such network: ${reference}`, { hint: "`gocker network ls` lists the networks" });
    }
    if (second === undefined) return first;
    throw new UsageError(`several networks have IDs that begin with ${reference}`, { hint: "give more of the ID" });
  }

  /**
   * Puts a network on record, for the holder of {@link lockRecords}.
   * @throws ConflictError the name is taken
   */
  add(network: NewNetwork): NetworkRecord {
    if (this.read(network.name) !== undefined) {
      throw new ConflictError(`there is a network ${network.name} already`, {
        hint: `choose another name, or remove it with \`gocker network rm ${network.name}\``,
      });
    }
    const record: NetworkRecord = { version: 1, id: newContainerId(), created: new Date().toISOString(), ...network };
    this.write(record);
    return record;
  }

  /** For the holder of {@link lockRecords}. */
  write(record: NetworkRecord): void {
    writeFileAtomic(this.#path(record.name), JSON.stringify(record), { durable: record.name !== defaultNetworkName });
  }

  /** For the holder of {@link lockRecords}, when nothing of the network is in force any more. */
  remove({ name, id }: NetworkRecord): void {
    rmSync(this.#path(name), { force: true });
    rmSync(`${this.#state}/leases/${id}`, { recursive: true, force: true });
  }

  #names(): string[] {
    try {
      const files = readdirSync(this.#records);
      return files.filter((file) => file.endsWith(".json") && !file.startsWith(".")).map((file) => file.slice(0, -5));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  #path(name: string): string {
    return `${this.#records}/${name}.json`;
  }
}
