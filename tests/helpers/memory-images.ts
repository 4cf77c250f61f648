import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { StartUnpacker } from "../../src/image/layer-intake.ts";
import type { FetchedManifest, ImageRegistry } from "../../src/image/pull.ts";
import { ImageStore } from "../../src/image/store.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { mediaTypes } from "../../src/oci/media-types.ts";
import { formatReference, type Reference } from "../../src/oci/reference.ts";
import { InvalidDocumentError, VerificationError } from "../../src/util/errors.ts";

/** A store in a directory of its own, which disposing of removes. */
export function temporaryStore(): { store: ImageStore; root: string; files: () => string[] } & Disposable {
  const root = mkdtempSync(join(tmpdir(), "gocker-store-"));
  return {
    root,
    store: ImageStore.open(root),
    /** Everything that lies in the store, by path. */
    files: () => (readdirSync(root, { recursive: true }) as string[]).toSorted(),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/**
 * Unpacks nothing, so that no root is needed: puts the plain tar archive as one file into the directory, and checks the
 * digest as LayerUnpacker does.
 */
export const pretendUnpacker: StartUnpacker = ({ directory, mediaType, diffId }) => {
  const chunks: Uint8Array[] = [];
  return {
    write: (chunk) => {
      chunks.push(chunk.slice());
      return Promise.resolve();
    },
    finish: () => {
      let plain: Uint8Array = Buffer.concat(chunks);
      try {
        if (mediaType.endsWith("gzip")) plain = gunzipSync(plain);
        if (mediaType.endsWith("zstd")) plain = Bun.zstdDecompressSync(new Uint8Array(plain));
      } catch (error) {
        throw new InvalidDocumentError("the layer is no gzip data", { cause: error });
      }
      const actual = digestOf(plain);
      if (actual !== diffId) throw new VerificationError("the plain digest of the layer", diffId, actual);
      writeFileSync(join(directory, "layer.tar"), plain);
      return Promise.resolve({ diffId: actual, size: plain.length, entries: 1 });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
};

/** The documents and blobs of one image. */
export interface MemoryImage {
  readonly manifest: Uint8Array;
  readonly manifestDigest: Digest;
  readonly id: Digest;
  readonly diffIds: readonly Digest[];
  readonly layers: readonly Descriptor[];
}

/** A registry in memory. Its behaviours can be changed while it runs. */
export class MemoryRegistry implements ImageRegistry {
  readonly blobs = new Map<string, Uint8Array>();
  readonly manifests = new Map<string, FetchedManifest>();
  /** Every openBlob: which blob, and from where. */
  readonly opened: { digest: Digest; offset: number }[] = [];
  /** Bodies end (with an error) after so many bytes, as often as there are entries. */
  readonly breaks: { after: number; quietly?: boolean }[] = [];
  /** Answers always begin at byte 0. */
  ignoresRange = false;
  /** Called before a body begins. */
  onOpen: ((digest: Digest) => void | Promise<void>) | undefined;
  chunkSize = 1000;

  /** Adds an image; `name` is a canonical reference. */
  add(name: string, plainLayers: readonly Uint8Array[], config: Record<string, unknown> = {}): MemoryImage {
    const diffIds = plainLayers.map((plain) => digestOf(plain));
    const layers = plainLayers.map((plain) =>
      this.addBlob(Bun.gzipSync(new Uint8Array(plain)), mediaTypes.ociLayerGzip),
    );
    const configBytes = Buffer.from(
      JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds }, ...config }),
    );
    const configDescriptor = this.addBlob(configBytes, mediaTypes.ociConfig);
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: configDescriptor, layers };
    const manifest = this.addManifest(name, document);
    return { manifest: manifest.bytes, manifestDigest: manifest.digest, id: configDescriptor.digest, diffIds, layers };
  }

  addBlob(bytes: Uint8Array, mediaType: string): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  /** Adds a manifest or an index under a name, and under its digest. */
  addManifest(name: string, document: { mediaType: string; [key: string]: unknown }): FetchedManifest {
    const bytes = new Uint8Array(Buffer.from(JSON.stringify(document)));
    const manifest = { mediaType: document.mediaType, digest: digestOf(bytes), bytes };
    this.manifests.set(name, manifest);
    this.manifests.set(manifest.digest, manifest);
    return manifest;
  }

  fetchManifest(reference: Reference): Promise<FetchedManifest> {
    const found = this.manifests.get(reference.digest ?? formatReference(reference));
    if (found === undefined) return Promise.reject(new Error(`no manifest ${formatReference(reference)}`));
    return Promise.resolve(found);
  }

  async openBlob(_reference: Reference, { digest }: Descriptor, options: { offset: number; signal: AbortSignal }) {
    this.opened.push({ digest, offset: options.offset });
    await this.onOpen?.(digest);
    options.signal.throwIfAborted();
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new InvalidDocumentError(`no blob ${digest}`);
    const offset = this.ignoresRange ? 0 : options.offset;
    return { offset, stream: this.#stream(bytes.subarray(offset)) };
  }

  #stream(bytes: Uint8Array): ReadableStream<Uint8Array> {
    const broken = this.breaks.shift();
    const end = Math.min(broken?.after ?? Infinity, bytes.length);
    let position = 0;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (position < end) {
          const next = Math.min(position + this.chunkSize, end);
          controller.enqueue(bytes.slice(position, next));
          position = next;
        } else if (broken === undefined || broken.quietly === true) controller.close();
        else controller.error(new Error("ECONNRESET"));
      },
    });
  }
}
