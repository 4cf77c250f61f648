import { addressOfBytes, formatIpAddress, parseIpAddress } from "../../util/ip-address.ts";

// Names of the domain system: labels of up to 63 bytes, each behind its length. RFC 1035 3.1

/** The two high bits of a length say that it is none: the rest is the place where the name goes on. RFC 1035 4.1.4 */
const pointerBits = 0xc0;
const longestLabel = 63;
/** With the lengths, and the root's label at the end. RFC 1035 2.3.4 */
const longestName = 255;

/**
 * Where a name in a message ends. Its letters are not looked at, and pointers are not followed.
 * @param allowsPointer whether the name may end in one
 * @returns undefined when it does not end in the message, is too long, or has lengths that there are not
 */
export function nameEnd(message: Uint8Array, start: number, allowsPointer: boolean): number | undefined {
  for (let at = start; at - start < longestName;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length > longestLabel) {
      const isPointer = (length & pointerBits) === pointerBits;
      return isPointer && allowsPointer && at + 2 <= message.length ? at + 2 : undefined;
    }
    at += 1 + length;
  }
  return undefined;
}

/**
 * A name without pointers in words, as it would stand in a zone's file, but in lower case and without the final dot: the
 * root is "". Bytes that could be misread are `\DDD`, so that no two names have the same words. RFC 1035 5.1
 * @param start of a name that {@link nameEnd} has found well
 */
export function decodeName(message: Uint8Array, start: number): string {
  let text = "";
  for (let at = start; ;) {
    const length = message[at] as number;
    if (length === 0) return text;
    if (text !== "") text += ".";
    for (let index = at + 1; index <= at + length; index++) text += decodeByte(message[index] as number);
    at += 1 + length;
  }
}

const [dot, backslash] = [0x2e, 0x5c];

function decodeByte(byte: number): string {
  if (byte >= 0x41 && byte <= 0x5a) return String.fromCharCode(byte + 0x20);
  if (byte > 0x20 && byte < 0x7f && byte !== dot && byte !== backslash) return String.fromCharCode(byte);
  return `\\${String(byte).padStart(3, "0")}`;
}

/** A name's bytes, without pointers. @param text of labels with dots between @returns undefined when it can be none */
export function encodeName(text: string): Uint8Array | undefined {
  const labels = text.split(".").map((label) => Buffer.from(label));
  if (labels.some(({ length }) => length === 0 || length > longestLabel)) return undefined;
  const bytes = Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
  return bytes.length <= longestName ? bytes : undefined;
}

/**
 * The address whose name is asked for: by `4.3.2.1.in-addr.arpa`, or by 32 digits before `ip6.arpa`. RFC 1035 3.5,
 * RFC 3596 2.5
 * @param name in lower case
 * @returns its usual form; undefined for another name
 */
export function reversedAddress(name: string): string | undefined {
  const [, four] = /^((?:\d{1,3}\.){3}\d{1,3})\.in-addr\.arpa$/.exec(name) ?? [];
  if (four !== undefined) {
    const address = parseIpAddress(four.split(".").reverse().join("."));
    return address && formatIpAddress(address);
  }
  const [, six] = /^((?:[\da-f]\.){32})ip6\.arpa$/.exec(name) ?? [];
  if (six === undefined) return undefined;
  const digits = six.split(".").reverse().join("");
  return formatIpAddress(addressOfBytes(Buffer.from(digits, "hex")));
}
