import { UsageError } from "../util/errors.ts";
import { inBlock, isLoopback, parseHostPort } from "./addresses.ts";

/** Which proxy leads to which host. */
export interface Proxies {
  /** For `http:` URLs. */
  readonly http: string | undefined;
  /** For `https:` URLs. */
  readonly https: string | undefined;
  /** Hosts that are reached without one, as in `NO_PROXY`. */
  readonly except: readonly string[];
}

/**
 * The proxies of the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, small letters first, as curl
 * has it. What is not set there is taken from `configured` (sudo drops the variables).
 *
 * @throws UsageError for a proxy that is none of http and https.
 */
export function readProxies(
  environment: Record<string, string | undefined>,
  configured: Partial<Proxies> = {},
): Proxies {
  const variable = (name: string) => environment[name.toLowerCase()] || environment[name] || undefined;
  const all = variable("ALL_PROXY");
  const except = variable("NO_PROXY");
  return {
    http: checkProxy(variable("HTTP_PROXY") ?? all ?? configured.http, "HTTP_PROXY"),
    https: checkProxy(variable("HTTPS_PROXY") ?? all ?? configured.https, "HTTPS_PROXY"),
    except: except === undefined ? (configured.except ?? []) : except.split(/[\s,]+/).filter((entry) => entry !== ""),
  };
}

/** The proxy for a URL; undefined for none. This machine itself is never reached through one. */
export function proxyFor(url: URL, proxies: Proxies): string | undefined {
  const proxy = url.protocol === "https:" ? proxies.https : proxies.http;
  if (proxy === undefined) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  if (isLoopback(host) || proxies.except.some((entry) => matches(entry, host, port))) return undefined;
  return proxy;
}

function matches(entry: string, host: string, port: number): boolean {
  if (entry === "*") return true;
  if (entry.includes("/") || (entry.match(/:/g)?.length ?? 0) > 1) {
    const bare = /^\[([^\]]+)\]$/.exec(entry)?.[1] ?? entry;
    if (inBlock(host, bare)) return true;
  }
  const named = parseHostPort(entry);
  if (named === undefined || (named.port !== undefined && named.port !== port)) return false;
  const suffix = named.host.replace(/^\*?\./, "");
  return host === suffix || host.endsWith(`.${suffix}`);
}

function checkProxy(text: string | undefined, name: string): string | undefined {
  if (text === undefined) return undefined;
  const address = text.includes("://") ? text : `http://${text}`;
  let scheme: string;
  try {
    scheme = new URL(address).protocol;
  } catch (error) {
    throw new UsageError(`${name} is not the URL of a proxy`, { cause: error, hint: "write http://HOST:PORT" });
  }
  if (scheme === "http:" || scheme === "https:") return address;
  throw new UsageError(`${name} names a proxy of the kind ${scheme.slice(0, -1)}, which gocker does not speak`, {
    hint: "use an http or https proxy, or unset it",
  });
}
