import type { FetchOptions } from "ofetch";
import { readBody } from "./body.ts";
import { readDiagnostics, describeDiagnostics } from "./diagnostics.ts";
import type { Challenge } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { RegistryError } from "./errors.ts";
import { discard, type Transport, type TransportAnswer } from "./transport.ts";
import { isLoopback, parseHostPort } from "./addresses.ts";

/** An access token and when it ends, by `performance.now()`: no clock that somebody may set counts here. */
export interface AccessToken {
  readonly token: string;
  readonly endsAt: number;
}

/** What a token is asked for. */
export interface TokenRequest {
  readonly challenge: Challenge;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  /** For errors. */
  readonly registry: string;
  readonly repository: string | undefined;
  /** The registry is configured to be spoken to without checks, so its token server is too. */
  readonly insecure: boolean;
}

/** Distribution's token specification: what a missing `expires_in` means, in seconds. */
const defaultLifetime = 60;
/** Tokens have some kilobytes, and servers take headers no longer than that. */
const longestAnswer = 1024 * 1024;
const clientId = "gocker";

/**
 * Gets an access token from the token server that a Bearer challenge names: by GET, anonymously or with Basic
 * authentication, or by POST with an identity token. Distribution's token and oauth2 specifications.
 *
 * @throws RegistryError when the challenge is unusable, the credentials are wrong, or the server gives no token.
 */
export async function fetchToken(transport: Transport, request: TokenRequest): Promise<AccessToken> {
  const realm = realmOf(request);
  const { credentials } = request;
  const asked = performance.now();
  const { stall } = transport.timeouts;
  if (credentials?.kind === "identity-token") {
    const form = { grant_type: "refresh_token", refresh_token: credentials.token };
    return await readToken(await post(transport, realm, request, form), request, realm, { asked, stall });
  }
  const answer = await get(transport, realm, request);
  // Token servers that know OAuth 2 only.
  if ((answer.response.status === 404 || answer.response.status === 405) && credentials?.kind === "password") {
    await discard(answer);
    const { username, password } = credentials;
    const form = { grant_type: "password", username, password };
    return await readToken(await post(transport, realm, request, form), request, realm, { asked, stall });
  }
  return await readToken(answer, request, realm, { asked, stall });
}

/** The value of an Authorization header. */
export function basicAuthorization({ username, password }: { username: string; password: string }): string {
  return `Basic ${new TextEncoder().encode(`${username}:${password}`).toBase64()}`;
}

async function get(transport: Transport, realm: URL, request: TokenRequest): Promise<TransportAnswer> {
  const { credentials, scopes } = request;
  const { service } = request.challenge.parameters;
  const withPassword = credentials?.kind === "password";
  return await ask(transport, realm, request, {
    query: { ...(service && { service }), scope: scopes, ...(withPassword && { account: credentials.username }) },
    headers: withPassword ? { authorization: basicAuthorization(credentials) } : {},
  });
}

async function post(
  transport: Transport,
  realm: URL,
  request: TokenRequest,
  form: Record<string, string>,
): Promise<TransportAnswer> {
  const { service = "" } = request.challenge.parameters;
  const scope = request.scopes.join(" ");
  return await ask(transport, realm, request, {
    method: "POST",
    body: new URLSearchParams({ ...form, service, client_id: clientId, ...(scope !== "" && { scope }) }),
  });
}

/**
 * One question to the token server, put together by ofetch and sent by the transport, which knows proxies, certificates
 * and timeouts. The answer's body is left to the caller, whatever the status.
 */
async function ask(
  transport: Transport,
  realm: URL,
  request: TokenRequest,
  options: Pick<FetchOptions, "method" | "query" | "headers" | "body">,
): Promise<TransportAnswer> {
  let answer: TransportAnswer | undefined;
  const send = async (target: unknown, init: RequestInit = {}): Promise<Response> => {
    const form = init.body instanceof URLSearchParams ? init.body.toString() : undefined;
    const headers = new Headers(init.headers);
    if (form !== undefined) headers.set("content-type", "application/x-www-form-urlencoded");
    answer = await transport.send({
      ...common(request),
      url: new URL(String(target)),
      method: init.method === "POST" ? "POST" : "GET",
      headers: headers.toJSON(),
      ...(form !== undefined && { body: form }),
    });
    return answer.response;
  };
  const { createFetch } = await import("ofetch");
  try {
    await createFetch({ fetch: send as typeof fetch }).raw(realm.href, {
      ...options,
      responseType: "stream",
      ignoreResponseError: true,
      retry: false,
    });
  } catch (error) {
    // ofetch wraps what the transport throws, which says more.
    throw error instanceof Error && error.cause instanceof RegistryError ? error.cause : error;
  }
  return answer as TransportAnswer;
}

