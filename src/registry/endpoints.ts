import { isLoopback, parseHostPort } from "./addresses.ts";
import { hasCertificates } from "./certificates.ts";
import { type RegistriesConfig, registrySettings } from "./config.ts";

/** One way to speak to a server: `https://registry-1.docker.io`, with or without a check of its certificate. */
export interface Origin {
  readonly url: string;
  readonly verify: boolean;
}

/** A server that may have a repository: the registry itself or a mirror of it. */
export interface Endpoint {
  /** What errors call it: the registry's name in references, or the mirror's host. */
  readonly name: string;
  /** Tried in this order until one answers; the rest is for registries of which the scheme is not known. */
  readonly origins: readonly Origin[];
  /** Stands before the repository, without slashes at its ends; empty for none. */
  readonly prefix: string;
  /** Somebody has said that it needs no checks: neither certificates nor HTTPS. */
  readonly insecure: boolean;
  /** Configured PEM files of authorities. */
  readonly authorities: readonly string[];
  /** The registry that it mirrors. */
  readonly mirrorOf: string | undefined;
}

/** What decides about endpoints beside the reference. */
export interface EndpointOptions {
  readonly config: RegistriesConfig;
  /** Registries named insecure on the command line: `HOST` or `HOST:PORT`. */
  readonly insecure?: readonly string[] | undefined;
  readonly certificateDirectories?: readonly string[] | undefined;
}

const hubHost = "registry-1.docker.io";

/** The servers to ask for images of a registry, mirrors first. */
export async function endpointsOf(domain: string, options: EndpointOptions): Promise<Endpoint[]> {
  const { mirrors } = registrySettings(options.config, domain);
  const ways = await Promise.all(mirrors.map((mirror) => mirrorEndpoint(mirror, domain, options)));
  return [...ways, await ownEndpoint(domain, options)];
}

async function ownEndpoint(domain: string, options: EndpointOptions): Promise<Endpoint> {
  const host = domain === "docker.io" ? hubHost : domain;
  return await endpoint(domain, host, undefined, "", undefined, options);
}

async function mirrorEndpoint(mirror: string, domain: string, options: EndpointOptions): Promise<Endpoint> {
  const scheme = /^(https?):\/\//.exec(mirror)?.[1];
  const url = new URL(scheme === undefined ? `https://${mirror}` : mirror);
  // `/v2` is the protocol's own and often written by mistake.
  const prefix = url.pathname.replace(/^\/(v2(?=\/|$))?\/*|\/+$/g, "");
  return await endpoint(url.host, url.host, scheme, prefix, domain, options);
}

async function endpoint(
  name: string,
  host: string,
  scheme: string | undefined,
  prefix: string,
  mirrorOf: string | undefined,
  options: EndpointOptions,
): Promise<Endpoint> {
  const settings = registrySettings(options.config, name);
  const named = (options.insecure ?? []).some((entry) => isSameRegistry(entry, name));
  const insecure = settings.insecure || named;
  const loopback = isLoopback(parseHostPort(host)?.host ?? host);
  const trusted =
    settings.authorities.length > 0 || (loopback && (await hasCertificates(name, options.certificateDirectories)));
  return {
    name,
    origins: originsOf(host, scheme, { insecure, loopback, trusted }),
    prefix,
    insecure,
    authorities: settings.authorities,
    mirrorOf,
  };
}

/**
 * A registry on this machine speaks plain HTTP unless somebody has put certificates for it in place; an insecure one
 * may speak anything. Everybody else speaks HTTPS with a certificate that is checked.
 */
function originsOf(
  host: string,
  scheme: string | undefined,
  { insecure, loopback, trusted }: { insecure: boolean; loopback: boolean; trusted: boolean },
): Origin[] {
  const plain = { url: `http://${host}`, verify: true };
  const unchecked = { url: `https://${host}`, verify: false };
  if (scheme === "http") return [plain];
  if (scheme === undefined && loopback && !trusted) return [plain, unchecked];
  if (insecure) return scheme === undefined ? [unchecked, plain] : [unchecked];
  return [{ url: `https://${host}`, verify: true }];
}

function isSameRegistry(entry: string, name: string): boolean {
  const [one, other] = [parseHostPort(entry.toLowerCase()), parseHostPort(name.toLowerCase())];
  return one !== undefined && one.host === other?.host && (one.port === undefined || one.port === other.port);
}
