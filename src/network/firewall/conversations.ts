import { type Conversation, forgetConversations, listConversations } from "../../linux/netlink/conntrack.ts";
import type { NetlinkSocket } from "../../linux/netlink/socket.ts";
import { addressBytes, parseIpAddress } from "../../util/ip-address.ts";
import { isTranslated as isLedByAddress, type Publication } from "../publication.ts";

/**
 * Ends conversations over UDP that go by what held before ports were published, or taken back. Only the first packet of a
 * conversation is looked up in the firewall, and one over UDP has no end but that nothing is sent for a while: a client that
 * goes on asking would go on reaching nobody, or a container that has gone, or whoever has its address by then.
 * @param change what has been done to the publications
 * @throws SystemCallError
 */
export function endConversations(
  socket: NetlinkSocket,
  publications: readonly Publication[],
  change: "published" | "unpublished",
): void {
  const overUdp = publications.filter((one) => one.protocol === "udp" && isLedByAddress(one));
  for (const family of [4, 6] as const) {
    const targets = new Map<number, Target[]>();
    for (const publication of overUdp) {
      const target = targetOf(publication);
      if (target.family === family) targets.set(target.hostPort, [...(targets.get(target.hostPort) ?? []), target]);
    }
    if (targets.size === 0) continue;
    const [onlyPort] = targets.size === 1 ? targets.keys() : [];
    const outdated = listConversations(socket, family, onlyPort).filter((conversation) =>
      (targets.get(conversation.port) ?? []).some((target) => isOutdated(conversation, target, change)),
    );
    forgetConversations(socket, outdated);
  }
}

interface Target {
  readonly family: 4 | 6;
  /** Undefined for all of the host's. */
  readonly hostAddress: Uint8Array | undefined;
  readonly hostPort: number;
  readonly containerAddress: Uint8Array;
  readonly containerPort: number;
}

function targetOf({ hostAddress, hostPort, containerAddress, containerPort }: Publication): Target {
  const [host, container] = [parseIpAddress(hostAddress), parseIpAddress(containerAddress)];
  if (host === undefined || container === undefined) throw new TypeError(`no IP address: ${hostAddress}`);
  return {
    family: host.family,
    hostAddress: host.value === 0n ? undefined : addressBytes(host),
    hostPort,
    containerAddress: addressBytes(container),
    containerPort,
  };
}

function isOutdated(conversation: Conversation, target: Target, change: "published" | "unpublished"): boolean {
  const { address, answerAddress, answerPort, isAnswered, isTranslated } = conversation;
  if (target.hostAddress !== undefined && Buffer.compare(address, target.hostAddress) !== 0) return false;
  const leadsThere =
    isTranslated && answerPort === target.containerPort && Buffer.compare(answerAddress, target.containerAddress) === 0;
  if (change === "unpublished") return leadsThere;
  // What is answered and not translated may be with another host that has the same port, such as a name server.
  return !leadsThere && (isTranslated || !isAnswered);
}
