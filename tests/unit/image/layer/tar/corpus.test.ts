import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createDecompressor } from "../../../../../src/image/layer/decompress/detect.ts";
import { TarReader } from "../../../../../src/image/layer/tar/reader.ts";
import { InvalidDocumentError } from "../../../../../src/util/errors.ts";
import { corpusPath, hasCorpus } from "../../../../helpers/corpus.ts";

/**
 * Archives that are refused, with the reason that the error gives and, where the peers take them, why we do not. The
 * others are read as GNU tar reads them, or as the table below says.
 */
const refused: Readonly<Record<string, RegExp>> = {
  // No tar at all: text, or a compressed text.
  "fanal/test.txt.gz": /ends inside a member/,
  "golang-1.19-src/small.txt": /ends inside a member/,
  "golang-1.19-src/small2.txt": /ends inside a member/,
  "libarchive-3.6.2/test_read_format_raw.data.gz": /ends inside a member/,
  // Gzip within gzip within gzip: layers are compressed once.
  "libarchive-3.6.2/test_read_too_many_filters.gz": /ends inside a member|no tar archive/,
  // Compressions that the image specification does not have.
  "golang-1.19-src/pax-bad-hdr-large.tar.bz2": /compressed with bzip2/,
  "libarchive-3.6.2/test_extract.tar.bz2": /compressed with bzip2/,
  // Broken in the same way for every reader.
  "golang-1.19-src/issue10968.tar": /size is not a number/,
  "golang-1.19-src/issue11169.tar": /record of wrong length/,
  "golang-1.19-src/issue12435.tar": /size is not a number/,
  "golang-1.19-src/neg-size.tar": /size is not a number/,
  "golang-1.19-src/pax-bad-hdr-file.tar": /record of wrong length/,
  "golang-1.19-src/pax-nul-xattrs.tar": /wrong value/,
  "golang-1.19-src/writer-big-long.tar": /ends inside a member/,
  "golang-1.19-src/writer-big.tar": /ends inside a member/,
  "libarchive-3.6.2/test_read_format_tar_invalid_pax_size.tar": /wrong value/,
  "tar-stream/incomplete.tar": /ends inside a member/,
  // Others skip to the next header that looks right, and so lose a file.
  "node-tar/bad-cksum.tar": /byte 1024: the header's checksum is wrong/,
  // Others take the time of the header instead, or 0; Go's reader, and so containerd, refuses.
  "golang-1.19-src/pax-bad-mtime-file.tar": /"mtime" has a wrong value/,
  // Others cut the name at the NUL: two tools would see different names.
  "golang-1.19-src/pax-nul-path.tar": /"path" has a wrong value/,
  // GNU tar sees an empty archive, the others an error: the member that the header announces is missing.
  "golang-1.19-src/pax-path-hdr.tar": /belongs to no member/,
};

/** Archives that are read otherwise than by GNU tar. */
const members: Readonly<Record<string, number>> = {
  // Links and devices with a size: GNU tar looks for content, bsdtar, Python and Go know that there is none.
  "golang-1.19-src/hdr-only.tar": 16,
  // The member is a volume label, which is listed but is no file.
  "libarchive-3.6.2/test_read_format_tar_empty_with_gnulabel.tar": 0,
};

interface OracleRow {
  readonly file: string;
  /** Members that GNU tar lists. */
  readonly listed: number;
}

function readOracle(): OracleRow[] {
  if (!hasCorpus) return [];
  const lines = readFileSync(corpusPath("tar/ORACLE.tsv"), "utf8").trim().split("\n").slice(1);
  return lines.map((line) => {
    const [file = "", , , gnu = ""] = line.split("\t");
    return { file, listed: Number(/ n(\d+)$/.exec(gnu)?.[1]) };
  });
}

async function countMembers(file: string): Promise<number> {
  let begun = 0;
  let ended = 0;
  const reader = new TarReader({
    entry: () => void begun++,
    content: () => {},
    end: () => void ended++,
  });
  const bytes = readFileSync(corpusPath(`tar/${file}`));
  using decompressor = await createDecompressor(bytes, (plain) => reader.write(plain));
  await decompressor.write(bytes);
  await decompressor.finish();
  reader.finish();
  expect(ended).toBe(begun);
  return begun;
}

describe.skipIf(!hasCorpus)("the corpus", () => {
  const rows = readOracle();

  test.each(rows.filter(({ file }) => refused[file] === undefined))("$file is read", async ({ file, listed }) => {
    expect(await countMembers(file)).toBe(members[file] ?? listed);
  });

  test.each(Object.entries(refused))("%s is refused", async (file, reason) => {
    const error = await countMembers(file).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(InvalidDocumentError);
    expect((error as Error).message).toMatch(reason);
  });

  test("has a row for every archive that is refused", () => {
    const files = new Set(rows.map(({ file }) => file));
    expect(Object.keys({ ...refused, ...members }).filter((file) => !files.has(file))).toEqual([]);
  });
});
