import { alignmentOf, type DbusType, parseSignature } from "./signature.ts";

/**
 * A value of D-Bus's: numbers for integers up to 32 bits and doubles, bigint for those of 64 bits, booleans, strings
 * (also of object paths and signatures), lists for arrays and structs, pairs for the entries of dictionaries.
 */
export type DbusValue = number | bigint | boolean | string | DbusVariant | readonly DbusValue[];

/** A value that brings its type with it. */
export interface DbusVariant {
  readonly signature: string;
  readonly value: DbusValue;
}

/** Writes values as little-endian bytes; each is aligned from the beginning of the message. */
export class Marshaller {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Values of a signature, one for each of its complete types. Throws TypeError when they do not fit it. */
  write(signature: string, values: readonly DbusValue[]): this {
    const types = parseSignature(signature);
    if (types.length !== values.length) throw misfit(signature, values);
    types.forEach((type, index) => this.#write(type, values[index] as DbusValue));
    return this;
  }

  align(to: number): this {
    const padding = (to - (this.#length % to)) % to;
    this.#reserve(padding);
    this.#length += padding;
    return this;
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #write(type: DbusType, value: DbusValue): void {
    this.align(alignmentOf(type));
    const at = this.#length;
    switch (type.code) {
      case "y":
        this.#extend(1).setUint8(at, number(value, type.code));
        break;
      case "b":
        if (typeof value !== "boolean") throw misfit(type.code, value);
        this.#extend(4).setUint32(at, value ? 1 : 0, true);
        break;
      case "n":
        this.#extend(2).setInt16(at, number(value, type.code), true);
        break;
      case "q":
        this.#extend(2).setUint16(at, number(value, type.code), true);
        break;
      case "i":
        this.#extend(4).setInt32(at, number(value, type.code), true);
        break;
      case "u":
        this.#extend(4).setUint32(at, number(value, type.code), true);
        break;
      case "x":
        this.#extend(8).setBigInt64(at, value as bigint, true);
        break;
      case "t":
        this.#extend(8).setBigUint64(at, value as bigint, true);
        break;
      case "d":
        this.#extend(8).setFloat64(at, number(value, type.code), true);
        break;
      case "s":
      case "o":
        this.#text(value, 4);
        break;
      case "g":
        this.#text(value, 1);
        break;
      case "v": {
        const { signature, value: content } = value as DbusVariant;
        this.#text(signature, 1);
        this.write(signature, [content]);
        break;
      }
      case "a":
        this.#array(type.element, value);
        break;
      case "(":
        if (!Array.isArray(value) || value.length !== type.fields.length) throw misfit(type.code, value);
        type.fields.forEach((field, index) => this.#write(field, (value as DbusValue[])[index] as DbusValue));
        break;
    }
  }

  /** The padding before the first element does not count in the length. */
  #array(element: DbusType, values: DbusValue): void {
    if (!Array.isArray(values)) throw misfit("a", values);
    const at = this.#length;
    this.#extend(4);
    this.align(alignmentOf(element));
    const start = this.#length;
    for (const value of values as DbusValue[]) this.#write(element, value);
    this.#view.setUint32(at, this.#length - start, true);
  }

  #text(value: DbusValue, lengthBytes: 1 | 4): void {
    if (typeof value !== "string" || value.includes("\0")) throw misfit("s", value);
    const text = new TextEncoder().encode(value);
    const at = this.#length;
    const view = this.#extend(lengthBytes + text.length + 1);
    if (lengthBytes === 1) view.setUint8(at, text.length);
    else view.setUint32(at, text.length, true);
    this.#bytes.set(text, at + lengthBytes);
  }

  #extend(size: number): DataView {
    this.#reserve(size);
    this.#length += size;
    return this.#view;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + size));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

function number(value: DbusValue, code: string): number {
  if (typeof value !== "number") throw misfit(code, value);
  return value;
}

function misfit(signature: string, value: unknown): TypeError {
  return new TypeError(`${String(value)} does not fit D-Bus's type ${signature}`);
}
