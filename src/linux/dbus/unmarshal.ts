import { InvalidDocumentError } from "../../util/errors.ts";
import type { DbusValue } from "./marshal.ts";
import { alignmentOf, type DbusType, parseSignature } from "./signature.ts";

/** Variants may lie in each other without an end: the specification's limit for a message. */
const deepest = 64;

/** Reads values from a message's bytes, in the order of bytes that the message says. */
export class Unmarshaller {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  #at: number;

  /** @param at where to begin: alignment counts from the beginning of `bytes` */
  constructor(bytes: Uint8Array, at: number, littleEndian: boolean) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#little = littleEndian;
  }

  /** Where the next value begins. */
  get position(): number {
    return this.#at;
  }

  /** The values of a signature. @throws InvalidDocumentError the bytes are none such */
  read(signature: string): DbusValue[] {
    return parseSignature(signature).map((type) => this.#read(type, 0));
  }

  align(to: number): void {
    this.#at += (to - (this.#at % to)) % to;
  }

  #read(type: DbusType, depth: number): DbusValue {
    if (depth > deepest) throw new InvalidDocumentError("a message of D-Bus's has values too deep in each other");
    this.align(alignmentOf(type));
    switch (type.code) {
      case "y":
        return this.#view.getUint8(this.#take(1));
      case "b":
        return this.#view.getUint32(this.#take(4), this.#little) !== 0;
      case "n":
        return this.#view.getInt16(this.#take(2), this.#little);
      case "q":
        return this.#view.getUint16(this.#take(2), this.#little);
      case "i":
        return this.#view.getInt32(this.#take(4), this.#little);
      case "u":
        return this.#view.getUint32(this.#take(4), this.#little);
      case "x":
        return this.#view.getBigInt64(this.#take(8), this.#little);
      case "t":
        return this.#view.getBigUint64(this.#take(8), this.#little);
      case "d":
        return this.#view.getFloat64(this.#take(8), this.#little);
      case "s":
      case "o":
        return this.#text(this.#view.getUint32(this.#take(4), this.#little));
      case "g":
        return this.#text(this.#view.getUint8(this.#take(1)));
      case "v": {
        const signature = this.#text(this.#view.getUint8(this.#take(1)));
        const types = parseSignature(signature);
        if (types.length !== 1) throw new InvalidDocumentError("a variant of D-Bus's has not exactly one value");
        return { signature, value: this.#read(types[0] as DbusType, depth + 1) };
      }
      case "a":
        return this.#array(type.element, depth);
      case "(":
        return type.fields.map((field) => this.#read(field, depth + 1));
    }
  }

  #array(element: DbusType, depth: number): DbusValue[] {
    const length = this.#view.getUint32(this.#take(4), this.#little);
    this.align(alignmentOf(element));
    const end = this.#at + length;
    if (end > this.#bytes.length) throw cutOff();
    const values: DbusValue[] = [];
    while (this.#at < end) values.push(this.#read(element, depth + 1));
    if (this.#at !== end) throw cutOff();
    return values;
  }

  #text(length: number): string {
    const start = this.#take(length + 1);
    return new TextDecoder().decode(this.#bytes.subarray(start, start + length));
  }

  /** @returns where so many bytes begin, which are passed over */
  #take(size: number): number {
    const start = this.#at;
    if (start + size > this.#bytes.length) throw cutOff();
    this.#at += size;
    return start;
  }
}

function cutOff(): InvalidDocumentError {
  return new InvalidDocumentError("a message of D-Bus's is shorter than its values");
}
