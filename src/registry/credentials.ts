import { UsageError } from "../util/errors.ts";
import { type CredentialFile, credentialFiles } from "./credential-files.ts";
import { programDirectories } from "../util/trusted-program.ts";
import { askHelper } from "./credential-helper.ts";
import { readSmallFile } from "./files.ts";

/** How somebody proves to a registry who they are. */
export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  /** A refresh token of OAuth 2: exchanged for access tokens at the token server. */
  | { readonly kind: "identity-token"; readonly token: string }
  /** Sent as it is. */
  | { readonly kind: "bearer"; readonly token: string };

/** Where credentials are looked for: see {@link findCredentials}. */
export interface CredentialOptions {
  readonly environment?: Record<string, string | undefined>;
  readonly helperDirectories?: readonly string[];
  /** The files themselves, in order, for tests. */
  readonly files?: readonly CredentialFile[];
}

/** A configuration file of Docker or of podman and skopeo, the parts about credentials. */
interface AuthFile {
  readonly auths: Record<string, unknown>;
  readonly credHelpers: Record<string, string>;
  readonly credsStore: string | undefined;
}

/** Docker Hub's key in these files, and what people write instead. */
const hubKeys = ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];

/**
 * Finds the credentials for a repository: in the first file that has any, by its credHelpers, then its credsStore, then
 * its auths. Keys are hosts with or without scheme and version, and in auths also `host/namespace` (podman); the most
 * exact one counts.
 *
 * @param registry as in references, with its port.
 * @returns undefined when there are none: most pulls need none.
 * @throws CredentialHelperError when a helper that is responsible fails; UsageError for a file that is broken.
 */
export async function findCredentials(
  registry: string,
  repository: string,
  options: CredentialOptions = {},
): Promise<Credentials | undefined> {
  const environment = options.environment ?? process.env;
  for (const file of options.files ?? (await credentialFiles(environment))) {
    const content = await readAuthFile(file);
    if (content === undefined) continue;
    const found = await inFile(content, file, registry, repository, options.helperDirectories ?? programDirectories);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function inFile(
  content: AuthFile,
  file: CredentialFile,
  registry: string,
  repository: string,
  directories: readonly string[],
): Promise<Credentials | undefined> {
  if (file.helpers) {
    const own = keysOf(registry).find((key) => Object.hasOwn(content.credHelpers, key));
    const helper = own === undefined ? content.credsStore : content.credHelpers[own];
    const server = registry === "docker.io" ? "https://index.docker.io/v1/" : registry;
    const found = helper === undefined ? undefined : await askHelper(helper, own ?? server, directories);
    if (found !== undefined) return found;
  }
  const entries = new Map(Object.entries(content.auths).map(([key, value]) => [normalizeKey(key), value]));
  for (const key of authKeys(registry, repository)) {
    const credentials = entries.has(key) ? readEntry(entries.get(key), key, file.path) : undefined;
    if (credentials !== undefined) return credentials;
  }
  return undefined;
}

/** Reads one entry of auths; undefined for an empty one, which says that a helper has the secret. */
function readEntry(value: unknown, key: string, path: string): Credentials | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entry = value as Record<string, unknown>;
  const text = (name: string) => (typeof entry[name] === "string" && entry[name] !== "" ? entry[name] : undefined);
  const identityToken = text("identitytoken");
  if (identityToken !== undefined) return { kind: "identity-token", token: identityToken };
  const bearer = text("registrytoken");
  if (bearer !== undefined) return { kind: "bearer", token: bearer };
  const auth = text("auth");
  if (auth !== undefined) return decodeAuth(auth, key, path);
  const [username, password] = [text("username"), text("password")];
  return username === undefined || password === undefined ? undefined : { kind: "password", username, password };
}

/** `auth` is base64 of `user:password`; Docker once padded it with NULs. */
function decodeAuth(auth: string, key: string, path: string): Credentials {
  let decoded: string | undefined;
  try {
    decoded = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(auth)).replace(/\0+$/, "");
  } catch {
    // Told below, without the secret.
  }
  const colon = decoded?.indexOf(":") ?? -1;
  if (decoded === undefined || colon < 1) {
    throw new UsageError(`${path}: auth of ${JSON.stringify(key)} is not base64 of USER:PASSWORD`);
  }
  const [username, password] = [decoded.slice(0, colon), decoded.slice(colon + 1)];
  // Azure writes this user for what is an identity token.
  if (username === "<token>") return { kind: "identity-token", token: password };
  return { kind: "password", username, password };
}

async function readAuthFile(file: CredentialFile): Promise<AuthFile | undefined> {
  const text = await readSmallFile(file.path, file.owner);
  if (text === undefined || text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which holds secrets.
    throw new UsageError(`${file.path} is not JSON`, { hint: "log in again, or repair the file" });
  }
  const object = record(value);
  const helpers = Object.entries(record(object["credHelpers"])).flatMap(([key, name]) =>
    typeof name === "string" && name !== "" ? [[normalizeKey(key), name] as const] : [],
  );
  const store = object["credsStore"];
  return {
    auths: record(object["auths"]),
    credHelpers: Object.fromEntries(helpers),
    credsStore: typeof store === "string" && store !== "" ? store : undefined,
  };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** The most exact key first: every namespace of the repository, then the host. */
function authKeys(registry: string, repository: string): string[] {
  const parts = repository.split("/");
  const namespaces = parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
  return [...keysOf(registry).flatMap((key) => namespaces.map((space) => `${key}/${space}`)), ...keysOf(registry)];
}

function keysOf(registry: string): string[] {
  return registry === "docker.io" ? hubKeys.map(normalizeKey) : [normalizeKey(registry)];
}

/** `https://host/v1/` and `host` are the same key. */
function normalizeKey(key: string): string {
  const bare = key
    .replace(/^https?:\/\//i, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "");
  const slash = bare.indexOf("/");
  return slash < 0 ? bare.toLowerCase() : bare.slice(0, slash).toLowerCase() + bare.slice(slash);
}
