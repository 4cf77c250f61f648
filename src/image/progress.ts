import type { Digest } from "../oci/digest.ts";

/** A blob that holds a layer, as the events of a pull or load name it. */
export interface LayerProgress {
  readonly digest: Digest;
  /** Length of the blob in bytes: the total of the events' `bytes`. */
  readonly size: number;
}

/** What happens while images are pulled or loaded. Events come often: whoever shows them chooses the moments. */
export type ProgressEvent =
  /** The manifest is known; the layers are in the image's order, each once. */
  | { readonly kind: "manifest"; readonly digest: Digest; readonly layers: readonly LayerProgress[] }
  /** Another gocker process is at this layer. */
  | { readonly kind: "waiting"; readonly layer: LayerProgress }
  /** So many bytes of the blob have arrived; what an earlier attempt had left counts. */
  | { readonly kind: "downloading"; readonly layer: LayerProgress; readonly bytes: number }
  /** So many bytes of the blob have been unpacked. */
  | { readonly kind: "unpacking"; readonly layer: LayerProgress; readonly bytes: number }
  /** The download broke off and goes on after `delay` milliseconds. */
  | { readonly kind: "retrying"; readonly layer: LayerProgress; readonly delay: number; readonly reason: Error }
  /** The layer is in the store now. */
  | { readonly kind: "done"; readonly layer: LayerProgress }
  /** The layer was in the store before. */
  | { readonly kind: "exists"; readonly layer: LayerProgress }
  /** All layers are there; they are being brought onto the disk and recorded. */
  | { readonly kind: "recording" };

/** Takes the events; what it throws ends the pull. */
export type ProgressListener = (event: ProgressEvent) => void;
