import { Header } from "tar/header";

/** A regular file of root's for {@link writeUstar}. */
export interface UstarFile {
  /** At most 100 ASCII characters. */
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

const blockSize = 512;

/**
 * A tar archive of a few files that is the same wherever and whenever it is made: owners and times are 0.
 * POSIX.1-2024, pax, "ustar Interchange Format"
 */
export function writeUstar(files: readonly UstarFile[]): Uint8Array<ArrayBuffer> {
  const ends = 2 * blockSize;
  const length = files.reduce((sum, { content }) => sum + blockSize + wholeBlocks(content.length), ends);
  const archive = Buffer.from(new ArrayBuffer(length));
  let at = 0;
  for (const file of files) {
    writeHeader(archive.subarray(at, at + blockSize), file);
    archive.set(file.content, at + blockSize);
    at += blockSize + wholeBlocks(file.content.length);
  }
  return archive;
}

function writeHeader(header: Buffer, { name, mode, content }: UstarFile): void {
  const fields = new Header({
    type: "File",
    path: name,
    mode,
    uid: 0,
    gid: 0,
    uname: "root",
    gname: "root",
    size: content.length,
    mtime: new Date(0),
  });
  if (fields.encode(header, 0)) throw new RangeError(`too long for a plain tar header: ${name}`);
}

function wholeBlocks(length: number): number {
  return Math.ceil(length / blockSize) * blockSize;
}
