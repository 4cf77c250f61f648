import type { Attribute } from "../message.ts";
import { bigEndian32, native32 } from "./numbers.ts";

/**
 * The expressions that rules consist of: small steps that the kernel does one after the other over 16 registers of 32 bits,
 * until one does not match. What is written in `nft` as one statement is often several of them; `nft --debug=netlink` shows
 * them. linux/netfilter/nf_tables.h
 */
export interface Expression {
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

/** NFTA_DATA_VALUE, within an attribute that holds data. */
const dataValue = 1;

/**
 * The number of the register for a word of 32 bits. The first words of each four have the numbers of the older registers of
 * 128 bits, as the kernel itself tells them.
 */
function register(word: number): Buffer {
  const wordsEach = 4;
  const firstOfWords = 8;
  return bigEndian32(word % wordsEach === 0 ? 1 + word / wordsEach : firstOfWords + word);
}

/** Bytes of the packet's network header (IP) or transport header (TCP, UDP, SCTP) to registers. */
export function payload(header: "network" | "transport", offset: number, length: number, word = 0): Expression {
  return {
    name: "payload",
    attributes: [
      [1, register(word)],
      [2, bigEndian32(header === "network" ? 1 : 2)],
      [3, bigEndian32(offset)],
      [4, bigEndian32(length)],
    ],
  };
}

const metaKeys = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;

/** Facts about the packet: names of devices are 16 bytes, protocols one. */
export function meta(key: keyof typeof metaKeys, word = 0): Expression {
  return {
    name: "meta",
    attributes: [
      [2, bigEndian32(metaKeys[key])],
      [1, register(word)],
    ],
  };
}

const connectionKeys = { state: 0, direction: 1, status: 2 } as const;

/** What connection tracking says: `state` and `status` are 32 bits, `direction` is a byte. */
export function connection(key: keyof typeof connectionKeys): Expression {
  return {
    name: "ct",
    attributes: [
      [2, bigEndian32(connectionKeys[key])],
      [1, register(0)],
    ],
  };
}

/** Bits of {@link connection}`("state")`. */
export const connectionStates = { invalid: 1, established: 2, related: 4 } as const;
/** {@link connection}`("direction")` of what comes from who was asked. */
export const connectionReply = 1;
/** The bit of {@link connection}`("status")` of those whose destination is translated. */
export const destinationTranslated = 0x20;

/** Kinds of addresses, as routes have them: RTN_… */
export const addressKinds = { local: 2, broadcast: 3, multicast: 5 } as const;

/**
 * Of which kind the packet's address is for this host.
 * @param isOfDevice ask only whether it is so on the device that the packet came in by
 */
export function addressKind(address: "saddr" | "daddr", isOfDevice = false): Expression {
  const addressType = 3;
  const inputDevice = 8;
  return {
    name: "fib",
    attributes: [
      [1, register(0)],
      [2, bigEndian32(addressType)],
      [3, bigEndian32((address === "saddr" ? 1 : 2) | (isOfDevice ? inputDevice : 0))],
    ],
  };
}

/** Goes on when registers hold these bytes, or when they do not. */
export function compare(operation: "equal" | "different", bytes: Uint8Array): Expression {
  return {
    name: "cmp",
    attributes: [
      [1, register(0)],
      [2, bigEndian32(operation === "equal" ? 0 : 1)],
      [3, [[dataValue, bytes]]],
    ],
  };
}

/** Goes on when the first register has any of these bits. */
export function anyBitOf(bits: number): Expression[] {
  const word = native32(bits);
  return [
    {
      name: "bitwise",
      attributes: [
        [1, register(0)],
        [2, register(0)],
        [3, bigEndian32(word.length)],
        [4, [[dataValue, word]]],
        [5, [[dataValue, native32(0)]]],
      ],
    },
    compare("different", native32(0)),
  ];
}

/** Goes on when a set has what the registers hold, or when it does not. */
export function lookUp(set: string, isIn: "in" | "not in" = "in"): Expression {
  const inverted = 1;
  return {
    name: "lookup",
    attributes: [[1, set], [2, register(0)], ...(isIn === "in" ? [] : ([[5, bigEndian32(inverted)]] as const))],
  };
}

/** Goes on when a map has what the registers hold, and puts its value there. */
export function lookUpIn(map: string): Expression {
  return {
    name: "lookup",
    attributes: [
      [1, map],
      [2, register(0)],
      [3, register(0)],
    ],
  };
}

/** Puts bytes into the registers from a word on. */
export function immediate(bytes: Uint8Array, word: number): Expression {
  return {
    name: "immediate",
    attributes: [
      [1, register(word)],
      [2, [[dataValue, bytes]]],
    ],
  };
}

/** Sends the connection to the address in the first registers, and the port in those behind it. */
export function translateDestination(family: 4 | 6): Expression {
  const toDestination = 1;
  const addressWords = family === 4 ? 1 : 4;
  return {
    name: "nat",
    attributes: [
      [1, bigEndian32(toDestination)],
      [2, bigEndian32(protocolFamilies[family])],
      [3, register(0)],
      [5, register(addressWords)],
    ],
  };
}

/** Lets the connection come from the address that the host has on the device by which it leaves. */
export const masquerade: Expression = { name: "masq", attributes: [] };

/** NFPROTO_…, as `meta nfproto` tells them too. */
export const protocolFamilies = { 4: 2, 6: 10 } as const;

const verdicts = { drop: 0, accept: 1, return: -5 } as const;
const jumpCode = -3;

/** What becomes of the packet. `accept` and `return` are no last word: chains of other tables see it too. */
export function verdict(name: keyof typeof verdicts): Expression {
  return verdictOf([[1, bigEndian32(verdicts[name])]]);
}

/** Goes through another chain, and comes back if that decides nothing. */
export function jump(chain: string): Expression {
  return verdictOf([
    [1, bigEndian32(jumpCode)],
    [2, chain],
  ]);
}

function verdictOf(attributes: readonly Attribute[]): Expression {
  const verdictRegister = 0;
  const dataVerdict = 2;
  return {
    name: "immediate",
    attributes: [
      [1, bigEndian32(verdictRegister)],
      [2, [[dataVerdict, attributes]]],
    ],
  };
}
