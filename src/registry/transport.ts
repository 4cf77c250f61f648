import { RegistryError, redactUrl } from "./errors.ts";
import { connectionFailure, type FailureContext, timeout } from "./failures.ts";
import { type Proxies, proxyFor } from "./proxies.ts";
import type { TlsMaterial } from "./certificates.ts";

/** How long a server may take, in milliseconds. */
export interface Timeouts {
  /** From the request to the answer's headers, each redirect by itself. */
  readonly headers: number;
  /** Between two pieces of a body. */
  readonly stall: number;
}

const defaultTimeouts: Timeouts = { headers: 30_000, stall: 30_000 };

/** One request, redirects included: see {@link Transport.send}. */
export interface TransportRequest {
  readonly url: URL;
  readonly method?: "GET" | "HEAD" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Check the certificate of the first origin. Those of others are always checked. */
  readonly verify: boolean;
  /** Redirects from HTTPS to plain HTTP are followed. */
  readonly insecure: boolean;
  /** Bring the body as it was sent, whatever Content-Encoding says. */
  readonly raw?: boolean;
  /** For errors. */
  readonly registry: string;
  readonly repository?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose body is not read yet. */
export interface TransportAnswer {
  readonly response: Response;
  /** Where it came from after redirects. */
  readonly context: FailureContext;
  /** Milliseconds to wait for a body that can be done without. */
  readonly patience: number;
  /** Ends the connection: for bodies that are not wanted, or do not come. */
  abort(reason?: unknown): void;
}

const mostRedirects = 10;
const secretHeaders = new Set(["authorization", "cookie", "proxy-authorization"]);

/**
 * Sends requests by `fetch`, with proxies, certificates, timeouts and redirects as a registry client needs them, and
 * turns failures into {@link RegistryError}. It knows nothing of tokens; it only sees to it that none reaches an origin
 * that it was not meant for. `close` lets idle connections go.
 */
export class Transport implements Disposable {
  readonly timeouts: Timeouts;
  readonly #proxies: Proxies;
  readonly #tls: (host: string) => Promise<TlsMaterial>;
  readonly #sessions = new Map<string, Promise<Bun.FetchSession>>();

  /** @param options.tls what connections to a host (with its port, as in references) are made with. */
  constructor(options: {
    proxies: Proxies;
    tls: (host: string) => Promise<TlsMaterial>;
    timeouts?: Timeouts | undefined;
  }) {
    this.timeouts = options.timeouts ?? defaultTimeouts;
    this.#proxies = options.proxies;
    this.#tls = options.tls;
  }

  /**
   * Sends a request and follows redirects by hand: at most ten, to http and https only, never from HTTPS down to plain
   * HTTP unless the registry is insecure, and without the Authorization header from the first foreign origin on.
   *
   * @throws RegistryError when no answer came. Any status is an answer.
   */
  async send(request: TransportRequest): Promise<TransportAnswer> {
    let { url, verify } = request;
    let headers = request.headers ?? {};
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#sendOnce({ ...request, url, verify, headers });
      const target = redirectTarget(answer.response, request.method, url);
      if (target === undefined) return answer;
      await discard(answer);
      this.#checkRedirect(url, target, redirects, request);
      if (target.origin !== url.origin) {
        headers = withoutSecrets(headers);
        verify = true;
      }
      url = target;
    }
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions.values()) {
      // A session that could not be made has nothing to close, and its error was thrown where it was used.
      session.then(
        (made) => made.close(),
        () => {},
      );
    }
    this.#sessions.clear();
  }

  async #sendOnce(request: TransportRequest): Promise<TransportAnswer> {
    const { url, registry, repository, signal } = request;
    const proxy = proxyFor(url, this.#proxies);
    const context: FailureContext = { registry, repository, url, proxy };
    const session = await this.#session(url, request.verify, proxy);
    const controller = new AbortController();
    const late = timeout(context, `no answer within ${this.timeouts.headers / 1000} seconds`);
    const timer = setTimeout(() => controller.abort(late), this.timeouts.headers);
    try {
      const response = await fetch(url, {
        session,
        method: request.method ?? "GET",
        headers: { "user-agent": "gocker", "accept-encoding": "identity", ...request.headers },
        body: request.body ?? null,
        redirect: "manual",
        signal: signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]),
        decompress: request.raw !== true,
      });
      const patience = Math.min(this.timeouts.stall, longestPatience);
      return { response, context, patience, abort: (reason) => controller.abort(reason) };
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw error === late ? late : connectionFailure(error, context);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Connections are kept and certificates are read once for each origin. */
  #session(url: URL, verify: boolean, proxy: string | undefined): Promise<Bun.FetchSession> {
    const key = `${url.origin} ${verify} ${proxy}`;
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const made = this.#makeSession(url, verify, proxy);
    this.#sessions.set(key, made);
    return made;
  }

  async #makeSession(url: URL, verify: boolean, proxy: string | undefined): Promise<Bun.FetchSession> {
    const material = url.protocol === "https:" ? await this.#tls(url.host) : {};
    return new Bun.FetchSession({
      // Said aloud, or NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would decide.
      tls: { ...material, rejectUnauthorized: verify },
      // Likewise: which proxy is used was decided above, not by Bun's reading of the environment.
      proxy: proxy === undefined ? false : { url: proxy, respectNoProxy: false },
    });
  }

  #checkRedirect(from: URL, to: URL, redirects: number, { registry, repository, insecure }: TransportRequest): void {
    const fail = (message: string) => {
      throw new RegistryError("protocol", message, { registry, repository, url: from });
    };
    if (redirects >= mostRedirects) fail(`${from.host} redirects more than ${mostRedirects} times`);
    if (to.protocol !== "http:" && to.protocol !== "https:")
      fail(`${from.host} redirects to ${to.protocol}, not to http(s)`);
    if (from.protocol === "https:" && to.protocol === "http:" && !insecure) {
      fail(`${from.host} redirects from HTTPS to plain HTTP (${redactUrl(to)}), which anybody on the way could change`);
    }
  }
}

/** The longest time, in milliseconds, for a body that nobody needs. */
const longestPatience = 2000;

/**
 * Reads a small body to its end, so that its connection can be used again; a large one, or one that does not come, ends
 * the connection.
 */
export async function discard(answer: TransportAnswer): Promise<void> {
  const { response } = answer;
  if (response.body === null) return;
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  // 416 answers of docker-registry 2.8.2 announce the whole blob and send nothing.
  if (length <= 16 * 1024 && response.status !== 416) {
    const timer = setTimeout(() => answer.abort(), answer.patience);
    await response.arrayBuffer().catch(() => undefined);
    clearTimeout(timer);
  } else {
    answer.abort();
    await response.body.cancel().catch(() => undefined);
  }
}

function redirectTarget(response: Response, method: TransportRequest["method"], url: URL): URL | undefined {
  // A POST carries secrets in its body: it is never sent on.
  if (method === "POST" || ![301, 302, 303, 307, 308].includes(response.status)) return undefined;
  const location = response.headers.get("location");
  if (location === null) return undefined;
  try {
    return new URL(location, url);
  } catch {
    return undefined;
  }
}

function withoutSecrets(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !secretHeaders.has(name.toLowerCase())));
}
