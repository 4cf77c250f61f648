import type { Descriptor } from "../oci/descriptor.ts";
import { isNondistributableLayer } from "../oci/media-types.ts";
import { VerificationError } from "../util/errors.ts";
import { guardBody } from "./body.ts";
import type { EndpointClient } from "./endpoint-client.ts";
import { RegistryError } from "./errors.ts";
import { discard, type TransportAnswer } from "./transport.ts";

/** A blob that is on its way. */
export interface OpenBlob {
  /** Where the stream begins: the offset that was asked for, or 0 from a server that knows no ranges. */
  readonly offset: number;
  /**
   * The bytes from there to the blob's end, as many as the descriptor says. It fails with a retryable RegistryError
   * when the connection breaks: open it again from where it broke. The digest is the reader's to check.
   */
  readonly stream: ReadableStream<Uint8Array>;
}

/** From where, and until when: see {@link openBlob}. */
export interface OpenBlobOptions {
  /** In bytes. Default 0. */
  readonly offset?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a blob for reading, whole or from an offset.
 *
 * @throws RegistryError; VerificationError when the registry announces another size than the descriptor.
 */
export async function openBlob(
  client: EndpointClient,
  repository: string,
  descriptor: Descriptor,
  { offset = 0, signal }: OpenBlobOptions = {},
): Promise<OpenBlob> {
  const { digest, size } = descriptor;
  if (offset < 0 || offset > size) throw new RangeError(`offset ${offset} of a blob of ${size} bytes`);
  const what = `the blob ${digest}`;
  // An empty rest needs no request, and ranges cannot say it.
  if (offset === size && size > 0) return { offset, stream: emptyStream() };
  const open = async (from: number): Promise<TransportAnswer> => {
    const headers: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
    const accept = from === 0 ? [200] : [200, 206, 416];
    const request = { repository, path: `blobs/${digest}`, headers, accept, what, raw: true, signal };
    return await openAnywhere(client, request, descriptor);
  };
  let answer = await open(offset);
  let begin = answer.response.status === 206 ? offset : 0;
  const { name: registry } = client.endpoint;
  if (answer.response.status === 416 || (begin > 0 && !isRangeFrom(answer.response, offset, size))) {
    // Wrong about its own blob or about ranges: the whole blob is the way that always works.
    await discard(answer);
    answer = await open(0);
    begin = 0;
  }
  checkLength(answer, size - begin, `size of ${what} from ${registry}`);
  const { stall } = client.transport.timeouts;
  return { offset: begin, stream: guardBody(answer, { length: size - begin, stall, what, signal }) };
}

/**
 * Layers that registries may not give out have other addresses in their descriptor. They are asked without credentials
 * (CVE-2020-15157) and over HTTPS only, and only when the registry does not have the layer.
 */
async function openAnywhere(
  client: EndpointClient,
  request: Parameters<EndpointClient["request"]>[0],
  { mediaType, urls = [] }: Descriptor,
): Promise<TransportAnswer> {
  try {
    return await client.request(request);
  } catch (error) {
    const elsewhere = isNondistributableLayer(mediaType) ? urls.filter((url) => /^https:\/\//i.test(url)) : [];
    if (!(error instanceof RegistryError) || error.failure !== "not-found") throw error;
    for (const url of elsewhere) {
      const { repository, headers = {}, signal, accept = [200] } = request;
      const { name: registry } = client.endpoint;
      const common = { verify: true, insecure: false, raw: true, registry, repository, signal };
      const answer = await client.transport.send({ ...common, url: new URL(url), headers });
      if (accept.includes(answer.response.status)) return answer;
      await discard(answer);
    }
    throw error;
  }
}

/** Whether a 206 is the range that was asked for, to the blob's end. RFC 9110, 14.4. */
function isRangeFrom(response: Response, offset: number, size: number): boolean {
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(response.headers.get("content-range")?.trim() ?? "");
  if (range === null) return false;
  const [, first, last, total] = range;
  return Number(first) === offset && Number(last) === size - 1 && (total === "*" || Number(total) === size);
}

function checkLength(answer: TransportAnswer, expected: number, what: string): void {
  const { headers } = answer.response;
  const length = headers.get("content-length");
  if (length === null || Number(length) === expected) return;
  answer.abort();
  throw new VerificationError(what, `${expected} bytes`, `${length} bytes`, {
    hint: "the registry's copy is damaged, or the manifest lies",
  });
}

function emptyStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() });
}
