import { type LogRecord, type RecordFacts, type RecordParser, standsAt } from "./log-record.ts";

const decoder = new TextDecoder();
const none: LogRecord["attributes"] = {};
const [space, newline] = [0x20, 0x0a];
const [full, partial] = [0x46, 0x50];

/** What stands before a text, read. */
interface Head extends RecordFacts {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/**
 * Reads records of local: see `CriEncoder`. Many follow each other that have the same time and stream, which are only
 * read when they are other ones than before.
 */
export function criRecordParser(): RecordParser {
  let head: Head | undefined;
  return (bytes, start, end) => {
    if (head === undefined || end - start < head.bytes.length || !standsAt(bytes, start, head.bytes)) {
      head = readHead(bytes.subarray(start, end));
      if (head === undefined) return undefined;
    }
    const { stream, time, attributes, isLast } = head;
    const from = start + head.bytes.length;
    const length = end - from;
    const text = new Uint8Array(isLast ? length + 1 : length);
    for (let index = 0; index < length; index++) text[index] = bytes[from + index] as number;
    if (isLast) text[length] = newline;
    return { stream, time, attributes, text };
  };
}

function readHead(bytes: Uint8Array): Head | undefined {
  const afterTime = bytes.indexOf(space);
  const afterStream = bytes.indexOf(space, afterTime + 1);
  const tag = bytes[afterStream + 1];
  if (afterTime < 1 || afterStream < 0 || bytes[afterStream + 2] !== space) return undefined;
  if (tag !== full && tag !== partial) return undefined;
  const stream = decoder.decode(bytes.subarray(afterTime + 1, afterStream));
  if (stream !== "stdout" && stream !== "stderr") return undefined;
  const time = decoder.decode(bytes.subarray(0, afterTime));
  return { bytes: bytes.slice(0, afterStream + 3), isLast: tag === full, stream, time, attributes: none };
}
