import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LayerPipeline } from "../../src/image/layer/pipeline.ts";
import { GockerError } from "../../src/util/errors.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { randomNumbers } from "../helpers/random-numbers.ts";
import { listTar } from "../helpers/tar-listing.ts";
import { makeTar } from "../helpers/tar.ts";

/**
 * Archives with random damage: reading them ends, in members or in a GockerError, and applying them writes nothing
 * beside the layer. GOCKER_FUZZ_SEED repeats a run, GOCKER_FUZZ_ROUNDS makes it longer.
 */
const seed = Number(process.env["GOCKER_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env["GOCKER_FUZZ_ROUNDS"] ?? 6);
const fixedSeed = 20240229;
const isRoot = process.geteuid?.() === 0;
const base = isRoot ? mkdtempSync(join(tmpdir(), "gocker-fuzz-")) : "";

afterAll(() => rmSync(base, { recursive: true, force: true }));

const pieces = ["..", "/", "../../x", "\0", "\xff", "9999999999", "-1", ".wh.", ".wh..wh..opq", "\x80", "\n", "="];

/** Changes a few bytes; checksums are put right again in most headers, or nothing behind them would be reached. */
function damage(archive: Buffer, random: (limit: number) => number): Buffer {
  let bytes = Buffer.from(archive);
  for (let count = 1 + random(6); count > 0 && bytes.length > 0; count--) {
    const block = random(Math.ceil(bytes.length / 512)) * 512;
    const at = Math.min(bytes.length - 1, block + random(512));
    switch (random(6)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes.write(pieces[random(pieces.length)] as string, at, "latin1");
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, block), bytes.subarray(block + 512)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, block), archive.subarray(0, 512), bytes.subarray(block)]);
        break;
      default:
        bytes.write("0123456789xgLKSDV"[random(17)] as string, Math.min(bytes.length - 1, block + 156), "latin1");
    }
  }
  for (let block = 0; block + 512 <= bytes.length; block += 512) {
    if (bytes.toString("latin1", block + 257, block + 262) !== "ustar" || random(10) === 0) continue;
    bytes.fill(" ", block + 148, block + 156);
    const sum = bytes.subarray(block, block + 512).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, block + 148, "latin1");
  }
  return bytes;
}

const ownSeeds = [
  makeTar([
    { name: "d/" },
    { name: "d/f", content: "x".repeat(600), pax: { path: "d/long", mtime: "1.5", "SCHILY.xattr.user.a": "b" } },
    { name: "l", type: "2", link: "../../.." },
    { name: "l/f", content: "y" },
    { name: "h", type: "1", link: "l/f" },
    { name: "d/.wh.x" },
    { name: "s", content: "abcd", pax: { "GNU.sparse.map": "0,2,10,2", "GNU.sparse.size": "16" } },
  ]),
];

/** Archives to damage. Device nodes are made with any number then, which harms nobody: they are never opened. */
function seeds(): Buffer[] {
  if (!hasCorpus) return ownSeeds;
  const names = readdirSync(corpusPath("tar"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".tar"),
  );
  const archives = names.sort().map((name) => readFileSync(corpusPath(`tar/${name}`)));
  return [...ownSeeds, ...archives.filter(({ length }) => length <= 30_000)];
}

/** What an action throws must be an error that gocker means to throw. */
async function expectPlannedError(action: () => unknown): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof GockerError)) throw error;
  }
}

describe.each([fixedSeed, seed])("with seed %d", (start) => {
  test("reading ends, and the same in chunks as at once", async () => {
    const random = randomNumbers(start);
    for (const archive of seeds()) {
      for (let round = 0; round < rounds * 4; round++) {
        const damaged = damage(archive, random);
        const outcome = (chunkSize: number) => {
          try {
            return JSON.stringify(listTar(damaged, chunkSize).map(({ entry }) => entry));
          } catch (error) {
            if (!(error instanceof GockerError)) throw error;
            return error.message;
          }
        };
        expect(outcome(1 + random(700))).toBe(outcome(damaged.length + 1));
      }
    }
  });

  test.skipIf(!isRoot)("applying writes nothing outside", async () => {
    const random = randomNumbers(start);
    for (const [index, archive] of seeds().entries()) {
      const place = join(base, `${start}-${index}`);
      for (let round = 0; round < rounds; round++) {
        const layer = join(place, "a/b/layer");
        mkdirSync(layer, { recursive: true });
        using pipeline = new LayerPipeline(layer, 0o777);
        await expectPlannedError(async () => {
          await pipeline.write(damage(archive, random));
          await pipeline.finish();
        });
        expect([readdirSync(place), readdirSync(join(place, "a")), readdirSync(join(place, "a/b"))]).toEqual([
          ["a"],
          ["b"],
          ["layer"],
        ]);
        rmSync(place, { recursive: true });
      }
    }
  });
});
