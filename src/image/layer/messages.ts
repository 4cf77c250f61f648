import { systemCallError } from "../../linux/errno.ts";
import { asError, GockerError, InvalidDocumentError, SystemCallError } from "../../util/errors.ts";
import type { UnpackedLayer } from "./pipeline.ts";

/** From the owner of a layer's Worker to it. Bytes are moved, not copied. */
export type ToWorker =
  | { readonly kind: "start"; readonly directory: string }
  | { readonly kind: "write"; readonly bytes: Uint8Array<ArrayBuffer>; readonly length: number }
  | { readonly kind: "finish" }
  | { readonly kind: "abort" };

/** From a layer's Worker to its owner. */
export type FromWorker =
  /** `bytes` were used up and may be filled again. */
  | { readonly kind: "consumed"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "finished"; readonly layer: UnpackedLayer }
  | { readonly kind: "failed"; readonly error: ErrorRecord }
  /** Nothing is written to the layer's directory any more. */
  | { readonly kind: "aborted" };

/** An error in a form that reaches another thread whole: cloning would lose its class. */
export interface ErrorRecord {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly hint: string | undefined;
  readonly stack: string | undefined;
  readonly call: { syscall: string; errno: number; path: string | undefined; step: string | undefined } | undefined;
}

/** @see readError */
export function recordError(error: unknown): ErrorRecord {
  const known = error instanceof GockerError ? error : undefined;
  const plain = asError(error);
  const call = error instanceof SystemCallError ? error : undefined;
  return {
    name: plain.name,
    code: known?.code,
    message: plain.message,
    hint: known?.hint,
    stack: plain.stack,
    call: call && { syscall: call.syscall, errno: call.errno, path: call.path, step: call.step },
  };
}

/** The error that was recorded, of its own class again. */
export function readError({ name, code, message, hint, stack, call }: ErrorRecord): Error {
  if (call !== undefined) return systemCallError(call.syscall, { path: call.path, step: call.step, hint }, call.errno);
  if (name === "InvalidDocumentError") return new InvalidDocumentError(message, { hint });
  if (code !== undefined) return new GockerError(code, message, { hint });
  // A fault of gocker itself: where it was is worth more than the class.
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
