import type { Descriptor } from "../oci/descriptor.ts";
import { formatReference, type Reference, withVersion } from "../oci/reference.ts";
import { GockerError } from "../util/errors.ts";
import { Authorizer } from "./authorizer.ts";
import { type OpenBlob, openBlob, type OpenBlobOptions } from "./blobs.ts";
import { tlsMaterial } from "./certificates.ts";
import { type RegistriesConfig, registrySettings } from "./config.ts";
import { type CredentialOptions, findCredentials } from "./credentials.ts";
import { EndpointClient } from "./endpoint-client.ts";
import { type Endpoint, endpointsOf } from "./endpoints.ts";
import { RegistryError, type RegistryFailure } from "./errors.ts";
import { type FetchedManifest, fetchManifest, headManifest, type ManifestHead } from "./manifests.ts";
import { readProxies } from "./proxies.ts";
import type { RetryPolicy } from "./retry.ts";
import { isReferrerTag, listTags, nearTags } from "./tags.ts";
import { type Timeouts, Transport } from "./transport.ts";

/** What a {@link RegistryClient} works with; all of it may be left out but the configuration. */
export interface RegistryClientOptions {
  /** See `loadRegistriesConfig`. */
  readonly config: RegistriesConfig;
  /** Registries of `--insecure-registry`: `HOST` or `HOST:PORT`. */
  readonly insecure?: readonly string[] | undefined;
  /** Proxies and credentials are looked for here. Default: the process's own. */
  readonly environment?: Record<string, string | undefined> | undefined;
  readonly credentials?: CredentialOptions | undefined;
  /** See `certificateDirectories`. */
  readonly certificateDirectories?: readonly string[] | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly timeouts?: Timeouts | undefined;
  /** Takes lines for people who look for a fault (`--debug`). No secrets are in them. */
  readonly log?: ((line: string) => void) | undefined;
}

/** What a reference without tag and digest stands for. */
export interface ResolvedTag {
  readonly reference: Reference;
  /** The tag that was taken because the repository has no `latest`: tell the user. */
  readonly substituted?: string;
}

interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Failures after which nothing is known of what the registry has. */
const unreached: ReadonlySet<RegistryFailure> = new Set([
  "proxy",
  "refused-connection",
  "timeout",
  "unknown-host",
  "unreachable",
]);

/** Enough tags for a hint; libraries have many thousands. */
const hintPages = 3;

/**
 * Gets images from registries by the distribution protocol: mirrors first, tokens and logins as each registry wants
 * them, tries again when that may help. Errors are RegistryError with a sentence for the user. Dispose of it to close
 * its connections.
 */
export class RegistryClient implements Disposable {
  readonly #options: RegistryClientOptions;
  readonly #transport: Transport;
  readonly #clients = new Map<string, Promise<EndpointClient[]>>();
  readonly #endpoints = new Map<string, Endpoint>();
  /** Manifests that {@link resolveTag} had to fetch: the fetch that follows it is free. */
  readonly #fetched = new Map<string, FetchedManifest>();

