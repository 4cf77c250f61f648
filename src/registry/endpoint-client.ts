import type { Authorizer } from "./authorizer.ts";
import { readBody } from "./body.ts";
import type { Endpoint, Origin } from "./endpoints.ts";
import { RegistryError } from "./errors.ts";
import { type RetryPolicy, withRetries } from "./retry.ts";
import { statusFailure } from "./status-failures.ts";
import { discard, type Transport, type TransportAnswer } from "./transport.ts";

/** One request about a repository: see {@link EndpointClient.request}. */
export interface EndpointRequest {
  readonly method?: "GET" | "HEAD";
  readonly repository: string;
  /** Below the repository: `manifests/latest`. May end in a query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The statuses that are answers; others are errors. Default: 200. */
  readonly accept?: readonly number[];
  /** What is asked for, in the words of an error: `the image alpine:3.19`. */
  readonly what: string;
  readonly raw?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What an {@link EndpointClient} works with. */
export interface EndpointClientOptions {
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  readonly authorizer: Authorizer;
  readonly retry?: RetryPolicy | undefined;
  /** Takes lines for people who look for a fault. No secrets are in them. */
  readonly log: (line: string) => void;
}

/** Speaks to one registry or mirror: finds its scheme, logs in when asked to, and tries again when that may help. */
export class EndpointClient {
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #retry: RetryPolicy | undefined;
  readonly #log: (line: string) => void;
  /** The one that has answered before. */
  #origin: Origin | undefined;

  constructor({ endpoint, transport, authorizer, retry, log }: EndpointClientOptions) {
    this.endpoint = endpoint;
    this.transport = transport;
    this.#authorizer = authorizer;
    this.#retry = retry;
    this.#log = log;
    if (endpoint.origins.length === 1) this.#origin = endpoint.origins[0];
  }

  /**
   * Asks for something of a repository. Each try begins at the registry itself, so that signed addresses are fresh.
   *
   * @throws RegistryError when no answer of the accepted statuses came.
   */
  async request(request: EndpointRequest): Promise<TransportAnswer> {
    return await this.#withRetries(request, () => this.#try(request));
  }

  /**
   * The same for a small answer that is wanted whole: a body that breaks off is asked for again too.
   *
   * @param limit the longest body in bytes.
   */
  async read(request: EndpointRequest, limit: number): Promise<{ response: Response; bytes: Uint8Array }> {
    const { what, signal } = request;
    return await this.#withRetries(request, async () => {
      const answer = await this.#try(request);
      const bytes = await readBody(answer, limit, { stall: this.transport.timeouts.stall, what, signal });
      return { response: answer.response, bytes };
    });
  }

  /** What stands in URLs: the mirror's prefix and the repository. */
  pathOf(repository: string): string {
    return this.endpoint.prefix === "" ? repository : `${this.endpoint.prefix}/${repository}`;
  }

  async #withRetries<Result>({ signal }: EndpointRequest, deed: () => Promise<Result>): Promise<Result> {
    return await withRetries(deed, {
      policy: this.#retry,
      signal,
      onRetry: (error, delay) => this.#log(`${error.message}; trying again in ${Math.round(delay)} ms`),
    });
  }

  async #try(request: EndpointRequest): Promise<TransportAnswer> {
    if (this.#origin !== undefined) return await this.#tryAt(this.#origin, request);
    let first: RegistryError | undefined;
    for (const origin of this.endpoint.origins) {
      try {
        return await this.#tryAt(origin, request);
      } catch (error) {
        // Once it has answered it is the right one, whatever it said.
        if (!(error instanceof RegistryError) || this.#origin !== undefined || !mayBeScheme(error)) throw error;
        this.#log(`${origin.url} does not do: ${error.message}`);
        first ??= error;
      }
    }
    throw first ?? new Error("an endpoint needs an origin");
  }

  async #tryAt(origin: Origin, request: EndpointRequest): Promise<TransportAnswer> {
    const repository = this.pathOf(request.repository);
    let authorization = await this.#authorizer.authorization(repository);
    // The first 401 is the registry's question, the second its answer to a token that was too old or too narrow.
    for (let refusals = 0; ; refusals++) {
      const answer = await this.#send(origin, request, authorization);
      const { response, context } = answer;
      if (!speaksOtherScheme(response, origin)) this.#origin = origin;
      const asked = response.status === 401 && context.url.origin === new URL(origin.url).origin;
      if (asked && refusals < 2) {
        const better = await this.#authorizer.answer(response, repository, authorization);
        if (better !== undefined) {
          await discard(answer);
          authorization = better;
          continue;
        }
      }
      if ((request.accept ?? [200]).includes(response.status)) return answer;
      throw await this.#failure(answer, origin, request);
    }
  }

  async #send(origin: Origin, request: EndpointRequest, authorization: string | undefined): Promise<TransportAnswer> {
    const { method = "GET", repository, path, headers, raw = false, signal } = request;
    const url = new URL(`${origin.url}/v2/${this.pathOf(repository)}/${path}`);
    this.#log(`${method} ${url.origin}${url.pathname}`);
    return await this.transport.send({
      url,
      method,
      headers: { ...headers, ...(authorization !== undefined && { authorization }) },
      verify: origin.verify,
      insecure: this.endpoint.insecure,
      raw,
      registry: this.endpoint.name,
      repository,
      signal,
    });
  }

  async #failure(answer: TransportAnswer, origin: Origin, request: EndpointRequest): Promise<RegistryError> {
    const { name: registry } = this.endpoint;
    const { repository, what } = request;
    const credentials = await this.#authorizer.credentials(this.pathOf(repository));
    return await statusFailure(answer, { what, registry, repository, credentials, origin: new URL(origin.url).origin });
  }
}

/** Whether a server that is spoken to by the wrong scheme may look like this. */
function mayBeScheme({ failure, status }: RegistryError): boolean {
  return status === 400 || ["no-tls", "broken-connection", "refused-connection", "timeout"].includes(failure);
}

/** How servers answer a plain request on a TLS port; a 400 for another reason is told when nothing else answers. */
function speaksOtherScheme(response: Response, origin: Origin): boolean {
  return response.status === 400 && origin.url.startsWith("http:");
}
