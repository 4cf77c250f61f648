import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LayerPipeline } from "../../src/image/layer/pipeline.ts";
import { GockerError } from "../../src/util/errors.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { compareTrees, describeTree } from "../helpers/tree.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn("corpus layers are not applied: owners and devices need root");
const base = isRoot ? mkdtempSync(join(tmpdir(), "gocker-corpus-")) : "";

afterAll(() => rmSync(base, { recursive: true, force: true }));

/** Archives that our reader takes but a layer may not be, with the reason. */
const refused: Readonly<Record<string, RegExp>> = {
  "grootfs/hacked.tar": /outside of the image/,
  "zip-slip/zip-slip.tar": /outside of the image/,
  "node-tar/excessively-deep.tar": /the kernel takes 4095/,
  // No name, no target.
  "node-tar/path-missing.tar": /without a name/,
  "node-tar/links-invalid.tar": /hard link to nothing/,
};

/** The only names in which our tree is not GNU tar's: markers of lower layers' files, and labels of SELinux. */
const differs: Readonly<Record<string, readonly string[]>> = {
  "container-diff/la-croix-wh.tar": [".wh.lime.txt", ".wh.nest", "lime.txt", "nest"],
  "fanal/test.tar": ["etc", "etc/.wh..wh..opq", "foo/.wh.foo", "foo/foo"],
  "golang-1.19-src/xattrs.tar": ["small.txt", "small2.txt"],
  "regclient/layer-wh.tar": [".wh.layer2.txt", "exdir", "exdir/.wh..wh..opq", "layer2.txt"],
};

const archives = hasCorpus
  ? readdirSync(corpusPath("tar"), { recursive: true, encoding: "utf8" }).filter((name) =>
      /\.(tar|tgz|gz|zst)$/.test(name),
    )
  : [];

async function unpack(file: string, layer: string): Promise<unknown> {
  using pipeline = new LayerPipeline(layer, 0o777);
  try {
    await pipeline.write(readFileSync(file));
    await pipeline.finish();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.skipIf(!hasCorpus || !isRoot)("corpus archives as layers", () => {
  test.each(archives.sort())("%s", async (name) => {
    const place = mkdtempSync(join(base, "case-"));
    const layer = join(place, "in/side/layer");
    mkdirSync(layer, { recursive: true });
    const around = describeTree(place, { ignoreTimes: "all" });
    const error = await unpack(corpusPath(`tar/${name}`), layer);
    const unpacked = describeTree(place, { ignoreTimes: "all" }).filter((line) => !line.startsWith('"in/side/layer'));
    expect(unpacked).toEqual(around.filter((line) => !line.startsWith('"in/side/layer')));
    if (error !== undefined) expect(error).toBeInstanceOf(GockerError);
    const reason = refused[name];
    if (reason !== undefined) expect(String(error)).toMatch(reason);
    if (error !== undefined) return;
    const peer = join(place, "peer");
    mkdirSync(peer);
    const flags = [
      "--extract",
      "--numeric-owner",
      "--same-owner",
      "--same-permissions",
      "--xattrs",
      "--xattrs-include=*",
    ];
    const command = ["tar", ...flags, "--file", corpusPath(`tar/${name}`), "--directory", peer];
    const tar = Bun.spawnSync(command, { stdout: "ignore", stderr: "ignore" });
    // Then its tree is not complete; our reader is compared with the oracle in its own test.
    if (tar.exitCode !== 0) return;
    const lines = compareTrees(peer, layer, { ignoreRoot: true, ignoreTimes: "directories" });
    const names = lines.map((line) => JSON.parse(/"(?:[^"\\]|\\.)*"/.exec(line)?.[0] ?? "null") as string);
    expect([...new Set(names)].sort()).toEqual([...(differs[name] ?? [])].sort());
  });
});
