import { describe, expect, test } from "bun:test";
import { createSandbox } from "../helpers/binary.ts";
import { comparedImages, expectJustified, type Justified, loadImages } from "../helpers/compared-images.ts";
import { canShowRoots, compareWithContainer, withContainer } from "../helpers/container-root.ts";
import { tool } from "../helpers/corpus-images.ts";

const canCompare = canShowRoots && Bun.which("umoci") !== null;
if (!canCompare) console.warn("root file systems are not compared with umoci's: it is missing, or what shows gocker's");

/** What umoci cannot unpack, and why. */
const refused: Readonly<Record<string, RegExp>> = {
  "oci-zstd-layer.tar": /blob is not correct mediatype: application\/vnd\.oci\.image\.layer\.v1\.tar\+zstd/,
  "libimage-buildkit-docker.tar": /not implemented: application\/vnd\.docker\.distribution\.manifest\.v2\+json/,
};

const unnamedRoot: Justified = {
  reason: "no layer has a member for the root: umoci gives it the time 0, gocker that of its making, as Docker does",
  lines: /^[-+] "\." directory 0755 0:0 time=\d+$/,
};

const justified: Readonly<Record<string, readonly Justified[]>> = {
  "docker-save-3images.tar": [unnamedRoot],
  "docker-save-alpine-3.10.tar.gz": [unnamedRoot],
  "a whiteout of a name that the same layer has": [
    {
      reason: "umoci has a directory's time changed by the whiteout of its name",
      lines: /^[-+] "dir" directory 0755 0:0 time=\d+$/,
    },
  ],
  "files below a lower layer's link to a directory": [
    {
      reason:
        "umoci unpacks into one tree; gocker each layer alone, as podman does: what the layer implies is a directory",
      lines: /^[-+] "(?:lib|lib\/b|usr\/lib\/b)" /,
    },
  ],
};

describe.skipIf(!canCompare).each(comparedImages)("%s", (name, archive) => {
  test("has the root file system that umoci makes of it", async () => {
    await using sandbox = await createSandbox();
    const differences: string[] = [];
    for (const { id, layout } of await loadImages(sandbox, await archive(sandbox.directory))) {
      const unpacked = `${layout}-unpacked`;
      const unpacking = tool("umoci", "raw", "unpack", "--image", `${layout}:image`, unpacked);
      const reason = refused[name];
      if (reason !== undefined) {
        await expect(unpacking).rejects.toThrow(reason);
        continue;
      }
      await unpacking;
      differences.push(...(await withContainer(sandbox, id, (root) => compareWithContainer(root, unpacked))));
    }
    expectJustified(differences, justified[name] ?? []);
  }, 30_000);
});
