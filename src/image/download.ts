import type { Descriptor } from "../oci/descriptor.ts";
import { asError, GockerError, VerificationError } from "../util/errors.ts";
import type { BlobSource } from "./blob-source.ts";
import { BlobMismatchError, DownloadError } from "./errors.ts";

/** Takes in a blob in the order of its bytes: `LayerIntake`, or an array in memory. */
export interface BlobSink {
  /** How many bytes of the blob it has. */
  readonly received: number;
  /** Resolves when there is room for more. The chunk is the sink's from then on. */
  take(chunk: Uint8Array): Promise<void>;
}

/** How {@link download} goes about it, and whom it tells. */
export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** So many bytes of the blob are there. */
  readonly onReceived?: ((bytes: number) => void) | undefined;
  /** The body broke off; it is asked for again after `delay` milliseconds. */
  readonly onRetry?: ((delay: number, reason: Error) => void) | undefined;
  /** First pause before a retry, in milliseconds; it doubles: 500 unless told. */
  readonly pause?: number;
}

/** So many breaks without a byte in between end the download. */
const mostFailures = 6;
const longestPause = 15_000;

/**
 * Feeds the rest of a blob to the sink. A body that breaks off is asked for again from where it broke, with a growing
 * pause; the sink goes on as if nothing had happened.
 * @throws DownloadError when it breaks again and again, the source's errors when it refuses, the sink's errors
 */
export async function download(
  source: BlobSource,
  descriptor: Descriptor,
  sink: BlobSink,
  options: DownloadOptions,
): Promise<void> {
  const { signal } = options;
  let failures = 0;
  while (sink.received < descriptor.size) {
    const before = sink.received;
    let broken: Error;
    try {
      const failure = await receive(source, descriptor, sink, options);
      if (failure === undefined) return;
      broken = failure;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
    signal.throwIfAborted();
    if (broken instanceof ShortBodyError && sink.received === before) {
      // Not broken: asked for the rest, the source says that there is none.
      throw new BlobMismatchError(`the size of ${descriptor.digest}`, `${descriptor.size} bytes`, `${before}`);
    }
    failures = sink.received > before ? 1 : failures + 1;
    if (failures >= mostFailures) {
      throw new DownloadError(
        `the download of ${descriptor.digest} broke off at ${sink.received} of ${descriptor.size} bytes, ${failures} times in a row`,
        { cause: broken, hint: "check the network and pull again: it goes on from there" },
      );
    }
    const longest = Math.min((options.pause ?? 500) * 2 ** (failures - 1), longestPause);
    // Many clients whose downloads broke together must not come back together.
    const delay = Math.round(longest * (0.5 + Math.random() / 2));
    options.onRetry?.(delay, broken);
    await pauseFor(delay, signal);
  }
}

/** One request. The error that broke the body, which is worth another request; undefined when all is there. */
async function receive(
  source: BlobSource,
  descriptor: Descriptor,
  sink: BlobSink,
  options: DownloadOptions,
): Promise<Error | undefined> {
  const wanted = sink.received;
  const opened = await openBlob(source, descriptor, wanted, options.signal);
  if (opened instanceof Error) return opened;
  if (opened.offset > wanted) {
    throw new VerificationError(`the answer for ${descriptor.digest}`, `byte ${wanted} first`, `byte ${opened.offset}`);
  }
  let superfluous = wanted - opened.offset;
  const reader = opened.stream.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  try {
    for (;;) {
      const next = await reader.read().catch(asError);
      if (next instanceof Error) return next;
      if (next.done) break;
      const chunk = next.value;
      const skipped = Math.min(superfluous, chunk.length);
      superfluous -= skipped;
      if (skipped === chunk.length) continue;
      await sink.take(skipped === 0 ? chunk : chunk.subarray(skipped));
      options.onReceived?.(sink.received);
    }
  } finally {
    // A stream that failed refuses to be cancelled; that it failed has been told.
    reader.cancel(undefined).catch(() => {});
  }
  if (sink.received >= descriptor.size) return undefined;
  return new ShortBodyError(`the body ended after ${sink.received} of ${descriptor.size} bytes`);
}

async function openBlob(source: BlobSource, descriptor: Descriptor, offset: number, signal: AbortSignal) {
  try {
    return await source.openBlob(descriptor, { offset, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    // What a source refuses in its own words, it will refuse again; where that may pass it has tried again itself. Only
    // who has a part already has reason for more patience.
    const mayPass = !(error instanceof GockerError) || (offset > 0 && isRetryable(error));
    if (!mayPass) throw error;
    return asError(error);
  }
}

/** As the errors of a registry say of themselves. */
function isRetryable(error: Error): boolean {
  return (error as { retryable?: unknown }).retryable === true;
}

/** A body came to its regular end, but it is shorter than its descriptor says. */
class ShortBodyError extends Error {}

function pauseFor(delay: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, delay);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
