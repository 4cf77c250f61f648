import { posix } from "node:path";
import { InvalidDocumentError } from "../../util/errors.ts";
import { longestDocument } from "../read-blob.ts";
import { ExtendedHeaders, isExtendedHeader, metadataLimit } from "../layer/tar/extended-headers.ts";
import { blockSize, isZeroBlock, parseHeader } from "../layer/tar/header.ts";
import { buildMember } from "../layer/tar/member.ts";
import { type ArchiveBytes, chunksOf } from "./bytes.ts";

/** Where the content of one file of the archive stands. */
export interface Member {
  readonly start: number;
  readonly size: number;
}

/** Links of links of links…: what Linux allows. path_resolution(7) */
const mostLinks = 40;

/** More names than any archive of images has; it bounds the memory that an archive can claim. */
const mostMembers = 100_000;

/**
 * The files of an image archive by name. Nothing is ever written under these names: they are only looked up. Of two
 * members with one name the later one counts, as for every tar.
 */
export class ArchiveMembers {
  readonly #bytes: ArchiveBytes;
  readonly #files = new Map<string, Member>();
  readonly #links = new Map<string, string>();

  /**
   * Reads the headers of the archive, and skips over the content.
   * @throws InvalidDocumentError when it is no tar archive, or ends too early
   */
  constructor(bytes: ArchiveBytes) {
    this.#bytes = bytes;
    const extended = new ExtendedHeaders();
    const block = Buffer.alloc(blockSize);
    for (let at = 0; at < bytes.size;) {
      readFully(bytes, block, at);
      if (isZeroBlock(block, 0)) break;
      const header = parseHeader(block, 0, at);
      const content = at + blockSize;
      if (isExtendedHeader(header.typeFlag)) {
        extended.begin(header.typeFlag, header.size, at);
        const records = Buffer.alloc(Math.min(header.size, metadataLimit));
        readFully(bytes, records, content);
        extended.append(records, 0, records.length);
        extended.end();
        at = content + blocks(header.size);
        continue;
      }
      const { entry, stored, map } = buildMember(header, extended.take(), at, undefined);
      at = content + blocks(stored);
      if (content + stored > bytes.size) throw new InvalidDocumentError("the archive ends inside a file");
      const name = cleanName(utf8(entry.path));
      this.#files.delete(name);
      this.#links.delete(name);
      if (entry.type === "file" && map === undefined && header.typeFlag !== "S") {
        this.#files.set(name, { start: content, size: stored });
      } else if (entry.type === "symlink") {
        this.#links.set(name, cleanName(posix.join(posix.dirname(name), utf8(entry.linkPath))));
      } else if (entry.type === "hardlink") {
        this.#links.set(name, cleanName(utf8(entry.linkPath)));
      }
      if (this.#files.size + this.#links.size > mostMembers) {
        throw new InvalidDocumentError("the archive has too many files to be an archive of images");
      }
    }
  }

  /** The file of that name, links followed. */
  find(name: string): Member | undefined {
    let current = cleanName(name);
    for (let links = 0; links <= mostLinks; links++) {
      const target = this.#links.get(current);
      if (target === undefined) return this.#files.get(current);
      current = target;
    }
    return undefined;
  }

  /** The file of that name. Throws InvalidDocumentError when there is none. */
  get(name: string): Member {
    const member = this.find(name);
    if (member === undefined) throw new InvalidDocumentError(`the archive lacks the file ${JSON.stringify(name)}`);
    return member;
  }

  /** The content of a document. Throws InvalidDocumentError when it is too long to be one. */
  read(member: Member, what: string): Uint8Array {
    if (member.size > longestDocument) {
      throw new InvalidDocumentError(`${what} is ${member.size} bytes long; ${longestDocument} are allowed`);
    }
    const bytes = Buffer.alloc(member.size);
    readFully(this.#bytes, bytes, member.start);
    return bytes;
  }

  /** The content from `offset` on, in pieces. */
  chunks(member: Member, offset = 0): Generator<Uint8Array, void> {
    return chunksOf(this.#bytes, member.start + offset, member.start + member.size);
  }

  /** The content from `offset` on. */
  stream(member: Member, offset: number): ReadableStream<Uint8Array> {
    const chunks = this.chunks(member, offset);
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          const { done, value } = chunks.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
      },
      { highWaterMark: 0 },
    );
  }
}

function readFully(bytes: ArchiveBytes, buffer: Uint8Array, position: number): void {
  for (let done = 0; done < buffer.length;) {
    const length = bytes.read(buffer.subarray(done), position + done);
    if (length === 0) throw new InvalidDocumentError("the archive ends too early");
    done += length;
  }
}

/** The same name for `a`, `./a`, `/a` and `b/../a`. */
function cleanName(name: string): string {
  return posix.normalize(`/${name}`).slice(1).replace(/\/$/, "");
}

/** Names come as bytes, one character each. */
function utf8(name: string): string {
  return Buffer.from(name, "latin1").toString("utf8");
}

function blocks(size: number): number {
  return Math.ceil(size / blockSize) * blockSize;
}