  /** @throws UsageError when a proxy variable is of no use. */
  constructor(options: RegistryClientOptions) {
    this.#options = options;
    this.#transport = new Transport({
      proxies: readProxies(options.environment ?? process.env, options.config.proxies),
      tls: (host) => this.#tls(host),
      timeouts: options.timeouts,
    });
  }

  /**
   * Fetches the manifest or index of a reference, its digest checked. A missing tag means `latest` here; see
   * {@link resolveTag} for repositories that have none.
   *
   * @throws RegistryError; VerificationError; InvalidDocumentError for what is no manifest (schema 1 too).
   */
  async fetchManifest(reference: Reference, { signal }: RequestOptions = {}): Promise<FetchedManifest> {
    const version = versionOf(reference);
    const key = formatReference(reference);
    const known = this.#fetched.get(key);
    if (known !== undefined) {
      this.#fetched.delete(key);
      return known;
    }
    try {
      return await this.#fetch(reference, version, signal);
    } catch (error) {
      if (!isNotFound(error) || reference.digest !== undefined) throw error;
      throw await this.#withNearTags(error, reference, version, signal);
    }
  }

  /**
   * Asks for the digest of a reference's manifest alone, which registries do not count as a pull.
   *
   * @returns undefined when the registry does not say it.
   */
  async headManifest(reference: Reference, { signal }: RequestOptions = {}): Promise<ManifestHead | undefined> {
    const version = versionOf(reference);
    return await this.#atEach(reference, (client) => headManifest(client, reference.repository, version, signal));
  }

  /** The tags of a repository in the registry's order. */
  async listTags(reference: Reference, { signal }: RequestOptions = {}): Promise<string[]> {
    return await this.#atEach(reference, (client) => listTags(client, reference.repository, { signal }));
  }

  /**
   * What to pull for a reference: itself when it has a tag or digest; else `latest`; else, in a repository without it,
   * the last tag of its listing (tags of signatures and the like are no images).
   */
  async resolveTag(reference: Reference, { signal }: RequestOptions = {}): Promise<ResolvedTag> {
    if (reference.tag !== undefined || reference.digest !== undefined) return { reference };
    const latest = withVersion(reference, { tag: "latest" });
    try {
      this.#fetched.set(formatReference(latest), await this.#fetch(latest, "latest", signal));
      return { reference: latest };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const tags = await this.listTags(reference, { signal }).catch((listing: unknown) => {
        throw moreExact(error, listing);
      });
      const last = tags.findLast((tag) => !isReferrerTag(tag));
      if (last === undefined) throw error;
      return { reference: withVersion(reference, { tag: last }), substituted: last };
    }
  }

  /**
   * Opens a blob of the reference's repository, from an offset where the server can. Each call asks the registry anew,
   * so a broken stream is resumed by calling it again.
   */
  async openBlob(reference: Reference, descriptor: Descriptor, options: OpenBlobOptions = {}): Promise<OpenBlob> {
    return await this.#atEach(reference, (client) => openBlob(client, reference.repository, descriptor, options));
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }

  async #fetch(reference: Reference, version: string, signal: AbortSignal | undefined): Promise<FetchedManifest> {
    return await this.#atEach(reference, (client) => fetchManifest(client, reference.repository, version, signal));
  }

  /**
   * Asks the mirrors, then the registry. A mirror that fails in whatever way is passed over, and told of at the end. In
   * a closed network, where the registry cannot be reached, it is a mirror that knows what does not exist.
   */
  async #atEach<Result>(reference: Reference, ask: (client: EndpointClient) => Promise<Result>): Promise<Result> {
    const failures: string[] = [];
    let missing: RegistryError | undefined;
    for (const client of await this.#clientsOf(reference.domain)) {
      try {
        return await ask(client);
      } catch (error) {
        if (!(error instanceof GockerError)) throw error;
        if (client.endpoint.mirrorOf === undefined) {
          if (missing === undefined || !isUnreached(error)) throw withMirrors(error, failures);
          throw missing.with({ message: `${missing.message} (${error.message})` });
        }
        if (isNotFound(error)) missing ??= error;
        failures.push(`mirror ${client.endpoint.name}: ${error.message}`);
        this.#options.log?.(`the mirror ${client.endpoint.name} is passed over: ${error.message}`);
      }
    }
    throw new Error("a registry is always the last of its endpoints");
  }

  #clientsOf(domain: string): Promise<EndpointClient[]> {
    const known = this.#clients.get(domain) ?? this.#makeClients(domain);
    this.#clients.set(domain, known);
    return known;
  }

  async #makeClients(domain: string): Promise<EndpointClient[]> {
    const { log = () => {}, retry } = this.#options;
    const endpoints = await endpointsOf(domain, this.#options);
    return endpoints.map((endpoint) => {
      for (const { url } of endpoint.origins) this.#endpoints.set(new URL(url).host, endpoint);
      const transport = this.#transport;
      const { environment } = this.#options;
      const where = { ...(environment && { environment }), ...this.#options.credentials };
      const credentials = (repository: string) => findCredentials(endpoint.name, repository, where);
      const authorizer = new Authorizer({
        registry: endpoint.name,
        transport,
        credentials,
        insecure: endpoint.insecure,
      });
      return new EndpointClient({ endpoint, transport, authorizer, retry, log });
    });
  }

  /**
   * Certificates for a host: under the name that references call the registry by, or the host's own. A registry's
   * token server and storage are trusted by the same configured authorities as itself.
   */
  async #tls(host: string) {
    const { config, certificateDirectories, environment } = this.#options;
    const name = this.#endpoints.get(host)?.name ?? host;
    const all = [...this.#endpoints.values()].flatMap(({ authorities }) => authorities);
    const authorities = new Set([...registrySettings(config, name).authorities, ...all]);
    return await tlsMaterial(name, [...authorities], {
      ...(certificateDirectories && { directories: certificateDirectories }),
      ...(environment && { environment }),
    });
  }

  async #withNearTags(
    error: RegistryError,
    reference: Reference,
    wanted: string,
    signal: AbortSignal | undefined,
  ): Promise<RegistryError> {
    let tags: string[];
    try {
      tags = await this.#atEach(reference, (client) =>
        listTags(client, reference.repository, { signal, mostPages: hintPages }),
      );
    } catch (listing) {
      return moreExact(error, listing);
    }
    const near = nearTags(wanted, tags);
    const some = near.length > 0 ? near : tags.filter((tag) => !isReferrerTag(tag)).slice(-5);
    if (some.length === 0) return error;
    return error.with({ hint: near.length > 0 ? `did you mean ${some.join(", ")}?` : `it has ${some.join(", ")}` });
  }
}

function versionOf({ tag = "latest", digest }: Reference): string {
  return digest ?? tag;
}

function isNotFound(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.failure === "not-found";
}

function isUnreached(error: GockerError): boolean {
  return error instanceof RegistryError && unreached.has(error.failure);
}

/**
 * Without a listing there is no hint, and the first answer counts, unless the listing says that the whole repository is
 * missing: many registries say of its manifests only that they are.
 */
function moreExact(error: RegistryError, listing: unknown): RegistryError {
  const isAboutRepository = isNotFound(listing) && listing.diagnostics.some(({ code }) => code === "NAME_UNKNOWN");
  return isAboutRepository ? listing : error;
}

/** In a closed network the mirror's answer is the one that the user needs. */
function withMirrors(error: GockerError, failures: readonly string[]): GockerError {
  if (failures.length === 0 || !(error instanceof RegistryError)) return error;
  return error.with({ message: `${error.message} (before it, ${failures.join("; ")})` });
}
