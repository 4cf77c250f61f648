import { InvalidDocumentError } from "../../util/errors.ts";

/**
 * A list such as `0-3,7` as a bit for each number, in whole words of 64 bits. cpuset(7), "List format"
 * @param where the list stands in the document, for messages
 * @param what the numbers are of, and how many of them the kernel can be built for at most
 * @throws InvalidDocumentError
 */
export function maskOfList(
  list: string,
  where: string,
  { name, most }: { readonly name: string; readonly most: number },
): Uint8Array {
  const mask = new Uint8Array(most / 8);
  let last = -1;
  for (const element of list.split(",")) {
    const range = element.trim();
    if (range === "") continue;
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    const from = Number(match?.[1] ?? Number.NaN);
    const to = match?.[2] === undefined ? from : Number(match[2]);
    if (!(from <= to)) throw new InvalidDocumentError(`${where}: ${range} is no ${name} or range of ${name}s`);
    if (to >= most) throw new InvalidDocumentError(`${where}: there is no ${name} ${to}, the last is ${most - 1}`);
    for (let number = from; number <= to; number++) (mask[number >> 3] as number) |= 1 << (number & 7);
    if (to > last) last = to;
  }
  if (last < 0) throw new InvalidDocumentError(`${where}: names no ${name}`);
  return mask.slice(0, ((last >> 6) + 1) * 8);
}
