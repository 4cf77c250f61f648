import { UsageError } from "../util/errors.ts";
import { parseHostPort } from "./addresses.ts";
import { readSmallFile } from "./files.ts";
import type { Proxies } from "./proxies.ts";

/** What is configured for one registry. */
export interface RegistrySettings {
  /** Where images of it are looked for first, in this order: URLs, or hosts with an optional path. */
  readonly mirrors: readonly string[];
  /** Certificates are not checked, and plain HTTP is spoken where HTTPS is not. */
  readonly insecure: boolean;
  /** PEM files of authorities that are trusted for this registry beside the system's. */
  readonly authorities: readonly string[];
}

/** The registries of gocker's configuration file and of the variables beside it. */
export interface RegistriesConfig {
  /** By the registry's name as it stands in references, with its port; `*.example.com` is every host below it. */
  readonly registries: ReadonlyMap<string, RegistrySettings>;
  readonly proxies: Partial<Proxies>;
}

/** Read when `GOCKER_CONFIG` names no other file. */
const defaultConfigPath = "/etc/gocker/config.json";

const noSettings: RegistrySettings = { mirrors: [], insecure: false, authorities: [] };

/**
 * Reads gocker's configuration: one JSON file, `/etc/gocker/config.json` or the one that `GOCKER_CONFIG` names.
 *
 *     {
 *       "registries": {
 *         "docker.io": { "mirrors": ["https://mirror.example.com", "harbor.example.com/hub"] },
 *         "registry.example.com:5000": { "insecure": true },
 *         "*.corp.example.com": { "ca": ["/etc/ssl/corp.pem"] }
 *       },
 *       "proxies": { "http-proxy": "http://proxy:3128", "https-proxy": "http://proxy:3128", "no-proxy": "10.0.0.0/8" }
 *     }
 *
 * A mirror's path stands before the repository. `GOCKER_REGISTRY_MIRROR` (several are parted by commas) comes before
 * docker.io's configured mirrors. The file may be missing, unless `GOCKER_CONFIG` names it. Other keys belong to others.
 *
 * @throws UsageError with the file and the key that is wrong.
 */
export async function loadRegistriesConfig(
  environment: Record<string, string | undefined> = process.env,
): Promise<RegistriesConfig> {
  const named = environment["GOCKER_CONFIG"] || undefined;
  const path = named ?? defaultConfigPath;
  const text = await readSmallFile(path);
  if (text === undefined && named !== undefined) {
    throw new UsageError(`GOCKER_CONFIG names ${path}, which does not exist`);
  }
  const { registries, proxies } = parseRegistriesConfig(text ?? "{}", path);
  const mirrors = (environment["GOCKER_REGISTRY_MIRROR"] ?? "").split(/[\s,]+/).filter((entry) => entry !== "");
  if (mirrors.length === 0) return { registries, proxies };
  mirrors.forEach((mirror) => checkMirror(mirror, "GOCKER_REGISTRY_MIRROR"));
  const hub = registries.get("docker.io") ?? noSettings;
  const all = { ...hub, mirrors: [...mirrors, ...hub.mirrors] };
  return { registries: new Map([...registries, ["docker.io", all]]), proxies };
}

/** What is configured for a registry: its own entry, or the longest `*.` one that it lies below. */
export function registrySettings(config: RegistriesConfig, domain: string): RegistrySettings {
  const name = domain.toLowerCase();
  const own = config.registries.get(name);
  if (own !== undefined) return own;
  const host = parseHostPort(name)?.host ?? name;
  let best: [pattern: string, settings: RegistrySettings] | undefined;
  for (const [pattern, settings] of config.registries) {
    if (!pattern.startsWith("*.") || !host.endsWith(pattern.slice(1))) continue;
    if (best === undefined || pattern.length > best[0].length) best = [pattern, settings];
  }
  return best?.[1] ?? noSettings;
}

/** Reads the file's text; `path` is for errors. @throws UsageError with the key that is wrong. */
export function parseRegistriesConfig(text: string, path: string): RegistriesConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const check = new Checker(path);
  const { registries = {}, proxies = {} } = check.object(value, "the file");
  const entries = Object.entries(check.object(registries, "registries"));
  const settings = check.object(proxies, "proxies");
  check.keys(settings, "proxies", ["http-proxy", "https-proxy", "no-proxy"]);
  const textOf = (key: string) => check.optionalText(settings[key], `proxies.${key}`);
  const except = textOf("no-proxy");
  return {
    registries: new Map(entries.map(([name, entry]) => [check.name(name), settingsOf(check, name, entry)])),
    proxies: {
      http: textOf("http-proxy"),
      https: textOf("https-proxy"),
      ...(except !== undefined && { except: except.split(/[\s,]+/).filter((entry) => entry !== "") }),
    },
  };
}

function settingsOf(check: Checker, name: string, value: unknown): RegistrySettings {
  const where = `registries[${JSON.stringify(name)}]`;
  const object = check.object(value, where);
  // A mistyped key here could leave a mirror or a certificate out without a word.
  check.keys(object, where, ["mirrors", "insecure", "ca"]);
  const { mirrors = [], insecure = false, ca = [] } = object;
  if (typeof insecure !== "boolean") check.fail(`${where}.insecure must be true or false`);
  const list = check.texts(mirrors, `${where}.mirrors`);
  list.forEach((mirror) => checkMirror(mirror, `${check.path}: ${where}.mirrors`));
  const authorities = check.texts(typeof ca === "string" ? [ca] : ca, `${where}.ca`);
  return { mirrors: list, insecure, authorities };
}

/** @throws UsageError unless it is a URL of a host with an optional path, without credentials. */
function checkMirror(mirror: string, where: string): void {
  let url: URL | undefined;
  try {
    url = new URL(mirror.includes("://") ? mirror : `https://${mirror}`);
  } catch {
    // Told below.
  }
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new UsageError(`${where}: ${JSON.stringify(mirror)} is not a mirror`, {
      hint: "write https://HOST[:PORT][/PATH]",
    });
  }
  if (url.username === "" && url.password === "") return;
  throw new UsageError(`${where}: the URL of ${url.host} holds a user or password`, {
    hint: "put them into ~/.docker/config.json, under the mirror's host",
  });
}

class Checker {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  fail(message: string): never {
    throw new UsageError(`${this.path}: ${message}`);
  }

  object(value: unknown, where: string): Record<string, unknown> {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    this.fail(`${where} must be an object`);
  }

  keys(object: Record<string, unknown>, where: string, known: readonly string[]): void {
    for (const key of Object.keys(object)) {
      if (!known.includes(key))
        this.fail(`${where} has the unknown key ${JSON.stringify(key)} (known: ${known.join(", ")})`);
    }
  }

  texts(value: unknown, where: string): string[] {
    if (Array.isArray(value) && value.every((entry) => typeof entry === "string")) return value;
    this.fail(`${where} must be a list of strings`);
  }

  optionalText(value: unknown, where: string): string | undefined {
    if (value === undefined || typeof value === "string") return value || undefined;
    this.fail(`${where} must be a string`);
  }

  name(name: string): string {
    const lower = name.toLowerCase();
    const valid = parseHostPort(lower.replace(/^\*\./, "")) !== undefined && !lower.replace(/^\*\./, "").includes("*");
    if (!valid)
      this.fail(`${JSON.stringify(name)} is not the name of a registry (write HOST or HOST:PORT, without https://)`);
    return lower === "index.docker.io" || lower === "registry-1.docker.io" ? "docker.io" : lower;
  }
}
