import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { loadArchive, type LoadOptions } from "../../src/image/archive/load.ts";
import { collectGarbage } from "../../src/image/garbage.ts";
import { corpusPath } from "./corpus.ts";
import { temporaryStore } from "./memory-images.ts";

/** What is loaded: the beginnings of the images' IDs, each with its references. */
export type Loaded = Record<string, string[]>;

/** Every archive of the corpus: what is loaded from it, or why it is refused. */
export const archiveTable: Record<string, Loaded | RegExp> = {
  // Root file systems and a registry's storage are no images.
  "alpine-minirootfs-3.19.4-x86_64.tar.gz": /neither manifest\.json nor index\.json/,
  "alpine-minirootfs-3.20.3-aarch64.tar.gz": /neither manifest\.json nor index\.json/,
  "alpine-minirootfs-3.6.5-x86_64.tar.gz": /neither manifest\.json nor index\.json/,
  "runtime-tools-rootfs-amd64.tar.gz": /neither manifest\.json nor index\.json/,
  "registry-storage-oras-images.tar.gz": /neither manifest\.json nor index\.json/,

  // Wrong somewhere.
  "bad-docker-centos6-layer.tar": /plain digest.*expected sha256:af6bf198/,
  "bad-oci-alpine-3.12-digest.tar": /size of sha256:df20fa93.*: expected 2797541 bytes, got 6165/,
  "grootfs-corrupted.oci.tar": /size of sha256:9c90ae0c.*: expected 501 bytes, got 502/,
  // skopeo and podman do not check the manifest's digest and size and take these.
  "grootfs-hardlink.oci.tar": /size of sha256:72538fcc.*: expected 501 bytes, got 579/,
  "grootfs-invalid-manifest-size-less-than-physical-size.oci.tar": /size of sha256:c1755e67.*: expected 348 bytes/,
  "grootfs-opq-whiteouts-busybox.oci.tar": /size of sha256:a68a8bf7.*: expected 501 bytes, got 502/,

  // Of a form that is not read.
  "ggcr-no_manifest.tar": /the form of Docker before 1\.10/,
  "libimage-docker-two-images.tar.xz": /compressed with xz/,
  "libimage-docker-two-names.tar.xz": /compressed with xz/,
  "libimage-docker-unnamed.tar.xz": /compressed with xz/,
  // Three platforms of an "image" whose configs are `{}` in truth.
  "oras-images.oci.tar": /rootfs of the image config must be an object/,

  // OCI layouts.
  "busybox-1.37.0-glibc-amd64.oci.tar": { db287cb6be81: ["docker.io/library/busybox:1.37.0-glibc"] },
  "busybox-1.37.0-musl-amd64.oci.tar": { cafb65f54bc4: ["docker.io/library/busybox:1.37.0-musl"] },
  "busybox-1.37.0-musl-arm64v8.oci.tar": { "568b0d9653d0": ["docker.io/library/busybox:1.37.0-musl"] },
  "busybox-1.37.0-musl-i386.oci.tar": { "6f7a3eb56638": ["docker.io/library/busybox:1.37.0-musl"] },
  "busybox-1.37.0-uclibc-amd64.oci.tar": { "539913371f77": ["docker.io/library/busybox:1.37.0-uclibc"] },
  "grootfs-busybox-1.25.oci.tar": { "8a3af087d9e6": [] },
  // A ref.name that is only a tag names nothing.
  "grootfs-empty.oci.tar": { "77a29536e7c6": [] },
  "grootfs-non-writable-file.oci.tar": { a1db8cf937fc: [] },
  // Without the file oci-layout.
  "grootfs-tar-layer.oci.tar": { "46206ee07f66": [] },
  "libimage-oci-name-only.tar.gz": { "5c8aca8137ac": ["docker.io/library/pretty-empty:latest"] },
  "libimage-oci-unnamed.tar.gz": { "5c8aca8137ac": [] },
  "oci-busybox-1.31.1-nomediatype.tar": { "2f2d4db2ef81": [] },
  "oci-estargz-layer.tar": { "5c153971f5fe": [] },
  "oci-gzip-layer.tar": { "3eaccc100f86": [] },
  "oci-uncompressed-layer.tar": { "3eaccc100f86": [] },
  "oci-zstd-layer.tar": { "3eaccc100f86": [] },
  // 26 entries, most of them signatures and other artifacts.
  "regclient-testrepo.oci.tar": {
    "92e1351053a2": [],
    "79f0b6d4f769": [],
    bb4828702bed: [],
    "03d7b3c657a4": [],
    "265cf623914b": [],
    "2097cbe98aab": [],
  },
  "stereoscope-multiplatform.oci.tar": { "549248a7ac95": ["docker.io/library/multi-platform:latest"] },

  // Of both kinds: containerd's and new Docker's.
  "containerd-busybox-amd64-hubindex.tar": { "3f57d9401f8d": ["docker.io/library/busybox:latest"] },
  "containerd-busybox-arm64-attestation.tar": { "0f7981b59ce1": ["docker.io/foo/bar:v3"] },
  "docker-save-v25-hello-world.tar": { d2c94e258dcb: ["docker.io/library/hello-world:latest"] },
  "libimage-buildkit-docker.tar": { "71de1148337f": ["github.com/buildkit/archive:docker"] },

  // Docker archives.
  "docker-almostempty.tar": { "9d7f147c0d0c": ["docker.io/library/emptyimage:latest"] },
  "docker-kaniko-busybox.tar": { c5003bd0bae2: ["docker.io/library/kaniko-busybox:latest"] },
  "docker-pause-2.0.tar": { "2b58359142b0": ["gcr.io/google-containers/pause:2.0"] },
  "docker-save-3images.tar": {
    "4d955704d3bf": ["docker.io/me/test_image_tar:1.0"],
    c1edec6e1f0a: ["docker.io/she/image_from_scratch:1.0"],
    "12372b2d7bc1": ["docker.io/you/secondimage:1.2"],
  },
  "docker-save-4layers-whiteout.tar": { "6d190579c3d7": ["docker.io/she/image_from_scratch:1.0"] },
  "docker-save-alpine-3.10.tar.gz": { af341ccd2df8: ["docker.io/library/alpine:3.10"] },
  "docker-save-busybox-1.31-untagged.tar": { "6d5fcfe5ff17": [] },
  "docker-save-dive-14layers.tar": { "75ae28b8ebf8": ["docker.io/library/dive-test:latest"] },
  "docker-save-hello-world-2018.tar": { "1815c82652c0": ["docker.io/library/hello-world:latest"] },
  "docker-symlinked-layer.tar": { b109fdc4272b: ["docker.io/library/bazel:small_base_2"] },
  "ggcr-overwritten_file.tar": { "68f6eb746cdb": ["docker.io/bazel/pkg/v1/mutate:overwritten_file"] },
  "ggcr-source_image.tar": { "6e0b05049ed9": ["docker.io/bazel/pkg/v1/mutate:source_image"] },
  "ggcr-test_bundle.tar": {
    "930705ce23e3": ["docker.io/library/test_image_2:latest"],
    "6e0b05049ed9": ["docker.io/library/test_image_1:latest"],
  },
  "ggcr-test_link.tar": {
    "6e0b05049ed9": ["docker.io/bazel/v1/tarball:test_image_1"],
    d4c9adacde69: ["docker.io/bazel/v1/tarball:test_image_3"],
  },
  "ggcr-whiteout_image.tar": { decb630649c3: ["docker.io/bazel/pkg/v1/mutate:whiteout_image"] },
  "jib-busybox.tar": { "301a5731cf8e": ["localhost:5000/jib-core:jib-base-image"] },
  "jib-docker-save.tar": { "066872f17ae8": ["docker.io/library/extraction.test:latest"] },
};

