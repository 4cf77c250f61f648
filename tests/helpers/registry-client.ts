import { RegistryClient, type RegistryClientOptions } from "../../src/registry/client.ts";
import { parseRegistriesConfig } from "../../src/registry/config.ts";
import type { Credentials } from "../../src/registry/credentials.ts";
import { RegistryError } from "../../src/registry/errors.ts";
import { defaultRetryPolicy } from "../../src/registry/retry.ts";
import { temporaryCredentials } from "./temporary-credentials.ts";

/** What a {@link TestClient} is made of, beside the client's own options. */
export interface TestClientOptions extends Omit<Partial<RegistryClientOptions>, "config" | "credentials"> {
  /** The value of `registries` in the configuration. */
  readonly registries?: object;
  readonly proxies?: object;
  /** By registry. Nobody else's are looked at. */
  readonly login?: Record<string, Credentials>;
}

/** A client that sees nothing of this machine's settings, waits briefly, and remembers what it logged. */
export interface TestClient extends Disposable {
  readonly client: RegistryClient;
  readonly log: string[];
}

export function testClient({
  registries = {},
  proxies = {},
  login = {},
  ...options
}: TestClientOptions = {}): TestClient {
  const log: string[] = [];
  const credentials = temporaryCredentials(login);
  const client = new RegistryClient({
    environment: {},
    certificateDirectories: [],
    retry: { ...defaultRetryPolicy, firstDelay: 1, longestDelay: 5 },
    log: (line) => log.push(line),
    ...options,
    config: parseRegistriesConfig(JSON.stringify({ registries, proxies }), "test"),
    credentials: { files: [{ path: credentials.path, helpers: false }] },
  });
  return {
    client,
    log,
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      credentials[Symbol.dispose]();
    },
  };
}

/** The RegistryError that a promise must end in. */
export async function registryFailure(promise: Promise<unknown>): Promise<RegistryError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  throw new Error("it succeeded");
}
