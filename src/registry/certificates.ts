import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../util/errors.ts";
import { readSmallFile } from "./files.ts";

/** What a TLS connection is made with, beside the defaults. PEM texts. */
export interface TlsMaterial {
  /** All trusted authorities; absent: Bun's own (Mozilla's and the system's). */
  readonly ca?: string[];
  /** A client certificate and its key. */
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Where certificates for one registry lie, in directories named after it (`registry.example.com:5000/`), as Docker and
 * podman have them: `*.crt` are authorities, `NAME.cert` with `NAME.key` is a client certificate.
 */
export const certificateDirectories = ["/etc/gocker/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"];

/**
 * Bun reads `/etc/ssl/cert.pem`, `/etc/ssl/certs` (by hash), `SSL_CERT_FILE` and `NODE_EXTRA_CA_CERTS` itself. Fedora
 * and its kin keep the system's authorities in this file alone.
 */
const systemBundle = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";

/** Where to look: see {@link tlsMaterial}. */
export interface TrustOptions {
  readonly directories?: readonly string[];
  readonly environment?: Record<string, string | undefined>;
}

/**
 * Gathers what a connection to a registry is made with.
 *
 * @param name the registry with its port, as in references; also the name of its directories.
 * @param authorities PEM files of the configuration. They must exist.
 * @throws UsageError when a configured file is missing or holds no certificate.
 */
export async function tlsMaterial(
  name: string,
  authorities: readonly string[],
  { directories = certificateDirectories, environment = process.env }: TrustOptions = {},
): Promise<TlsMaterial> {
  const configured = await Promise.all(authorities.map(readAuthority));
  const own = await Promise.all(directories.map((directory) => readDirectory(join(directory, name))));
  const system = await systemAuthorities(environment);
  const client = own.find(({ cert }) => cert !== undefined);
  const extra = [...configured, ...own.flatMap(({ ca }) => ca), ...system];
  return {
    ...(extra.length > 0 && { ca: [...(await defaultAuthorities()), ...extra] }),
    ...(client?.cert !== undefined && client.key !== undefined && { cert: client.cert, key: client.key }),
  };
}

/** Whether somebody has put certificates for this registry in place: then it speaks TLS, loopback or not. */
export async function hasCertificates(
  name: string,
  directories: readonly string[] = certificateDirectories,
): Promise<boolean> {
  const found = await Promise.all(directories.map((directory) => readDirectory(join(directory, name))));
  return found.some(({ ca, cert }) => ca.length > 0 || cert !== undefined);
}

interface DirectoryContent {
  ca: string[];
  cert: string | undefined;
  key: string | undefined;
}

async function readDirectory(directory: string): Promise<DirectoryContent> {
  const names = await listDirectory(directory);
  const read = async (name: string) => (await readSmallFile(join(directory, name))) ?? "";
  const ca = await Promise.all(names.filter((name) => name.endsWith(".crt")).map(read));
  const client = names.find((name) => name.endsWith(".cert") && names.includes(name.replace(/cert$/, "key")));
  return {
    ca: ca.filter(isCertificate),
    cert: client === undefined ? undefined : await read(client),
    key: client === undefined ? undefined : await read(client.replace(/cert$/, "key")),
  };
}

async function readAuthority(path: string): Promise<string> {
  const text = await readSmallFile(path);
  if (text !== undefined && isCertificate(text)) return text;
  const problem = text === undefined ? "cannot be read" : "holds no certificate (PEM)";
  throw new UsageError(`the configured authority ${path} ${problem}`);
}

async function systemAuthorities(environment: Record<string, string | undefined>): Promise<string[]> {
  const bundle = environment["SSL_CERT_FILE"] === undefined ? await readSmallFile(systemBundle) : undefined;
  const texts = bundle === undefined ? [] : [bundle];
  // Bun finds certificates in SSL_CERT_DIR by their hashed names only; others write them there under any name.
  for (const directory of (environment["SSL_CERT_DIR"] ?? "").split(":").filter((entry) => entry !== "")) {
    for (const name of await listDirectory(directory)) texts.push((await readSmallFile(join(directory, name))) ?? "");
  }
  return texts.filter(isCertificate);
}

/** A list of authorities replaces Bun's own, so it must hold them too. Costs 10 ms: only who adds some pays. */
async function defaultAuthorities(): Promise<string[]> {
  const { getCACertificates } = await import("node:tls");
  return getCACertificates("default");
}

async function listDirectory(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return [];
    throw error;
  }
}

function isCertificate(text: string): boolean {
  return text.includes("-----BEGIN CERTIFICATE-----") || text.includes("-----BEGIN TRUSTED CERTIFICATE-----");
}
