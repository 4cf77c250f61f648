import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSandbox } from "../helpers/binary.ts";
import { comparedImages, expectJustified, type Justified, loadImages } from "../helpers/compared-images.ts";
import { canShowRoots, compareWithContainer, withContainer } from "../helpers/container-root.ts";
import { Podman } from "../helpers/podman.ts";

const canCompare = canShowRoots && Bun.which("podman") !== null;
if (!canCompare)
  console.warn("root file systems are not compared with podman's: it is missing, or what shows gocker's");

/** What podman cannot unpack, and why. */
const refused: Readonly<Record<string, RegExp>> = {
  // podman finds only manifests of OCI's type in an OCI layout.
  "libimage-buildkit-docker.tar": /no descriptor found for reference "image"/,
  "no layers": /layer not known/,
  "a whiteout of a name that the same layer has": /processing tar file\(file exists\)/,
};

/** Each takes podman more than five seconds. umoci unpacks it too. */
const slow: ReadonlySet<string> = new Set(["127 layers"]);

const opaqueRoot: Justified = {
  reason: "podman marks the layer's own root as opaque, which the kernel does not look for: what it hides shows",
  lines: /^\+ "/,
};

const justified: Readonly<Record<string, readonly Justified[]>> = {
  "an opaque root": [opaqueRoot],
  "an opaque root that comes last": [opaqueRoot],
  "files without their directories": [
    {
      reason: "podman forgets what the lower layer says of a directory that the upper one only has files in",
      lines: /^[-+] "(?:tmp|home|home\/me)" directory /,
    },
  ],
  "files below a lower layer's link to a directory": [
    {
      reason: "a directory that nobody names has the time of its making",
      lines: /^[-+] "lib" directory 0755 0:0 time=\d+$/,
    },
  ],
};

const images = comparedImages.filter(([name]) => !slow.has(name));

// One storage for all: to make one takes podman longer than to unpack an image.
let podman: Podman;
beforeAll(async () => {
  if (canCompare) podman = await Podman.start();
});
afterAll(() => podman?.[Symbol.asyncDispose]());

describe.skipIf(!canCompare).each(images)("%s", (name, archive) => {
  test("has the root file system that podman makes of it", async () => {
    await using sandbox = await createSandbox();
    const differences: string[] = [];
    for (const { id, layout } of await loadImages(sandbox, await archive(sandbox.directory))) {
      const mounting = podman.mount(layout);
      const reason = refused[name];
      if (reason !== undefined) {
        await expect(mounting).rejects.toThrow(reason);
        continue;
      }
      const mounted = await mounting;
      const compare = (root: Parameters<typeof compareWithContainer>[0]) =>
        // podman gives the root of every image to root, 0555, with a time of its own.
        compareWithContainer(root, mounted, { ignoreRoot: true });
      differences.push(...(await withContainer(sandbox, id, compare)));
    }
    expectJustified(differences, justified[name] ?? []);
  }, 30_000);
});
