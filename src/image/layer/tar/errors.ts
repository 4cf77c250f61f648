import { InvalidDocumentError } from "../../../util/errors.ts";

/**
 * The error for an archive that breaks the rules of tar.
 * @param offset where in the plain (decompressed) archive, in bytes
 */
export function tarError(offset: number, reason: string): InvalidDocumentError {
  return new InvalidDocumentError(`tar archive is broken at byte ${offset}: ${reason}`, {
    hint: "the image was built or copied wrongly; pull or build it again",
  });
}
