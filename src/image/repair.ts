import { readFileSync } from "node:fs";
import { StoreDamagedError } from "./errors.ts";
import { annotation, readEntries } from "./index-file.ts";
import { installImages, type InstallOptions } from "./install.ts";
import type { ImageStore } from "./store.ts";
import type { StoredImage } from "./stored-image.ts";

/**
 * Makes an image certain again that was recorded shortly before the machine went down: its blobs are hashed and its
 * layers unpacked anew from them. No registry is asked.
 * @throws StoreDamagedError when the power failed before a blob was on the disk
 */
export async function repairImage(
  store: ImageStore,
  image: StoredImage,
  options: InstallOptions = {},
): Promise<StoredImage> {
  const { manifest, manifestDigest, config } = image;
  const entries = readEntries(store.paths).filter(({ digest }) => digest === manifestDigest);
  const [descriptor] = entries;
  if (descriptor === undefined) throw new StoreDamagedError(`${manifestDigest} is no longer in the image store`);
  const [repaired] = await installImages(
    store,
    [
      {
        descriptor,
        manifestBytes: readFileSync(store.paths.blob(manifestDigest)),
        manifest,
        configBytes: readFileSync(store.paths.blob(manifest.config.digest)),
        config,
        source: {
          openBlob: ({ digest }) =>
            Promise.reject(
              new StoreDamagedError(`${digest} did not reach the disk before the machine went down`, {
                hint: "pull or load the image again",
              }),
            ),
        },
        names: entries.map((entry) => ({
          reference: annotation(entry, "reference"),
          source: annotation(entry, "source"),
          substituteFor: annotation(entry, "substituteFor"),
        })),
      },
    ],
    options,
  );
  return repaired as StoredImage;
}
