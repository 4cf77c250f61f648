import { GockerError, type GockerErrorOptions } from "../util/errors.ts";

/** One entry of `errors` in a registry's answer. Distribution specification, "Error Codes". */
export interface Diagnostic {
  readonly code: string;
  readonly message: string;
}

/** Why a registry did not give what was asked for; callers decide by it. */
export type RegistryFailure =
  | "unauthorized"
  | "denied"
  | "not-found"
  | "rate-limited"
  | "server-error"
  | "refused-connection"
  | "unreachable"
  | "unknown-host"
  | "untrusted"
  | "no-tls"
  | "timeout"
  | "broken-connection"
  | "proxy"
  | "protocol";

/** Where and how a request failed: see {@link RegistryError}. */
export interface RegistryErrorOptions extends GockerErrorOptions {
  readonly registry: string;
  readonly repository?: string | undefined;
  readonly status?: number | undefined;
  readonly diagnostics?: readonly Diagnostic[] | undefined;
  readonly url?: string | URL | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable?: boolean | undefined;
  /** Milliseconds to wait before the next try, as the registry wished. */
  readonly retryAfter?: number | undefined;
  /** When the registry's limit ends. */
  readonly resetAt?: Date | undefined;
}

/** A registry, or the way to it, failed. */
export class RegistryError extends GockerError {
  override readonly name = "RegistryError";
  readonly failure: RegistryFailure;
  /** As in the reference: `docker.io`, or a mirror's host. */
  readonly registry: string;
  readonly repository: string | undefined;
  readonly status: number | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Without query, user and password: signed URLs are secrets. */
  readonly url: string | undefined;
  readonly retryable: boolean;
  readonly retryAfter: number | undefined;
  readonly resetAt: Date | undefined;

  constructor(failure: RegistryFailure, message: string, options: RegistryErrorOptions) {
    super(`REGISTRY_${failure.toUpperCase().replaceAll("-", "_")}`, message, options);
    this.failure = failure;
    this.registry = options.registry;
    this.repository = options.repository;
    this.status = options.status;
    this.diagnostics = options.diagnostics ?? [];
    this.url = options.url === undefined ? undefined : redactUrl(options.url);
    this.retryable = options.retryable ?? false;
    this.retryAfter = options.retryAfter;
    this.resetAt = options.resetAt;
  }

  /** The same failure in other words. */
  with(changes: { message?: string; hint?: string | undefined; cause?: unknown }): RegistryError {
    const { registry, repository, status, diagnostics, url, retryable, retryAfter, resetAt } = this;
    const fields = { registry, repository, status, diagnostics, url, retryable, retryAfter, resetAt };
    const words = { hint: changes.hint ?? this.hint, cause: changes.cause ?? this.cause };
    return new RegistryError(this.failure, changes.message ?? this.message, { ...fields, ...words });
  }
}

/** A URL that may be shown: no query (signatures), no user and password, no fragment. */
export function redactUrl(url: string | URL): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "(not a URL)";
  }
}