/**
 * Loads every archive of the table into a store of its own and compares.
 * @param unpacking which unpacker takes the layers: LayerUnpacker unless told
 */
export function testArchives(unpacking: LoadOptions = {}): void {
  for (const [file, expected] of Object.entries(archiveTable)) {
    test(file, async () => {
      using temporary = temporaryStore();
      const { store } = temporary;
      const loading = loadArchive(store, corpusPath(`images/${file}`), unpacking);
      if (expected instanceof RegExp) {
        const failure = await loading.then(
          () => undefined,
          (error: unknown) => error as Error,
        );
        expect(failure?.message).toMatch(expected);
        expect(failure?.name).toMatch(/^(VerificationError|InvalidDocumentError)$/);
        expect(temporary.files().filter((path) => /[0-9a-f]{64}|index\.json/.test(path))).toEqual([]);
        return;
      }
      const loaded: Loaded = {};
      for (const { image, references } of await loading) {
        loaded[image.id.slice(7, 19)] = [...references];
        for (const directory of image.layerDirectories) expect(existsSync(directory)).toBe(true);
      }
      expect(loaded).toEqual(expected);
      expect(store.list()).toHaveLength(Object.keys(expected).length);
      for (const reference of Object.values(expected).flat()) expect(store.resolve(reference)).toBeDefined();
      expect(temporary.files().filter((path) => path.startsWith("tmp/"))).toEqual([]);
      await store.remove(store.list().map(({ manifestDigest }) => manifestDigest));
      await collectGarbage(store);
      expect(temporary.files().filter((path) => /[0-9a-f]{64}|^tmp\//.test(path))).toEqual([]);
    });
  }
}
