import type { ByteString } from "../../../linux/at.ts";
import { tarError } from "./errors.ts";
import { mergePax, type PaxAttributes, parsePaxRecords } from "./pax.ts";

/** Longest extended header, long name or sparse map that is taken, in bytes: the limit of Go's archive/tar. */
export const metadataLimit = 1 << 20;

const typeFlags = new Set([
  "x",
  // Solaris's name for the same.
  "X",
  "g",
  "L",
  "K",
]);

/** Whether a header of this type says something of members after it, instead of being one. */
export function isExtendedHeader(typeFlag: string): boolean {
  return typeFlags.has(typeFlag);
}

/**
 * The extended headers in front of a member: PAX records of its own (`x`) or for all (`g`), GNU's long name (`L`) and
 * long link (`K`). Collects their content and adds up what they say.
 */
export class ExtendedHeaders {
  #buffer = Buffer.alloc(0);
  #fill = 0;
  #typeFlag = "";
  #offset = 0;
  #global: PaxAttributes | undefined;
  #globalSize = 0;
  #local: PaxAttributes | undefined;
  #longPath: ByteString | undefined;
  #longLink: ByteString | undefined;

  /**
   * An extended header begins.
   * @param offset of its header block in the archive
   * @throws InvalidDocumentError when it is too large to be kept
   */
  begin(typeFlag: string, size: number, offset: number): void {
    const total = typeFlag === "g" ? this.#globalSize + size : size;
    if (total > metadataLimit) throw tarError(offset, `an extended header of ${size} bytes is too large`);
    if (this.#buffer.length < size) this.#buffer = Buffer.allocUnsafe(Math.max(size, 4096));
    this.#fill = 0;
    this.#typeFlag = typeFlag;
    this.#offset = offset;
  }

  /** Takes `count` bytes of its content. */
  append(bytes: Buffer, start: number, count: number): void {
    bytes.copy(this.#buffer, this.#fill, start, start + count);
    this.#fill += count;
  }

  /** Its content is complete. @throws InvalidDocumentError when it breaks the rules of PAX */
  end(): void {
    const bytes = this.#buffer.subarray(0, this.#fill);
    switch (this.#typeFlag) {
      case "L":
        this.#longPath = untilNul(bytes);
        return;
      case "K":
        this.#longLink = untilNul(bytes);
        return;
      case "g":
        this.#globalSize += bytes.length;
        parsePaxRecords(bytes, (this.#global ??= {}), this.#offset);
        return;
      default:
        // A second one in front of the same member replaces the first.
        this.#local = {};
        parsePaxRecords(bytes, this.#local, this.#offset);
    }
  }

  /** Whether something was said of a member that has not come yet. */
  get pending(): boolean {
    return this.#local !== undefined || this.#longPath !== undefined || this.#longLink !== undefined;
  }

  /** What was said of the member that comes now; the next one begins without. PAX wins over GNU, as in GNU tar. */
  take(): PaxAttributes {
    const merged = mergePax(this.#global, this.#local);
    const path = merged.path ?? this.#longPath;
    const linkPath = merged.linkPath ?? this.#longLink;
    this.#local = undefined;
    this.#longPath = undefined;
    this.#longLink = undefined;
    if (path === merged.path && linkPath === merged.linkPath) return merged;
    return { ...merged, path: path ?? null, linkPath: linkPath ?? null };
  }
}

/** GNU's long names end with a NUL. */
function untilNul(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}
