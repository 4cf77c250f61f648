import { GockerError, type GockerErrorOptions, VerificationError } from "../util/errors.ts";

/** What lies in the image store is not what its index says: a file is missing or was changed. */
export class StoreDamagedError extends GockerError {
  override readonly name = "StoreDamagedError";
  constructor(message: string, options?: GockerErrorOptions) {
    super("STORE_DAMAGED", message, options);
  }
}

/** A blob's bytes stopped coming before its end, again and again. */
export class DownloadError extends GockerError {
  override readonly name = "DownloadError";
  constructor(message: string, options?: GockerErrorOptions) {
    super("DOWNLOAD", message, options);
  }
}

/** A blob's own size or digest is wrong (and not what is in it). */
export class BlobMismatchError extends VerificationError {}
