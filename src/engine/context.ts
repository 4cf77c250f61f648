import { mkdirSync } from "node:fs";
import { ImageStore } from "../image/store.ts";
import { GockerError, UsageError } from "../util/errors.ts";

/** Where gocker keeps what: every verb of the engine works on one of these. */
export interface EngineContext {
  /** What outlives a reboot: images, layers, containers, volumes. */
  readonly root: string;
  /** What does not. */
  readonly state: string;
  readonly images: ImageStore;
  /** `HOST` or `HOST:PORT`: certificates of these registries are not checked, and plain HTTP is spoken. */
  readonly insecureRegistries: readonly string[];
  /** Takes lines for people who look for a fault; no secrets are in them. */
  readonly debug: ((line: string) => void) | undefined;
  /** Takes what the user should know although it is no error. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** The command line's global options: `--root`, `--state`, `--insecure-registry`, `--debug`. */
export interface EngineOptions {
  readonly root?: string | undefined;
  readonly state?: string | undefined;
  readonly insecureRegistries?: readonly string[] | undefined;
  readonly debug?: ((line: string) => void) | undefined;
  readonly warn?: ((message: string) => void) | undefined;
}

/**
 * The context of `--root` and `--state`, else of `GOCKER_ROOT` and `GOCKER_STATE`, else of the usual options. They
 * are made when they are missing, for root alone: images hold setuid programs.
 * @throws UsageError for a relative path, GockerError when they cannot be made
 */
export function engineContext(
  options: EngineOptions = {},
  environment: Record<string, string | undefined> = process.env,
): EngineContext {
  const root = absolute(options.root ?? (environment["GOCKER_ROOT"] || "/var/lib/gocker"), "root");
  const state = absolute(options.state ?? (environment["GOCKER_STATE"] || "/run/gocker"), "state");
  for (const directory of [root, state]) makeDirectory(directory);
  return {
    root,
    state,
    images: ImageStore.open(root),
    insecureRegistries: options.insecureRegistries ?? [],
    debug: options.debug,
    warn: options.warn,
  };
}

function absolute(path: string, what: string): string {
  if (path.startsWith("/")) return path.length > 1 ? path.replace(/\/+$/, "") : path;
  throw new UsageError(`the ${what} directory must be an absolute path, not ${JSON.stringify(path)}`);
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isForRoot = code === "EACCES" || code === "EPERM";
    throw new GockerError(code ?? "ROOT_DIRECTORY", `the directory ${path} cannot be made`, {
      cause: error,
      hint: isForRoot ? "gocker needs root: run it with sudo" : "choose another one with --root and --state",
    });
  }
}
