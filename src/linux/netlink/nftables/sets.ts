import { type Attribute, decodeAttributeList, decodeAttributes, textOf } from "../message.ts";
import { bigEndian32 } from "./numbers.ts";

/**
 * What sets hold, by the names and numbers of nft, which the kernel only keeps for it: with them `nft list ruleset` shows
 * elements as what they are. Lengths are in bytes.
 */
const dataTypes = {
  nf_proto: { number: 2, length: 1, isNative: true },
  ipv4_addr: { number: 7, length: 4, isNative: false },
  ipv6_addr: { number: 8, length: 16, isNative: false },
  inet_proto: { number: 12, length: 1, isNative: false },
  inet_service: { number: 13, length: 2, isNative: false },
  ifname: { number: 41, length: 16, isNative: true },
} as const;

export type DataType = keyof typeof dataTypes;

/** A set, or a map when it has values. Several types stand for a concatenation. */
export interface SetDefinition {
  readonly name: string;
  readonly key: readonly DataType[];
  readonly value?: readonly DataType[];
  /** Its elements are intervals, which must not overlap. */
  readonly isInterval?: boolean;
}

/** An element of a set or map. */
export interface SetElement {
  /** As {@link encodeFields} makes it. */
  readonly key: Uint8Array;
  /** In a set of intervals: the first key behind it; undefined for an interval up to the last key that there is. */
  readonly end?: Uint8Array | undefined;
  /** In a map. */
  readonly value?: Uint8Array | undefined;
  /** A remark, which nft shows. */
  readonly comment?: string | undefined;
}

/** Each field of a concatenation takes whole registers of 32 bits. */
function padded(length: number): number {
  return (length + 3) & ~3;
}

function lengthOf(types: readonly DataType[]): number {
  const [only] = types;
  if (types.length === 1 && only !== undefined) return dataTypes[only].length;
  return types.reduce((sum, type) => sum + padded(dataTypes[type].length), 0);
}

/** nft's number of a concatenation: six bits for each type. */
function numberOf(types: readonly DataType[]): number {
  const bitsEach = 6;
  return types.reduce((number, type) => (number << bitsEach) | dataTypes[type].number, 0);
}

/** A key or value of its fields' bytes; what a field is shorter than its type is filled with zeros. */
export function encodeFields(types: readonly DataType[], fields: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.alloc(lengthOf(types));
  let offset = 0;
  for (const [index, type] of types.entries()) {
    const field = fields[index];
    if (field === undefined || field.length > dataTypes[type].length) throw new RangeError(`not a field of ${type}`);
    bytes.set(field, offset);
    offset += padded(dataTypes[type].length);
  }
  return bytes;
}

/** The fields' bytes of a key or value, each as long as its type. */
export function decodeFields(types: readonly DataType[], bytes: Buffer): Buffer[] {
  let offset = 0;
  return types.map((type) => {
    const { length } = dataTypes[type];
    const field = bytes.subarray(offset, offset + length);
    offset += padded(length);
    return field;
  });
}

/** Attributes of NFT_MSG_NEWSET. */
export function setAttributes(set: SetDefinition): Attribute[] {
  const flags = { interval: 4, map: 8 };
  const { key, value, isInterval = false } = set;
  const attributes: Attribute[] = [
    [2, set.name],
    [3, bigEndian32((isInterval ? flags.interval : 0) | (value === undefined ? 0 : flags.map))],
    [4, bigEndian32(numberOf(key))],
    [5, bigEndian32(lengthOf(key))],
  ];
  if (value !== undefined) attributes.push([6, bigEndian32(numberOf(value))], [7, bigEndian32(lengthOf(value))]);
  // An identification within the batch, which the kernel demands; rules name sets by their names here.
  attributes.push([10, bigEndian32(1)], [13, byteOrders(set)]);
  return attributes;
}

/** nft's own remark on a set: whether numbers in it are the machine's or the network's. libnftnl/udata.h */
function byteOrders({ key, value }: SetDefinition): Buffer {
  const [native, network] = [1, 2];
  const order = (types: readonly DataType[]) => {
    const [only] = types;
    if (types.length > 1 || only === undefined) return 0;
    return dataTypes[only].isNative ? native : network;
  };
  const remark = (type: number, number: number) => [type, 4, number, 0, 0, 0];
  return Buffer.from([...remark(0, order(key)), ...(value === undefined ? [] : remark(1, order(value)))]);
}

const intervalEnd = 1;
const dataValue = 1;
const listElement = 1;

/** Attributes of NFT_MSG_NEWSETELEM and NFT_MSG_DELSETELEM, behind the table's name. */
export function elementAttributes(set: SetDefinition, element: SetElement): Attribute[] {
  const { key, end, value, comment } = element;
  const attributes: Attribute[] = [[1, [[dataValue, key]]]];
  if (value !== undefined) attributes.push([2, [[dataValue, value]]]);
  if (comment !== undefined) attributes.push([6, encodeComment(comment)]);
  const elements: Attribute[] = [[listElement, attributes]];
  if (end !== undefined) {
    elements.push([
      listElement,
      [
        [3, bigEndian32(intervalEnd)],
        [1, [[dataValue, end]]],
      ],
    ]);
  }
  return [
    [2, set.name],
    [3, elements],
  ];
}

/** How nft keeps a comment on a table or an element. libnftnl/udata.h */
export function encodeComment(comment: string): Buffer {
  const text = Buffer.from(`${comment}\0`);
  return Buffer.concat([Buffer.of(0, text.length), text]);
}

/** @param data what nft, or somebody else, has kept there; undefined when that is no comment */
export function decodeComment(data: Buffer | undefined): string | undefined {
  if (data === undefined) return undefined;
  const headerSize = 2;
  let offset = 0;
  while (offset + headerSize <= data.length) {
    const [type, length] = [data.readUInt8(offset), data.readUInt8(offset + 1)];
    const start = offset + headerSize;
    if (type === 0) return textOf(data.subarray(start, start + length));
    offset = start + length;
  }
  return undefined;
}

/** The elements that answers to a list of a set's elements hold, from their attributes. */
export function decodeElements(set: SetDefinition, lists: readonly Map<number, Buffer>[]): SetElement[] {
  const found = lists
    .flatMap((attributes) => decodeAttributeList(attributes.get(3) ?? Buffer.alloc(0), 0))
    .flatMap(([, bytes]) => elementOf(decodeAttributes(bytes, 0)));
  if (set.isInterval !== true) return found.map(({ element }) => element);
  const ends = found.flatMap(({ element, isEnd }) => (isEnd ? [Buffer.from(element.key)] : []));
  ends.sort((one, other) => one.compare(other));
  return found
    .filter(({ isEnd }) => !isEnd)
    .map(({ element }) => ({ ...element, end: ends.find((end) => end.compare(element.key) > 0) }));
}

function elementOf(attributes: Map<number, Buffer>): { element: SetElement; isEnd: boolean }[] {
  const data = (type: number) => decodeAttributes(attributes.get(type) ?? Buffer.alloc(0), 0).get(dataValue);
  const key = data(1);
  if (key === undefined) return [];
  const isEnd = ((attributes.get(3)?.readUInt32BE() ?? 0) & intervalEnd) !== 0;
  return [{ element: { key, value: data(2), comment: decodeComment(attributes.get(6)) }, isEnd }];
}
