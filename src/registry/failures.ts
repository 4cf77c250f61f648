import { RegistryError, type RegistryErrorOptions, redactUrl } from "./errors.ts";

/** What was being done when it failed, for the error. */
export interface FailureContext {
  readonly registry: string;
  readonly repository: string | undefined;
  readonly url: URL;
  /** The proxy that the request went through. */
  readonly proxy: string | undefined;
}

const trustHints: Record<string, string> = {
  CERT_HAS_EXPIRED: "its owner must renew the certificate; a wrong clock on this machine looks the same",
  CERT_NOT_YET_VALID: "check the clock of this machine",
  ERR_TLS_CERT_ALTNAME_INVALID: "use the name that the certificate is for",
};

/** OpenSSL's names of what can be wrong with a certificate, as Node and Bun give them. */
const trustCodes =
  /^(?:UNABLE_TO_|CERT_|CRL_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH|ERR_TLS_CERT|ERROR_IN_CERT)/;

/** Turns what `fetch` throws into an error that says what could not be reached, why, and what to do. */
export function connectionFailure(error: unknown, context: FailureContext): RegistryError {
  const { code = "", message = String(error) } = error as { code?: string | number; message?: string };
  const name = String(code);
  const { registry, repository, url, proxy } = context;
  const options: RegistryErrorOptions = { registry, repository, url, cause: error };
  const host = url.host;
  const peer = proxy === undefined ? host : `the proxy ${new URL(redactUrl(proxy)).host}`;
  const proxyHint = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or proxies in gocker's configuration";

  switch (name) {
    case "ENOTFOUND":
    case "EAI_NONAME":
    case "EAI_NODATA":
    case "ENODATA":
      return new RegistryError("unknown-host", `cannot reach ${registry}: there is no host ${peer}`, {
        ...options,
        hint: proxy === undefined ? "check the spelling of the registry, the network and its name server" : proxyHint,
      });
    case "EAI_AGAIN":
    case "ETIMEOUT":
    case "ESERVFAIL":
    case "EREFUSED":
    case "ECONNREFUSED_DNS":
      return new RegistryError(
        "unknown-host",
        `cannot reach ${registry}: the name server does not answer for ${peer}`,
        {
          ...options,
          retryable: true,
          hint: "check the network and /etc/resolv.conf",
        },
      );
    case "ECONNREFUSED":
      return new RegistryError("refused-connection", `cannot reach ${registry}: ${peer} refuses connections`, {
        ...options,
        retryable: true,
        hint: proxy === undefined ? "check the port, and that the registry is running" : proxyHint,
      });
    case "ENETUNREACH":
    case "EHOSTUNREACH":
    case "ENETDOWN":
    case "EADDRNOTAVAIL":
      return new RegistryError("unreachable", `cannot reach ${registry}: there is no route to ${peer}`, {
        ...options,
        retryable: true,
        hint: "check the network; behind a proxy, set HTTPS_PROXY",
      });
    case "ETIMEDOUT":
    case "ConnectionTimeout":
      return timeout(context, "it does not answer", error);
    case "EPROTO":
      return new RegistryError("no-tls", `cannot reach ${registry}: ${host} does not speak TLS`, {
        ...options,
        hint: `if it is meant to speak plain HTTP, name it with --insecure-registry ${registry}`,
      });
    case "ERR_PROXY_TUNNEL": {
      const { status } = error as { status?: number };
      return new RegistryError("proxy", `cannot reach ${registry}: ${peer} refuses to lead there (status ${status})`, {
        ...options,
        status,
        retryable: status !== undefined && status >= 500,
        hint: status === 407 ? "put its user and password into the proxy's URL" : proxyHint,
      });
    }
  }
  if (trustCodes.test(name)) {
    return new RegistryError("untrusted", `the certificate of ${host} cannot be trusted: ${message} (${name})`, {
      ...options,
      hint:
        trustHints[name] ??
        `put its authority into /etc/gocker/certs.d/${registry}/ca.crt, or name it with --insecure-registry ${registry}`,
    });
  }
  if (/^(?:ECONNRESET|ECONNABORTED|EPIPE|ConnectionClosed|UND_ERR_SOCKET)$/.test(name)) {
    return new RegistryError("broken-connection", `the connection to ${host} broke off`, {
      ...options,
      retryable: true,
    });
  }
  return new RegistryError("protocol", `the request to ${host} failed: ${message}`, options);
}

/** The error for a server that takes too long. */
export function timeout(context: FailureContext, what: string, cause?: unknown): RegistryError {
  const { registry, repository, url } = context;
  return new RegistryError("timeout", `gave up on ${url.host}: ${what}`, {
    registry,
    repository,
    url,
    cause,
    retryable: true,
    hint: "check the network; behind a proxy, set HTTPS_PROXY",
  });
}
