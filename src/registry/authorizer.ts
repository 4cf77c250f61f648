import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { RegistryError } from "./errors.ts";
import { type AccessToken, basicAuthorization, fetchToken, loginHint } from "./token.ts";
import type { Transport } from "./transport.ts";

/** Whose doors an {@link Authorizer} opens. */
export interface AuthorizerOptions {
  /** For errors. */
  readonly registry: string;
  readonly transport: Transport;
  /** Asked once for each repository, and only when the registry wants to know. */
  readonly credentials: (repository: string) => Promise<Credentials | undefined>;
  readonly insecure: boolean;
}

/** A token is renewed before it ends: it must still be good when it arrives. */
const margin = 5_000;

/**
 * Keeps what one registry wants to see in Authorization headers. Nothing is sent before the registry has asked; from
 * then on tokens are kept by scope, shared between requests that run at once, and renewed in time.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #tokens = new Map<string, Promise<AccessToken>>();
  readonly #credentials = new Map<string, Promise<Credentials | undefined>>();
  /** How the registry asked the last time. */
  #challenge: Challenge | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /**
   * The header for a request about a repository, as far as the registry has asked for one already.
   *
   * @returns undefined before the first challenge.
   */
  async authorization(repository: string): Promise<string | undefined> {
    if (this.#challenge === undefined) return undefined;
    return await this.#answer(this.#challenge, [pullScope(repository)], repository, undefined);
  }

  /**
   * Answers a 401: the header to try again with.
   *
   * @param sent the header that was refused. A token is never sent twice to the one who refused it.
   * @returns undefined when there is nothing better than what was sent.
   * @throws RegistryError when the challenge cannot be answered.
   */
  async answer(response: Response, repository: string, sent: string | undefined): Promise<string | undefined> {
    const { registry } = this.#options;
    const challenges = parseChallenges(response.headers.get("www-authenticate") ?? "");
    const challenge =
      challenges.find(({ scheme }) => scheme === "bearer") ?? challenges.find(({ scheme }) => scheme === "basic");
    if (challenge === undefined) {
      const schemes = challenges.map(({ scheme }) => scheme).join(", ");
      const what = schemes === "" ? "without saying how" : `by ${schemes}, which gocker does not speak`;
      throw new RegistryError("unauthorized", `${registry} wants to know who is asking, ${what}`, {
        registry,
        repository,
        status: response.status,
      });
    }
    this.#challenge = challenge;
    const scope = challenge.parameters["scope"];
    const scopes = scope ? scope.split(" ").filter((entry) => entry !== "") : [pullScope(repository)];
    const header = await this.#answer(challenge, scopes, repository, sent);
    return header === sent ? undefined : header;
  }

  /** Whether credentials for the repository are known: decides what an error says. */
  async credentials(repository: string): Promise<Credentials | undefined> {
    const known = this.#credentials.get(repository) ?? this.#options.credentials(repository);
    this.#credentials.set(repository, known);
    return await known;
  }

  async #answer(
    challenge: Challenge,
    scopes: readonly string[],
    repository: string,
    refused: string | undefined,
  ): Promise<string | undefined> {
    const credentials = await this.credentials(repository);
    if (credentials?.kind === "bearer") return `Bearer ${credentials.token}`;
    if (challenge.scheme === "basic") return this.#basic(credentials, repository);
    const key = JSON.stringify([challenge.parameters["realm"], challenge.parameters["service"], scopes, repository]);
    return `Bearer ${await this.#token(key, { challenge, scopes, repository, credentials }, refused)}`;
  }

  #basic(credentials: Credentials | undefined, repository: string): string {
    if (credentials?.kind === "password") return basicAuthorization(credentials);
    const { registry } = this.#options;
    throw new RegistryError("unauthorized", `${registry} wants a user and a password for ${repository}`, {
      registry,
      repository,
      status: 401,
      hint: loginHint(registry, undefined),
    });
  }

  async #token(
    key: string,
    wanted: {
      challenge: Challenge;
      scopes: readonly string[];
      repository: string;
      credentials: Credentials | undefined;
    },
    refused: string | undefined,
  ): Promise<string> {
    const known = this.#tokens.get(key);
    if (known !== undefined) {
      // One that failed has told its reason to the request that asked for it; this one asks anew.
      const { token, endsAt } = await known.catch(() => ({ token: undefined, endsAt: 0 }));
      const good = token !== undefined && performance.now() < endsAt - margin && `Bearer ${token}` !== refused;
      if (good) return token;
    }
    // Another request may have begun to renew it while this one waited.
    const current = this.#tokens.get(key);
    if (current !== undefined && current !== known) return (await current).token;
    const { registry, transport, insecure } = this.#options;
    const made = fetchToken(transport, { ...wanted, registry, insecure });
    this.#tokens.set(key, made);
    return (await made).token;
  }
}

function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}
