import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";

import { LayeredRoot } from "../../../src/container/layered-root.ts";
import { fillUpper, readLayers, visibleLayers } from "../../../src/container/upper.ts";
import { LayerPipeline } from "../../../src/image/layer/pipeline.ts";
import { makeTar, type TarMemberInput } from "../../helpers/tar.ts";
import { isRoot, TemporaryDirectory } from "../../helpers/temporary.ts";
import { describeTree } from "../../helpers/tree.ts";

if (!isRoot) console.warn("upper directories are not made: owners and the attributes of overlays need root");

let directory: TemporaryDirectory;
beforeEach(() => {
  directory = new TemporaryDirectory("upper");
});
afterEach(() => directory[Symbol.dispose]());

let count = 0;
async function layer(...members: TarMemberInput[]): Promise<string> {
  const path = `${directory.path}/${count++}`;
  mkdirSync(path);
  using pipeline = new LayerPipeline(path, 0o777);
  await pipeline.write(makeTar(members));
  await pipeline.finish();
  return path;
}

function upperOf(...layers: string[]): string[] {
  const path = `${directory.path}/upper`;
  mkdirSync(path, { mode: 0o700 });
  fillUpper(path, readLayers(layers));
  return describeTree(path, { showMarks: true });
}

const root = (more: Partial<TarMemberInput>): TarMemberInput => ({ name: "./", ...more });

test.skipIf(!isRoot)("is as the root of the uppermost layer that names its root", async () => {
  const named = await layer(
    root({ mode: 0o1770, uid: 3, gid: 4, pax: { mtime: "5.000000006", "SCHILY.xattr.user.of": "root" } }),
  );
  expect(upperOf(await layer(root({ mode: 0o700 })), named, await layer({ name: "file" }), await layer())).toEqual([
    '"." directory 1770 3:4 time=5000000006 user.of=726f6f74',
  ]);
});

test.skipIf(!isRoot)("is 0755 and root's where no layer names the root", async () => {
  const [line] = upperOf(await layer({ name: "file" }), await layer());
  expect(line).toMatch(/^"\." directory 0755 0:0 time=\d+$/);
});

test.skipIf(!isRoot)("keeps the attributes of a root whose names an upper layer hides", async () => {
  const lower = await layer(root({ mode: 0o711, mtime: 1 }), { name: "hidden" });
  const upper = await layer({ name: ".wh..wh..opq" }, { name: "file" });
  const visible = visibleLayers(readLayers([lower, upper, lower]));
  expect(visible.map((shown) => shown.directory)).toEqual([upper, lower]);
  expect(upperOf(lower, upper)).toEqual(['"." directory 0711 0:0 time=1000000000']);
});

test.skipIf(!isRoot)(
  "has the directories that upper layers imply and lower ones name, and those on the way",
  async () => {
    const lower = await layer(
      root({ mtime: 1 }),
      { name: "tmp/", mode: 0o1777, mtime: 2 },
      { name: "srv/", mtime: 3 },
      { name: "srv/data/", mode: 0o2750, uid: 7, gid: 8, mtime: 4 },
      { name: "other/", mode: 0o700 },
      { name: "gone/", mode: 0o700 },
    );
    const middle = await layer({ name: "tmp/a" }, { name: "srv/", mode: 0o711, mtime: 5 }, { name: "srv/data/a" });
    const upper = await layer(
      { name: "tmp/b" },
      { name: "new/file" },
      { name: ".wh.gone" },
      { name: "srv/data/new/b" },
    );
    expect(upperOf(lower, middle, upper)).toEqual([
      '"." directory 0755 0:0 time=1000000000',
      '"srv" directory 0711 0:0 time=5000000000',
      '"srv/data" directory 2750 7:8 time=4000000000',
      '"tmp" directory 1777 0:0 time=2000000000',
    ]);
    // What looks into the image without a mount sees the same.
    using image = LayeredRoot.open([lower, middle, upper]);
    using data = image.resolve("/srv/data");
    expect([data?.stat.mode, data?.stat.uid]).toEqual([0o42750n, 7n]);
  },
);

test.skipIf(!isRoot)("does not look below what a layer replaced", async () => {
  const lower = await layer({ name: "d/", mode: 0o700 }, { name: "o/", mode: 0o700 }, { name: "f/", mode: 0o700 });
  const middle = await layer({ name: ".wh.d" }, { name: "o/" }, { name: "o/.wh..wh..opq" }, { name: "f" });
  const upper = await layer({ name: "d/x" }, { name: "o/x" }, { name: "f/x" });
  expect(upperOf(lower, middle, upper).slice(1)).toEqual([
    expect.stringMatching(/^"o" directory 0755 0:0 time=1000000000000000000$/),
  ]);
});