function common({ registry, repository, insecure }: TokenRequest) {
  return { verify: !insecure, insecure, registry, repository };
}

/** The token server. Credentials only go over HTTPS there, unless the registry itself may be spoken to without it. */
function realmOf({ challenge, registry, repository, insecure, credentials }: TokenRequest): URL {
  const text = challenge.parameters["realm"];
  const fail = (message: string, hint?: string): never => {
    throw new RegistryError("protocol", message, { registry, repository, hint });
  };
  if (text === undefined || text === "") fail(`${registry} asks for a token, but does not say where to get one`);
  let realm: URL;
  try {
    realm = new URL(text ?? "");
  } catch {
    return fail(`${registry} names a token server that is no URL`);
  }
  if (realm.protocol !== "https:" && realm.protocol !== "http:")
    fail(`${registry} names a token server that is no web address`);
  const local = isLoopback(parseHostPort(realm.host)?.host ?? "");
  if (realm.protocol === "http:" && !insecure && !local && credentials !== undefined) {
    fail(
      `${registry} wants the password sent to ${realm.host} over plain HTTP, where anybody on the way could read it`,
      `if that is meant to be, name the registry with --insecure-registry ${registry}`,
    );
  }
  return realm;
}

async function readToken(
  answer: TransportAnswer,
  request: TokenRequest,
  realm: URL,
  { asked, stall }: { readonly asked: number; readonly stall: number },
): Promise<AccessToken> {
  const { response } = answer;
  const { registry, repository, credentials } = request;
  const options = { registry, repository, url: realm, status: response.status };
  if (!response.ok) {
    const diagnostics = await readDiagnostics(answer);
    const said = describeDiagnostics(diagnostics);
    const reason = said === undefined ? `status ${response.status}` : `${said} (status ${response.status})`;
    if (response.status === 401 || response.status === 403) {
      const message =
        credentials === undefined
          ? `${registry} gives nothing to anonymous clients: its token server ${realm.host} says: ${reason}`
          : `${registry} does not accept the credentials for it: its token server ${realm.host} says: ${reason}`;
      throw new RegistryError("unauthorized", message, {
        ...options,
        diagnostics,
        hint: loginHint(registry, credentials),
      });
    }
    const busy = response.status === 429 || response.status >= 500;
    const failure = response.status === 429 ? "rate-limited" : busy ? "server-error" : "protocol";
    const message = `the token server ${realm.host} of ${registry} failed: ${reason}`;
    throw new RegistryError(failure, message, { ...options, diagnostics, retryable: busy });
  }
  const value = parseTokens(await readBody(answer, longestAnswer, { stall, what: `the token for ${registry}` }));
  const token = [value?.token, value?.access_token].find((entry) => typeof entry === "string" && entry !== "");
  // A token goes into a header: what could end it there is no token.
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    throw new RegistryError("protocol", `the token server ${realm.host} of ${registry} gave no token`, options);
  }
  const lifetime = Number(value?.expires_in);
  const seconds = Number.isFinite(lifetime) && lifetime > 0 ? lifetime : defaultLifetime;
  return { token, endsAt: asked + seconds * 1000 };
}

interface TokenAnswer {
  readonly token?: unknown;
  readonly access_token?: unknown;
  readonly expires_in?: unknown;
}

function parseTokens(bytes: Uint8Array): TokenAnswer | null | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as TokenAnswer | null;
  } catch {
    return undefined;
  }
}

/** What to do when a registry does not let somebody in. */
export function loginHint(registry: string, credentials: Credentials | undefined): string {
  return credentials === undefined
    ? `log in (docker login ${registry}, or podman login), so that ~/.docker/config.json or auth.json has credentials`
    : `log in to ${registry} again: the password or token in ~/.docker/config.json or auth.json is wrong or too old`;
}
