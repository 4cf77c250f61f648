import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { corpusPath, hasCorpus } from "../../helpers/corpus.ts";
import { archiveTable, testArchives } from "../../helpers/image-archives.ts";
import { pretendUnpacker } from "../../helpers/memory-images.ts";

describe.skipIf(!hasCorpus)("every archive of the corpus", () => {
  test("is in the table", () => {
    expect(Object.keys(archiveTable).toSorted()).toEqual(readdirSync(corpusPath("images")).toSorted());
  });

  testArchives({ startUnpacker: pretendUnpacker });
});
