import { type Attribute, decodeAttributes, type Message, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP } from "../message.ts";
import type { Request } from "../message.ts";
import { textOf } from "../message.ts";
import type { Expression } from "./expressions.ts";
import { bigEndian32 } from "./numbers.ts";
import {
  decodeComment,
  decodeElements,
  elementAttributes,
  encodeComment,
  setAttributes,
  type SetDefinition,
  type SetElement,
} from "./sets.ts";

/**
 * Messages of nftables, of the family `inet`: for IPv4 and IPv6. All begin with the table's name, attribute 1.
 * linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
 */
const subsystem = 10;
const kinds = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  newChain: 3,
  getChain: 4,
  newRule: 6,
  getRule: 7,
  newSet: 9,
  newElement: 12,
  getElement: 13,
  deleteElement: 14,
} as const;

/** `struct nfgenmsg`: family, version, and two bytes for messages about batches alone. */
const inet = 1;
const bodySize = 4;

function message(kind: keyof typeof kinds, flags: number, attributes: readonly Attribute[]): Request {
  return { type: (subsystem << 8) | kinds[kind], flags, body: Uint8Array.of(inet, 0, 0, 0), attributes };
}

const [batchBeginType, batchEndType] = [16, 17];

/** What stands before the requests that are one transaction. */
export const batchBegin: Request = batchMessage(batchBeginType);
/** What stands behind them. */
export const batchEnd: Request = batchMessage(batchEndType);

function batchMessage(type: number): Request {
  return { type, body: Uint8Array.of(0, 0, 0, subsystem), isUnacknowledged: true };
}

/** Makes a table, or does nothing when it is there. */
export function addTable(table: string, comment: string): Request {
  return message("newTable", NLM_F_CREATE, [
    [1, table],
    [6, encodeComment(comment)],
  ]);
}

/** With all that is in it. ENOENT when it is not there. */
export function deleteTable(table: string): Request {
  return message("deleteTable", 0, [[1, table]]);
}

/** Asks for a table. ENOENT when it is not there. */
export function getTable(table: string): Request {
  return message("getTable", 0, [[1, table]]);
}

/** The comment on a table, in the answer to {@link getTable}. */
export function tableComment({ body }: Message): string | undefined {
  return decodeComment(decodeAttributes(body, bodySize).get(6));
}

const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** Where packets come to a chain. */
export interface Hook {
  readonly type: "filter" | "nat";
  readonly at: keyof typeof hooks;
  /** Those of smaller numbers are earlier. Connection tracking is -200, translation -100 and 100. */
  readonly priority: number;
}

/** Makes a chain. What it does not decide goes on. */
export function addChain(table: string, name: string, hook?: Hook): Request {
  const attributes: Attribute[] = [
    [1, table],
    [3, name],
  ];
  if (hook !== undefined) {
    const accept = 1;
    attributes.push(
      [
        4,
        [
          [1, bigEndian32(hooks[hook.at])],
          [2, bigEndian32(hook.priority)],
        ],
      ],
      [5, bigEndian32(accept)],
      [7, hook.type],
    );
  }
  return message("newChain", NLM_F_CREATE, attributes);
}

/** Asks for the chains of all tables of all families. */
export function listChains(): Request {
  return { ...message("getChain", NLM_F_DUMP, []), body: new Uint8Array(bodySize) };
}

/** A chain of any table. */
export interface ChainFacts {
  /** As nft names it: `ip filter FORWARD`. */
  readonly name: string;
  /** Where packets come to it; undefined for a chain that others lead to. */
  readonly at: keyof typeof hooks | undefined;
  /** Whether what it does not decide goes no further. */
  readonly drops: boolean;
}

/** A chain, in the answer to {@link listChains}. */
export function chainFacts({ body }: Message): ChainFacts {
  const familyNames: Readonly<Record<number, string>> = {
    1: "inet",
    2: "ip",
    3: "arp",
    5: "netdev",
    7: "bridge",
    10: "ip6",
  };
  const attributes = decodeAttributes(body, bodySize);
  const text = (type: number) => textOf(attributes.get(type) ?? Buffer.alloc(0));
  const family = familyNames[body.readUInt8(0)] ?? "unknown";
  const hook = decodeAttributes(attributes.get(4) ?? Buffer.alloc(0), 0)
    .get(1)
    ?.readUInt32BE();
  const isOfIp = ["inet", "ip", "ip6"].includes(family);
  const at = (Object.keys(hooks) as (keyof typeof hooks)[]).find((name) => isOfIp && hooks[name] === hook);
  return { name: `${family} ${text(1)} ${text(3)}`, at, drops: attributes.get(5)?.readUInt32BE() === 0 };
}

/** Adds a rule at the end of a chain. */
export function addRule(table: string, chain: string, expressions: readonly Expression[]): Request {
  const listElement = 1;
  const list = expressions.map(({ name, attributes }): Attribute => [
    listElement,
    [
      [1, name],
      [2, attributes],
    ],
  ]);
  return message("newRule", NLM_F_CREATE | NLM_F_APPEND, [
    [1, table],
    [2, chain],
    [4, list],
  ]);
}

/** Asks for the rules of a table. */
export function listRules(table: string): Request {
  return message("getRule", NLM_F_DUMP, [[1, table]]);
}

/** The chain of a rule, in the answer to {@link listRules}. */
export function chainOfRule({ body }: Message): string {
  return textOf(decodeAttributes(body, bodySize).get(2) ?? Buffer.alloc(0));
}

/** Makes a set or a map. */
export function addSet(table: string, set: SetDefinition): Request {
  return message("newSet", NLM_F_CREATE, [[1, table], ...setAttributes(set)]);
}

/**
 * Adds an element, or does nothing when it is there. EEXIST, or EBUSY or ENOTEMPTY by older kernels, when a map has
 * another value for the key or an interval overlaps another; ENOENT when there is no such set.
 */
export function addElement(table: string, set: SetDefinition, element: SetElement): Request {
  return message("newElement", NLM_F_CREATE, [[1, table], ...elementAttributes(set, element)]);
}

/** Removes an element. ENOENT when it is not there. Its value and comment do not count. */
export function deleteElement(table: string, set: SetDefinition, { key, end }: SetElement): Request {
  return message("deleteElement", 0, [[1, table], ...elementAttributes(set, { key, end })]);
}

/** Asks for the elements of a set. ENOENT when there is no such set. */
export function listElements(table: string, set: SetDefinition): Request {
  return message("getElement", NLM_F_DUMP, [
    [1, table],
    [2, set.name],
  ]);
}

/** The elements of a set, in the answers to {@link listElements}. */
export function elementsOf(set: SetDefinition, answers: readonly Message[]): SetElement[] {
  return decodeElements(
    set,
    answers.map(({ body }) => decodeAttributes(body, bodySize)),
  );
}
