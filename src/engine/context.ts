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
}

/** The command line's `--root` and `--state`. */
export interface EngineDirectories {
  readonly root?: string | undefined;
  readonly state?: string | undefined;
}

/**
 * The context of `--root` and `--state`, else of `GOCKER_ROOT` and `GOCKER_STATE`, else of the usual directories. They
 * are made when they are missing, for root alone: images hold setuid programs.
 * @throws UsageError for a relative path, GockerError when they cannot be made
 */
export function engineContext(
  directories: EngineDirectories = {},
  environment: Record<string, string | undefined> = process.env,
): EngineContext {
  const root = absolute(directories.root ?? (environment["GOCKER_ROOT"] || "/var/lib/gocker"), "root");
  const state = absolute(directories.state ?? (environment["GOCKER_STATE"] || "/run/gocker"), "state");
  for (const directory of [root, state]) makeDirectory(directory);
  return { root, state, images: ImageStore.open(root) };
}

function absolute(path: string, what: string): string {
  if (path.startsWith("/")) return path.length > 1 ? path.replace(/\/+$/, "") : path;
  throw new UsageError(`The ${what} directory must be an absolute path, not ${JSON.stringify(path)}`);
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isForRoot = code === "EACCES" || code === "EPERM";
    throw new GockerError(code ?? "ROOT_DIRECTORY", `The directory ${path} cannot be made`, {
      cause: error,
      hint: isForRoot ? "gocker needs root: run it with sudo" : "choose another one with --root and --state",
    });
  }
}
