import { errnos } from "../../errno.ts";
import { GockerError, SystemCallError } from "../../../util/errors.ts";
import { decodeAttributes, encodeRequest, type Message, type Request, textOf } from "../message.ts";
import { type Deed, NETLINK_NETFILTER, NetlinkSocket, openNetlink, type RefusedRequest } from "../socket.ts";
import { batchBegin, batchEnd } from "./messages.ts";

/** A socket to the nftables of one network namespace: that which it was made in. */
export class NftablesSocket extends NetlinkSocket {
  /** For the network namespace that gocker itself is in. @throws GockerError this kernel has no nftables */
  static open(): NftablesSocket {
    try {
      return new NftablesSocket(openNetlink(NETLINK_NETFILTER, "open a socket to the firewall"));
    } catch (error) {
      if (error instanceof SystemCallError && error.errno === errnos.EPROTONOSUPPORT) {
        throw nftablesMissing("nftables", error);
      }
      throw error;
    }
  }

  /**
   * Makes several changes at once, or none of them when one is refused.
   * @returns what is refused: nothing when all is done
   * @throws SystemCallError @throws GockerError the kernel lacks nftables, or what a rule consists of
   */
  transaction(requests: readonly Request[], deed: Deed): RefusedRequest[] {
    const last = requests.length - 1;
    // The acknowledgement of the last is that of all; those of each of thousands would not fit in the socket's buffer. The
    // end itself is acknowledged by newer kernels only.
    const silent = requests.map((request, index) =>
      index === last ? request : { ...request, isUnacknowledged: true },
    );
    const refused = this.sendAll([batchBegin, ...silent, batchEnd], deed);
    const [first] = refused;
    if (first === undefined) return [];
    const missing = missingPart(requests[first.index - 1], first);
    if (missing !== undefined) throw nftablesMissing(missing);
    return refused.map((refusal) => ({ ...refusal, index: refusal.index - 1 }));
  }

  /** A {@link NetlinkSocket.request} of nftables. @throws SystemCallError @throws GockerError this kernel has no nftables */
  ask(request: Request, deed: Deed): Message[] {
    try {
      return this.request(request, deed);
    } catch (error) {
      // What the kernel says to a single message for a subsystem that it does not have.
      if (error instanceof SystemCallError && error.errno === errnos.EINVAL) throw nftablesMissing("nftables", error);
      throw error;
    }
  }
}

/**
 * What the kernel lacks when it refuses a request in this way; undefined when it lacks nothing.
 * @param request undefined for the batch itself
 */
export function missingPart(request: Request | undefined, { errno, offset }: RefusedRequest): string | undefined {
  const isUnknown = errno === errnos.ENOENT || errno === errnos.EOPNOTSUPP || errno === errnos.EPROTONOSUPPORT;
  if (!isUnknown) return undefined;
  if (request === undefined) return "nftables";
  const [newChain, newRule, newSet] = [3, 6, 9];
  const kind = request.type & 0xff;
  const attributes = new Map(request.attributes);
  if (kind === newSet && errno === errnos.EOPNOTSUPP) return "nftables' sets of several fields and of intervals";
  if (kind === newChain) {
    const type = attributes.get(7);
    return typeof type === "string" ? `nftables' chains of the type ${type} for IPv4 and IPv6 together` : undefined;
  }
  if (kind !== newRule) return undefined;
  const name = offset === undefined ? undefined : expressionAt(request, offset);
  return name === undefined ? "an expression of nftables" : `nftables' expression "${name}"`;
}

/** The name of the expression whose attribute the kernel points at. */
function expressionAt(request: Request, offset: number): string | undefined {
  const bytes = encodeRequest(request, 0);
  const attributeHeaderSize = 4;
  if (offset + attributeHeaderSize > bytes.length) return undefined;
  const end = offset + bytes.readUInt16LE(offset);
  const name = decodeAttributes(bytes.subarray(0, end), offset + attributeHeaderSize).get(1);
  return name === undefined ? undefined : textOf(name);
}

function nftablesMissing(part: string, cause?: unknown): GockerError {
  return new GockerError("NFTABLES", `this kernel has no ${part}, which networks of containers need`, {
    hint: "load the modules nf_tables, nft_nat, nft_masq, nft_ct and nft_fib_inet, or take a kernel that has them; --network none and --network host go without",
    cause,
  });
}
