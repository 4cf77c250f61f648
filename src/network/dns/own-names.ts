import { addressBytes, type IpAddress, parseIpAddress } from "../../util/ip-address.ts";
import { type Answer, type AnswerRecord } from "./answer.ts";
import { type Query, recordType, responseCode } from "./message.ts";
import { encodeName, reversedAddress } from "./name.ts";

/** The names that gocker itself gives. Asked anew for each query, as containers come and go. */
export interface NameLookup {
  /**
   * Addresses of a name, of both families, in their usual form.
   * @param name in lower case, without a final dot
   * @returns undefined when it is none of gocker's
   */
  addresses(name: string): readonly string[] | undefined;
  /**
   * The name of whoever has an address.
   * @param address in its usual form
   * @returns undefined when gocker knows nobody who has it
   */
  nameOf(address: string): string | undefined;
}

/**
 * Seconds for which an address may be believed. Few programs keep one at all; those that do (nginx, resolvers in a
 * container) have to notice when a container was replaced.
 */
const lifetime = 5;

/**
 * What gocker answers to a query by itself. A name of gocker's has nothing but addresses, and is nobody else's to tell of.
 * @param random a number from 0 to below 1
 * @returns undefined when the name is none of gocker's
 */
export function ownAnswer({ name, type }: Query, lookup: NameLookup, random = Math.random): Answer | undefined {
  const records = ownRecords(name, lookup);
  if (records === undefined) return undefined;
  const wanted = records.filter((record) => type === recordType.ANY || record.type === type);
  return { code: responseCode.noError, records: rotated(wanted, random), lifetime };
}

function ownRecords(name: string, lookup: NameLookup): AnswerRecord[] | undefined {
  const reversed = reversedAddress(name);
  if (reversed !== undefined) {
    const owner = lookup.nameOf(reversed);
    if (owner === undefined) return undefined;
    const data = encodeName(owner);
    return data === undefined ? [] : [{ type: recordType.PTR, data }];
  }
  return lookup
    .addresses(name)
    ?.map(parseIpAddress)
    .filter((address): address is IpAddress => address !== undefined)
    .map((address) => ({
      type: address.family === 4 ? recordType.A : recordType.AAAA,
      data: addressBytes(address),
    }));
}

/** Another one comes first each time, so that those who take the first one are shared out among all. */
function rotated<Item>(items: readonly Item[], random: () => number): readonly Item[] {
  const start = Math.floor(random() * items.length);
  return [...items.slice(start), ...items.slice(0, start)];
}
