import { errnos, systemCallError } from "../linux/errno.ts";
import type { Request } from "../linux/netlink/message.ts";
import {
  addElement,
  addTable,
  chainFacts,
  chainOfRule,
  deleteElement,
  deleteTable,
  elementsOf,
  listChains,
  listElements,
  listRules,
} from "../linux/netlink/nftables/messages.ts";
import type { SetDefinition, SetElement } from "../linux/netlink/nftables/sets.ts";
import { NftablesSocket } from "../linux/netlink/nftables/socket.ts";
import type { RefusedRequest } from "../linux/netlink/socket.ts";
import { ConflictError, NotFoundError } from "../util/errors.ts";
import {
  type Block,
  blocksOf,
  confinedEntry,
  type Entry,
  networkEntries,
  overlapping,
  publicationEntry,
  stateEntries,
  stateOf,
} from "./firewall/elements.ts";
import { endConversations } from "./firewall/conversations.ts";
import type { FirewallNetwork, FirewallState } from "./firewall/state.ts";
import { isMissing, isTableThere } from "./firewall/presence.ts";
import { ruleCounts, tableRequests } from "./firewall/table.ts";
import { tableComment, tableName, tablePath } from "./firewall/table-name.ts";
import type { Publication } from "./publication.ts";

export type { FirewallNetwork, FirewallState } from "./firewall/state.ts";

/** The key of a map has another value, or an interval overlaps another: EBUSY and ENOTEMPTY by older kernels. */
const clashes: ReadonlySet<number> = new Set([errnos.EEXIST, errnos.EBUSY, errnos.ENOTEMPTY]);

/**
 * gocker's rules of nftables, in one network namespace. They are one table, which gocker alone changes; what else there is of
 * rules on the host is not looked at, and may forbid more. Everything that changes is in sets of that table, and every method
 * makes all of its changes or none.
 *
 * All methods throw a GockerError when the kernel lacks what is needed, and a SystemCallError for what else it refuses.
 */
export class Firewall implements Disposable {
  readonly #socket: NftablesSocket;

  /** @param socket owned from now on */
  constructor(socket: NftablesSocket) {
    this.#socket = socket;
  }

  /** That of the network namespace that gocker itself is in. @throws GockerError this kernel has no nftables */
  static open(): Firewall {
    return new Firewall(NftablesSocket.open());
  }

