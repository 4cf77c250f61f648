import { errnos } from "../errno.ts";
import { SystemCallError } from "../../util/errors.ts";
import { type Attribute, decodeAttributes, type Message, NLM_F_DUMP, type Request } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

/** Messages about connection tracking: linux/netfilter/nfnetlink_conntrack.h. */
const subsystem = 1;
const getEntry = 1;
const deleteEntry = 2;
const families = { 4: 2, 6: 10 } as const;
const bodySize = 4;

const original = 1;
const reply = 2;
const status = 3;
const filter = 25;
/** The attributes that say which entry it is: the tuple of its packets, its number and its zone. */
const identity = [original, 12, 18] as const;

/** IPS_…: an answer has come; the destination is translated. */
const statusBits = { isAnswered: 0x02, isTranslated: 0x20 } as const;

/** What connection tracking keeps of a conversation over UDP. */
export interface Conversation {
  /** Where its packets were sent: bytes of an address, and a port. */
  readonly address: Uint8Array;
  readonly port: number;
  /** From where answers come: that is elsewhere when the destination is translated. */
  readonly answerAddress: Uint8Array;
  readonly answerPort: number;
  readonly isAnswered: boolean;
  readonly isTranslated: boolean;
  /** For {@link forgetConversations}. */
  readonly identity: readonly Attribute[];
  readonly family: 4 | 6;
}

function message(kind: number, flags: number, family: 4 | 6, attributes: readonly Attribute[]): Request {
  return { type: (subsystem << 8) | kind, flags, body: Uint8Array.of(families[family], 0, 0, 0), attributes };
}

/**
 * The conversations over UDP that connection tracking knows of.
 * @param port to which their packets were sent; undefined for all
 * @returns none where the kernel cannot tell them (no nf_conntrack_netlink)
 * @throws SystemCallError
 */
export function listConversations(socket: NetlinkSocket, family: 4 | 6, port?: number): Conversation[] {
  const [protocolFlag, destinationPortFlag] = [0x08, 0x20];
  const protocol: Attribute = [1, Uint8Array.of(17)];
  const tuple: Attribute[] = [
    [2, port === undefined ? [protocol] : [protocol, [3, Uint8Array.of(port >> 8, port & 0xff)]]],
  ];
  const attributes: Attribute[] = [
    [original, tuple],
    [filter, [[1, port === undefined ? protocolFlag : protocolFlag | destinationPortFlag]]],
  ];
  const deed = { step: "list what connections there are", path: "UDP" };
  try {
    const answers = socket.request(message(getEntry, NLM_F_DUMP, family, attributes), deed);
    return answers.flatMap((answer) => conversationOf(answer, family) ?? []);
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === errnos.EINVAL) return [];
    throw error;
  }
}

function conversationOf({ body }: Message, family: 4 | 6): Conversation | undefined {
  const attributes = decodeAttributes(body, bodySize);
  const nested = (of: Map<number, Buffer>, type: number) => decodeAttributes(of.get(type) ?? Buffer.alloc(0), 0);
  const [sourceType, destinationType] = family === 4 ? [1, 2] : [3, 4];
  const [sent, answered] = [nested(attributes, original), nested(attributes, reply)];
  const address = nested(sent, 1).get(destinationType);
  const port = nested(sent, 2).get(3)?.readUInt16BE();
  const answerAddress = nested(answered, 1).get(sourceType);
  const answerPort = nested(answered, 2).get(2)?.readUInt16BE();
  if (address === undefined || port === undefined || answerAddress === undefined || answerPort === undefined) {
    return undefined;
  }
  const bits = attributes.get(status)?.readUInt32BE() ?? 0;
  return {
    address,
    port,
    answerAddress,
    answerPort,
    isAnswered: (bits & statusBits.isAnswered) !== 0,
    isTranslated: (bits & statusBits.isTranslated) !== 0,
    identity: identity.flatMap((type): Attribute[] => {
      const value = attributes.get(type);
      return value === undefined ? [] : [[type, value]];
    }),
    family,
  };
}

/** Lets the next packet of a conversation begin a new one. Those that have ended meanwhile do not matter. @throws SystemCallError */
export function forgetConversations(socket: NetlinkSocket, conversations: readonly Conversation[]): void {
  const deed = { step: "forget a connection", path: "UDP" };
  for (const conversation of conversations) {
    try {
      socket.request(message(deleteEntry, 0, conversation.family, conversation.identity), deed);
    } catch (error) {
      if (!(error instanceof SystemCallError && error.errno === errnos.ENOENT)) throw error;
    }
  }
}
