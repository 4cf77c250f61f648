import { errnos } from "../linux/errno.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { bindSocket, listenAt, localAddress, openInternetSocket, startConnecting } from "../linux/internet-socket.ts";
import { socketError } from "../linux/socket.ts";
import {
  compare,
  type Expression,
  immediate,
  meta,
  payload,
  protocolFamilies,
  translateDestination,
} from "../linux/netlink/nftables/expressions.ts";
import { addChain, addRule, addTable, deleteTable, getTable } from "../linux/netlink/nftables/messages.ts";
import { bigEndian16 } from "../linux/netlink/nftables/numbers.ts";
import { NftablesSocket } from "../linux/netlink/nftables/socket.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { GockerError, SystemCallError } from "../util/errors.ts";
import { addressBytes, type IpAddress } from "../util/ip-address.ts";

/** Where gocker answers in the container's own network, as Docker does: 127.0.0.11, and the port of name servers. */
const nameServer: IpAddress = { family: 4, value: 0x7f00_000bn };
const namePort = 53;

const protocols = { udp: 17, tcp: 6 } as const;

/** The rules in the container's network by which its questions come to gocker. */
const table = "gocker-names";
const tablePath = `table inet ${table}`;
const comment = "questions for names go to gocker";
const chain = "output";

/**
 * The sockets at which a container asks for names, in its network. They are at ports of the kernel's choice, to which rules
 * lead what is sent to port 53: the port itself stays free for a name server that the container runs.
 */
export class NameSockets implements Disposable {
  readonly #udp: OwnedFd;
  readonly #tcp: OwnedFd;
  readonly #rules: NftablesSocket;

  private constructor(udp: OwnedFd, tcp: OwnedFd, rules: NftablesSocket) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#rules = rules;
  }

  /**
   * Whether a container is led to some already: `dead` when nobody has them any more.
   * @throws SystemCallError, GockerError
   */
  static stateIn(namespace: number): "served" | "dead" | "absent" {
    using cleanup = new DisposableStack();
    const [rules, client] = inNetworkNamespace(namespace, () => {
      const socket = cleanup.use(openInternetSocket(4, "stream"));
      return [cleanup.use(NftablesSocket.open()), socket] as const;
    });
    const deed = { step: "look for the rules", path: tablePath };
    if (rules.requestUnless(errnos.ENOENT, getTable(table), deed) === undefined) return "absent";
    try {
      // On a loopback the answer is there at once.
      startConnecting(client, { address: nameServer, port: namePort });
    } catch (error) {
      if (error instanceof SystemCallError && error.errno === errnos.ECONNREFUSED) return "dead";
      throw error;
    }
    return socketError(client) === 0 ? "served" : "dead";
  }

  /**
   * Nobody can ask there yet.
   * @param namespace the network namespace's file descriptor
   * @throws SystemCallError, GockerError
   */
  static open(namespace: number): NameSockets {
    using cleanup = new DisposableStack();
    const opened = inNetworkNamespace(namespace, () => {
      const udp = cleanup.use(openInternetSocket(4, "datagram"));
      const tcp = cleanup.use(openInternetSocket(4, "stream"));
      return new NameSockets(udp, tcp, NftablesSocket.open());
    });
    cleanup.move();
    return opened;
  }

  get sockets(): readonly [udp: OwnedFd, tcp: OwnedFd] {
    return [this.#udp, this.#tcp];
  }

  /**
   * Lets the container ask: its loopback is up by now.
   * @param place whether it takes the place of others
   * @throws SystemCallError, GockerError
   */
  lead(place: "new" | "replaces" = "new"): void {
    bindSocket(this.#udp, { address: nameServer, port: 0 });
    listenAt(this.#tcp, { address: nameServer, port: 0 });
    const [refused] = this.#rules.transaction(
      [
        ...(place === "replaces" ? [addTable(table, comment), deleteTable(table)] : []),
        addTable(table, comment),
        addChain(table, chain, { type: "nat", at: "output", priority: -100 }),
        addRule(table, chain, redirection("udp", localAddress(this.#udp).port)),
        addRule(table, chain, redirection("tcp", localAddress(this.#tcp).port)),
      ],
      { step: "lead the container's questions to gocker", path: tablePath },
    );
    if (refused === undefined) return;
    const reason = `error ${refused.errno}`;
    throw new GockerError("NAMES", `the container's questions for names cannot be led to gocker: ${reason}`);
  }

  [Symbol.dispose](): void {
    this.#udp.close();
    this.#tcp.close();
    this.#rules[Symbol.dispose]();
  }
}

/** `ip daddr 127.0.0.11 udp dport 53 dnat ip to 127.0.0.11:PORT` */
function redirection(protocol: keyof typeof protocols, port: number): Expression[] {
  const destination = { offset: 16, length: 4 };
  const destinationPort = { offset: 2, length: 2 };
  const address = addressBytes(nameServer);
  return [
    meta("nfproto"),
    compare("equal", Uint8Array.of(protocolFamilies[4])),
    payload("network", destination.offset, destination.length),
    compare("equal", address),
    meta("l4proto"),
    compare("equal", Uint8Array.of(protocols[protocol])),
    payload("transport", destinationPort.offset, destinationPort.length),
    compare("equal", bigEndian16(namePort)),
    immediate(address, 0),
    immediate(bigEndian16(port), 1),
    translateDestination(4),
  ];
}
