import type { Credentials } from "./credentials.ts";
import { describeDiagnostics, readDiagnostics } from "./diagnostics.ts";
import { type Diagnostic, RegistryError, type RegistryErrorOptions } from "./errors.ts";
import { describeRateLimit, readRateLimit } from "./rate-limit.ts";
import { loginHint } from "./token.ts";
import type { TransportAnswer } from "./transport.ts";

/** What was asked for, for the sentence of an error. */
export interface Subject {
  /** `the image library/alpine:3.19`, `the blob sha256:…`. */
  readonly what: string;
  readonly registry: string;
  readonly repository: string;
  readonly credentials: Credentials | undefined;
  /** The origin that the request went to first; an answer from elsewhere is a storage server's. */
  readonly origin: string;
}

/** Turns an answer that is not the one hoped for into an error. Reads the body. */
export async function statusFailure(answer: TransportAnswer, subject: Subject): Promise<RegistryError> {
  const { response, context } = answer;
  const { registry, repository } = subject;
  const diagnostics = await readDiagnostics(answer);
  const options: RegistryErrorOptions = {
    registry,
    repository,
    status: response.status,
    diagnostics,
    url: context.url,
  };
  if (response.status === 429 || isLimit(diagnostics)) return limited(response, subject, options);
  if (context.url.origin !== subject.origin && response.status < 500)
    return atStorage(response, context.url, subject, options);
  switch (response.status) {
    case 401:
      return unauthorized(subject, options);
    case 403:
      return new RegistryError("denied", `${registry} refuses to give out ${subject.what}${because(diagnostics)}`, {
        ...options,
        hint:
          subject.credentials === undefined ? loginHint(registry, undefined) : "ask the owner for the right to pull it",
      });
    case 404:
      return notFound(response, subject, options);
  }
  if (response.status >= 500 || response.status === 408) {
    const message = `${registry} failed with status ${response.status}${because(diagnostics)}`;
    const { retryAfter } = readRateLimit(response.headers);
    return new RegistryError("server-error", message, {
      ...options,
      retryable: true,
      retryAfter,
      hint: "try again later",
    });
  }
  const message = `${registry} answered with status ${response.status}${because(diagnostics)}`;
  return new RegistryError("protocol", message, { ...options, hint: `check that ${registry} is a container registry` });
}

function unauthorized({ what, registry, credentials }: Subject, options: RegistryErrorOptions): RegistryError {
  if (credentials === undefined) {
    const message = `${registry} does not give out ${what} to anonymous clients: it is private, or does not exist`;
    return new RegistryError("unauthorized", message, {
      ...options,
      hint: `check the spelling; for a private image, ${loginHint(registry, undefined)}`,
    });
  }
  const who =
    credentials.kind === "password" ? `the user ${JSON.stringify(credentials.username)}` : "the owner of the token";
  return new RegistryError("unauthorized", `${registry} does not give out ${what} to ${who}`, {
    ...options,
    hint: `check the spelling and the rights of the account, or ${loginHint(registry, credentials)}`,
  });
}

function notFound(
  response: Response,
  { what, registry, repository }: Subject,
  options: RegistryErrorOptions,
): RegistryError {
  const diagnostics = options.diagnostics ?? [];
  if (diagnostics.some(({ code }) => code === "NAME_UNKNOWN")) {
    const message = `${registry} has no repository ${repository}`;
    return new RegistryError("not-found", message, { ...options, hint: "check the spelling" });
  }
  const speaksProtocol = diagnostics.length > 0 || response.headers.has("docker-distribution-api-version");
  const hint = speaksProtocol ? "check the spelling" : `check that ${registry} is a container registry`;
  return new RegistryError("not-found", `${registry} does not have ${what}`, { ...options, hint });
}

/** A redirect led to a storage server, which does not want to know us. Its URL was signed for a while: ask anew. */
function atStorage(
  response: Response,
  url: URL,
  { what, registry }: Subject,
  options: RegistryErrorOptions,
): RegistryError {
  const message = `${registry} keeps ${what} at ${url.host}, which answered with status ${response.status}`;
  const failure = response.status === 404 ? "not-found" : response.status === 403 ? "denied" : "protocol";
  return new RegistryError(failure, message, {
    ...options,
    retryable: response.status === 403 || response.status === 401,
  });
}

/** Docker Hub's limit lasts for hours: only a limit with a near end is worth waiting for. */
function limited(response: Response, { registry, credentials }: Subject, options: RegistryErrorOptions): RegistryError {
  const limit = readRateLimit(response.headers);
  const words = describeRateLimit(limit);
  const said = describeDiagnostics(options.diagnostics ?? []);
  const detail = words === undefined ? "" : `: ${words}`;
  const reset = limit.resetAt === undefined ? "" : `, again from ${limit.resetAt.toISOString()}`;
  const quota = limit.remaining === 0 || /pull rate limit/i.test(said ?? "");
  const message = `${registry} gives out no more for now${detail}${reset}${said === undefined ? "" : ` (it says: ${said})`}`;
  const login = credentials === undefined ? "log in for a higher limit, " : "";
  return new RegistryError("rate-limited", message, {
    ...options,
    retryable: limit.retryAfter !== undefined || !quota,
    retryAfter: limit.retryAfter,
    resetAt: limit.resetAt,
    hint: `${login}wait, or name a mirror in GOCKER_REGISTRY_MIRROR`,
  });
}

function isLimit(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ code }) => code === "TOOMANYREQUESTS");
}

function because(diagnostics: readonly Diagnostic[]): string {
  const said = describeDiagnostics(diagnostics);
  return said === undefined ? "" : `: ${said}`;
}
