import { describe } from "bun:test";
import { hasCorpus } from "../helpers/corpus.ts";
import { testArchives } from "../helpers/image-archives.ts";
import { isRoot } from "../helpers/temporary.ts";

describe.skipIf(!hasCorpus || !isRoot)("every archive of the corpus, really unpacked", () => testArchives());