  /** Whether the table is there, and one of this gocker's rules. That its rules are still in it {@link read} looks. */
  isThere(): boolean {
    return isTableThere(this.#socket);
  }

  /**
   * Makes the table anew, with these networks and ports and no others. Packets see the old one or the new one.
   * @throws ConflictError two networks overlap, or two publications are of the same port
   */
  rebuild(state: FirewallState): void {
    const step = "make the firewall";
    for (const [index, network] of state.networks.entries())
      refuseOverlap(network, state.networks.slice(0, index), step);
    const entries = stateEntries(state);
    // A table must be there to be removed, and one that is there may be added.
    const before = [addTable(tableName, tableComment), deleteTable(tableName), ...tableRequests()];
    const refused = this.#change([...before, ...entries.map(adding)], step);
    refuse(refused, step, (index) => entries[index - before.length]);
  }

  /**
   * Lets a network be part of it, as it is said here: nothing remains of what was said of it before.
   * @throws ConflictError one of its subnets overlaps that of another network
   * @throws NotFoundError the table is not there
   */
  addNetwork(network: FirewallNetwork): void {
    const step = `let the network of ${network.bridge} through the firewall`;
    const { present, absent } = networkEntries(network);
    // The kernel does not see all overlaps: not of intervals that end together.
    const others = blocksOf((set) => this.#elements(set, step)).filter(({ bridge }) => bridge !== network.bridge);
    refuseOverlap(network, others, step);
    const refused = this.#change([...present.map(adding), ...absent.flatMap(removing)], step);
    refuse(refused, step, (index) => present[index]);
  }

  /** Ends what {@link addNetwork} has done, if it has. */
  removeNetwork(network: FirewallNetwork): void {
    const { present, absent } = networkEntries(network);
    this.#remove([...present, ...absent], `take the network of ${network.bridge} out of the firewall`);
  }

  /**
   * Says whether only containers' traffic is forwarded, of one family.
   * @throws NotFoundError the table is not there
   */
  confineForwarding(family: 4 | 6, isConfined: boolean): void {
    const step = "confine what the host forwards";
    const entry = confinedEntry(family);
    refuse(this.#change(isConfined ? [adding(entry)] : removing(entry), step), step, () => entry);
  }

  /**
   * Leads ports of the host to containers. Those that lead there already stay.
   * @throws ConflictError a port leads to another container
   * @throws NotFoundError the table is not there
   */
  publish(publications: readonly Publication[]): void {
    const entries = publications.map(publicationEntry);
    const [first] = this.#change(entries.map(adding), "publish ports");
    if (first === undefined) return;
    const publication = publications[first.index];
    if (!clashes.has(first.errno) || publication === undefined) return refuse([first], "publish ports");
    throw portTaken(publication);
  }

  /** Ends that; not for a port that is not published, or that leads to another container by now. */
  unpublish(publications: readonly Publication[]): void {
    this.#remove(publications.map(publicationEntry), "take back published ports");
  }

  /**
   * Lets conversations over UDP that began before {@link publish} or {@link unpublish} be led as it is said now. Without that
   * clients that go on asking are led as before. Not done by those because the kernel goes through all of its connections,
   * which takes milliseconds (25 at worst on a machine that has room for a quarter of a million): it can wait until a container
   * runs. Does nothing for ports of other protocols, and where the kernel lacks nf_conntrack_netlink.
   */
  redirectConversations(publications: readonly Publication[], change: "published" | "unpublished"): void {
    endConversations(this.#socket, publications, change);
  }

  /**
   * What is in force.
   * @returns undefined when the table is not there, is one of other rules, or somebody has changed it so that it is no state:
   *   {@link rebuild} is what helps then
   */
  read(): FirewallState | undefined {
    const step = "read the firewall";
    try {
      if (!this.isThere()) return undefined;
      const counts = ruleCounts();
      for (const answer of this.#socket.ask(listRules(tableName), { step, path: tablePath })) {
        const chain = chainOfRule(answer);
        counts.set(chain, (counts.get(chain) ?? 0) - 1);
      }
      if ([...counts.values()].some((difference) => difference !== 0)) return undefined;
      return stateOf((set) => this.#elements(set, step));
    } catch (error) {
      // Removed meanwhile.
      if (error instanceof NotFoundError || isMissing(error)) return undefined;
      throw error;
    }
  }

  /**
   * Chains of other programs that forward only what they know, such as Docker's: containers get out, and are reached at
   * published ports, only as far as those let them. What is set up by the older interface of iptables is not among them.
   * @returns their names, as nft has them: `ip filter FORWARD`
   */
  obstacles(): string[] {
    const chains = this.#socket
      .ask(listChains(), { step: "look for other firewalls", path: "nftables" })
      .map(chainFacts);
    const own = `inet ${tableName} `;
    return chains.flatMap(({ name, at, drops }) => (at === "forward" && drops && !name.startsWith(own) ? [name] : []));
  }

  /** Removes the table. Connections that go through it lose their way. */
  remove(): void {
    const step = "remove the firewall";
    const refused = this.#change([deleteTable(tableName)], step);
    refuse(
      refused.filter(({ errno }) => errno !== errnos.ENOENT),
      step,
    );
  }

  /**
   * Removes elements. To remove what is not there would be refused, but not to add it before: then it is in any case. A key
   * of a map that has another value meanwhile is refused there, and stays.
   */
  #remove(entries: readonly Entry[], step: string): void {
    let rest = entries;
    while (rest.length > 0) {
      const refused = this.#change(rest.flatMap(removing), step);
      // Neither the table nor its sets.
      if (refused.length === 0 || refused.some(({ errno }) => errno === errnos.ENOENT)) return;
      const others = new Set(refused.map(({ index }) => Math.floor(index / 2)));
      const unexpected = refused.find(({ errno }) => !clashes.has(errno));
      if (unexpected !== undefined) refuse([unexpected], step);
      rest = rest.filter((_, index) => !others.has(index));
    }
  }

  /** @throws NotFoundError the table is not there */
  #elements(set: SetDefinition, step: string): SetElement[] {
    try {
      return elementsOf(set, this.#socket.ask(listElements(tableName, set), { step, path: tablePath }));
    } catch (error) {
      throw isMissing(error) ? tableMissing(step) : error;
    }
  }

  #change(requests: readonly Request[], step: string): RefusedRequest[] {
    return requests.length === 0 ? [] : this.#socket.transaction(requests, { step, path: tablePath });
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function adding({ set, element }: Entry): Request {
  return addElement(tableName, set, element);
}

function removing({ set, element }: Entry): Request[] {
  return [addElement(tableName, set, element), deleteElement(tableName, set, element)];
}

function refuseOverlap(network: FirewallNetwork, others: readonly Block[], step: string): void {
  const other = overlapping(network, others);
  if (other !== undefined) throw subnetTaken(step, `the network of ${other.bridge}`);
}

function subnetTaken(step: string, by: string): ConflictError {
  return new ConflictError(`${step}: one of its subnets overlaps that of ${by}`, {
    hint: "give the networks different subnets",
  });
}

function tableMissing(step: string): NotFoundError {
  return new NotFoundError(`${step}: ${tablePath} is not there`, { hint: "gocker network repair makes it anew" });
}

function portTaken({ protocol, hostAddress, hostPort }: Publication): ConflictError {
  const host = hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress;
  return new ConflictError(`publish ports: ${host}:${hostPort}/${protocol} leads to another container`, {
    hint: "choose another port of the host, or stop the container that has this one",
  });
}

/**
 * Throws when something was refused.
 * @param entryAt the element that a request was about
 */
function refuse(
  [first]: readonly RefusedRequest[],
  step: string,
  entryAt: (index: number) => Entry | undefined = () => undefined,
): void {
  if (first === undefined) return;
  const { errno, text, index } = first;
  if (errno === errnos.ENOENT) throw tableMissing(step);
  const entry = entryAt(index);
  if (entry?.set.isInterval === true && clashes.has(errno)) throw subnetTaken(step, "another network");
  if (entry?.element.value !== undefined && clashes.has(errno)) {
    throw new ConflictError(`${step}: a port is published for two containers`);
  }
  const hint = text === undefined ? undefined : `the kernel says: ${text}`;
  throw systemCallError("netlink", { step, path: tablePath, hint }, errno);
}
