import type { OwnedFd } from "../linux/fd.ts";
import { bindSocket, listenAt, localAddress, openInternetSocket } from "../linux/internet-socket.ts";
import {
  compare,
  type Expression,
  immediate,
  meta,
  payload,
  protocolFamilies,
  translateDestination,
} from "../linux/netlink/nftables/expressions.ts";
import { addChain, addRule, addTable } from "../linux/netlink/nftables/messages.ts";
import { bigEndian16 } from "../linux/netlink/nftables/numbers.ts";
import { NftablesSocket } from "../linux/netlink/nftables/socket.ts";
import { inNetworkNamespace } from "../linux/network-namespace.ts";
import { GockerError } from "../util/errors.ts";
import { addressBytes, type IpAddress } from "../util/ip-address.ts";

/** Where gocker answers in the container's own network, as Docker does: 127.0.0.11, and the port of name servers. */
const nameServer: IpAddress = { family: 4, value: 0x7f00_000bn };
const namePort = 53;

const protocols = { udp: 17, tcp: 6 } as const;

/** The rules in the container's network by which its questions come to gocker. */
const table = "gocker-names";
const chain = "output";

/**
 * The sockets at which a container asks for names, of UDP and of TCP, in its network. They are at ports of the kernel's
 * choice, to which rules lead what is sent to port 53: the port itself stays free for a name server that the container runs.
 * @param namespace the network namespace's file descriptor
 * @throws SystemCallError, GockerError
 */
export function openNameSockets(namespace: number): readonly [udp: OwnedFd, tcp: OwnedFd] {
  using cleanup = new DisposableStack();
  const [udp, tcp, rules] = inNetworkNamespace(namespace, () => {
    const datagrams = cleanup.use(openInternetSocket(4, "datagram"));
    const connections = cleanup.use(openInternetSocket(4, "stream"));
    return [datagrams, connections, NftablesSocket.open()] as const;
  });
  using _rules = rules;
  bindSocket(udp, { address: nameServer, port: 0 });
  listenAt(tcp, { address: nameServer, port: 0 });
  const [refused] = rules.transaction(
    [
      addTable(table, "questions for names go to gocker"),
      addChain(table, chain, { type: "nat", at: "output", priority: -100 }),
      addRule(table, chain, redirection("udp", localAddress(udp).port)),
      addRule(table, chain, redirection("tcp", localAddress(tcp).port)),
    ],
    { step: "lead the container's questions to gocker", path: `table inet ${table}` },
  );
  if (refused !== undefined) {
    throw new GockerError(
      "NAMES",
      `the container's questions for names cannot be led to gocker: error ${refused.errno}`,
    );
  }
  cleanup.move();
  return [udp, tcp];
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
