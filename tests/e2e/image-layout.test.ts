import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadArchive } from "../../src/image/archive/load.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { temporaryStore } from "../helpers/memory-images.ts";
import { compareTrees } from "../helpers/tree.ts";

const hasPeers = Bun.which("skopeo") !== null && Bun.which("umoci") !== null && process.getuid?.() === 0;
if (!hasPeers) console.warn("tests of the image layout are skipped: skopeo, umoci or root is missing");

async function run(...command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
  const [out, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(`${command.join(" ")}: ${status}\n${errors}`);
  return out;
}

test.skipIf(!hasPeers || !hasCorpus)(
  "skopeo and umoci read the store's images",
  async () => {
    using temporary = temporaryStore();
    const { store } = temporary;
    for (const file of ["docker-pause-2.0.tar", "busybox-1.37.0-musl-amd64.oci.tar", "oci-zstd-layer.tar"]) {
      await loadArchive(store, corpusPath(`images/${file}`));
    }
    const [image] = await loadArchive(store, corpusPath("images/docker-save-alpine-3.10.tar.gz"));
    const name = `${store.paths.images}:docker.io/library/alpine:3.10`;
    const inspected = JSON.parse(await run("skopeo", "inspect", "--config", "--raw", `oci:${name}`)) as object;
    expect(inspected).toMatchObject({ rootfs: { diff_ids: image!.image.config.rootfs.diff_ids } });
    expect(await run("umoci", "list", "--layout", store.paths.images)).toContain(
      "docker.io/library/busybox:1.37.0-musl",
    );

    const directory = mkdtempSync(join(tmpdir(), "gocker-layout-"));
    try {
      const policy = join(directory, "policy.json");
      writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
      // skopeo hashes every blob that it copies.
      await run("skopeo", "copy", "-q", "--policy", policy, `oci:${name}`, `dir:${directory}/copy`);
      await run("umoci", "raw", "unpack", "--image", name, `${directory}/unpacked`);
      const [layer] = image!.image.layerDirectories;
      expect(compareTrees(layer!, `${directory}/unpacked`, { wholeSeconds: true, ignoreTimes: "directories" })).toEqual(
        [],
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
  30_000,
);
