import { VerificationError } from "../util/errors.ts";
import { RegistryError } from "./errors.ts";
import { connectionFailure, timeout } from "./failures.ts";
import type { TransportAnswer } from "./transport.ts";

/** What {@link guardBody} watches. */
export interface BodyGuard {
  /** Bytes that must come: no more and no fewer. */
  readonly length: number;
  /** Milliseconds without a byte, while somebody waits for one, after which the connection counts as broken. */
  readonly stall: number;
  /** In the words of an error: `the blob sha256:…`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A body that ends as it should or fails: with a retryable {@link RegistryError} when the connection breaks off, stalls
 * or ends early, with a {@link VerificationError} when more comes than was announced. Nothing is read ahead: a slow
 * reader slows the sender. Cancelling it ends the connection.
 */
export function guardBody(answer: TransportAnswer, guard: BodyGuard): ReadableStream<Uint8Array> {
  const { response, context } = answer;
  const reader = response.body?.getReader();
  let received = 0;
  /** When the read that is under way began, by `performance.now()`. A slow reader of ours is no stall. */
  let waitingSince: number | undefined;
  let watch: Timer | undefined;

  const arm = (milliseconds: number) => {
    watch = setTimeout(
      () => {
        const waited = waitingSince === undefined ? 0 : performance.now() - waitingSince;
        if (waited < guard.stall) return arm(guard.stall - waited);
        answer.abort(timeout(context, `nothing came for ${guard.stall / 1000} seconds`));
      },
      Math.max(1, milliseconds),
    );
    // Somebody who forgot the stream must not keep the process.
    watch.unref();
  };
  const failed = (error: unknown): unknown => {
    if (guard.signal?.aborted === true) return guard.signal.reason;
    return error instanceof RegistryError ? error : connectionFailure(error, context);
  };

  arm(guard.stall);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let result: { done: boolean; value?: Uint8Array | undefined } | undefined;
        try {
          waitingSince = performance.now();
          result = await reader?.read();
          waitingSince = undefined;
        } catch (error) {
          clearTimeout(watch);
          throw failed(error);
        }
        if (result?.value !== undefined) {
          received += result.value.length;
          if (received <= guard.length) return controller.enqueue(result.value);
          clearTimeout(watch);
          answer.abort();
          throw new VerificationError(`size of ${guard.what}`, `${guard.length} bytes`, "more");
        }
        clearTimeout(watch);
        if (received === guard.length) return controller.close();
        const { registry, repository, url } = context;
        const message = `the connection to ${url.host} ended after ${received} of ${guard.length} bytes of ${guard.what}`;
        throw new RegistryError("broken-connection", message, { registry, repository, url, retryable: true });
      },
      async cancel(reason) {
        clearTimeout(watch);
        answer.abort(reason);
        // The connection is gone already, on purpose: there is nothing to learn from how it ends.
        await reader?.cancel(reason).catch(() => undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * Reads a small body whole.
 *
 * @param limit bytes; more are refused before they are read.
 * @throws RegistryError when it breaks off or is longer than `limit`.
 */
export async function readBody(
  answer: TransportAnswer,
  limit: number,
  { stall, what, signal }: { stall: number; what: string; signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const { response, context } = answer;
  const { registry, repository, url } = context;
  const tooLong = () => {
    answer.abort();
    const message = `${what} is longer than ${limit} bytes, which no registry should allow`;
    return new RegistryError("protocol", message, { registry, repository, url });
  };
  const announced = response.headers.get("content-length");
  if (announced !== null && Number(announced) > limit) throw tooLong();
  const late = timeout(context, `${what} did not come within ${stall / 1000} seconds`);
  const timer = setTimeout(() => answer.abort(late), stall);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > limit) throw tooLong();
      chunks.push(chunk);
    }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    throw error instanceof RegistryError ? error : connectionFailure(error, context);
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}
