import { InvalidDocumentError } from "../../../util/errors.ts";

/** Takes plain bytes, which are only valid during the call. */
export type PlainSink = (bytes: Uint8Array) => void;

/** A compressed stream made plain as its bytes arrive. What its sink throws, it passes on. */
export interface Decompressor extends Disposable {
  /**
   * Takes the next bytes, which must stay as they are until the promise is settled. One call at a time.
   * @throws InvalidDocumentError when they are not what the format prescribes
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Says that the stream ends here. @throws InvalidDocumentError when it is cut off */
  finish(): Promise<void>;
}

/** The error for a compressed stream that breaks its format's rules. */
export function compressionError(format: string, reason: string): InvalidDocumentError {
  return new InvalidDocumentError(`a layer's ${format} stream is broken: ${reason}`, {
    hint: "the image was built or copied wrongly; pull or build it again",
  });
}
