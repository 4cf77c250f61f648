import { InvalidDocumentError } from "../util/errors.ts";

/** `sha256:` and 64 lower-case hexadecimal digits. OCI image specification, descriptor.md, "Digests". */
export type Digest = `sha256:${string}`;

const sha256Form = /^sha256:[0-9a-f]{64}$/;
const anyForm = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+$/;

/** Whether `text` is a digest that gocker can check. */
export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && sha256Form.test(text);
}

/**
 * Reads a digest. sha256 only: other algorithms of the specification are optional, and no registry uses them for images.
 *
 * @throws InvalidDocumentError when it is none, or one of another algorithm.
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new InvalidDocumentError(`${JSON.stringify(text)} is not a digest: ${problem(text)}`);
}

/** The digest of bytes in memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
}

/** The 64 hexadecimal digits: what a blob's file is called. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}

function problem(text: string): string {
  const colon = text.indexOf(":");
  if (colon < 0) return "it must begin with sha256:";
  const [algorithm, encoded] = [text.slice(0, colon), text.slice(colon + 1)];
  if (algorithm !== "sha256") {
    return anyForm.test(text) ? `gocker checks sha256, not ${algorithm}` : "it must begin with sha256:";
  }
  if (/[A-F]/.test(encoded) && /^[0-9a-fA-F]{64}$/.test(encoded)) return "its hexadecimal digits must be lower case";
  if (!/^[0-9a-f]*$/.test(encoded)) return "after sha256: only hexadecimal digits may stand";
  return `after sha256: 64 hexadecimal digits must stand, not ${encoded.length}`;
}
