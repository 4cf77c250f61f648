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
  if (name.length > 100) throw new RangeError(`too long for a plain tar header: ${name}`);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  header.write(name, 0, "latin1");
  octal(mode, 100, 8);
  octal(0, 108, 8); // uid
  octal(0, 116, 8); // gid
  octal(content.length, 124, 12);
  octal(0, 136, 12); // mtime
  header.write("0", 156, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  header.write("root", 265, "latin1");
  header.write("root", 297, "latin1");
  header.fill(" ", 148, 156);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
}

function wholeBlocks(length: number): number {
  return Math.ceil(length / blockSize) * blockSize;
}
