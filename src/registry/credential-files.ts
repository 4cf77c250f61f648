import { join } from "node:path";
import { readSmallFile } from "./files.ts";

/** A file that may hold credentials. */
export interface CredentialFile {
  readonly path: string;
  /** Whether its credential helpers are asked too. */
  readonly helpers: boolean;
  /** Read only when it belongs to this user or to root. */
  readonly owner?: number;
}

/**
 * The files in which credentials are looked for, in this order:
 *
 * 1. Docker's: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`;
 * 2. podman's and skopeo's: `$REGISTRY_AUTH_FILE`, else `$XDG_RUNTIME_DIR/containers/auth.json` (without the variable:
 *    `/run/containers/UID/auth.json`) and `~/.config/containers/auth.json`;
 * 3. under sudo, the same two of the user who called sudo, because that is who logged in. Their credential helpers are
 *    not asked: gocker would run them as root, without the session that holds the secrets.
 */
export async function credentialFiles(
  environment: Record<string, string | undefined>,
  passwdPath = "/etc/passwd",
): Promise<CredentialFile[]> {
  const value = (name: string) => environment[name] || undefined;
  const home = value("HOME");
  const files: CredentialFile[] = [];
  const docker = value("DOCKER_CONFIG") ?? (home && join(home, ".docker"));
  if (docker !== undefined) files.push({ path: join(docker, "config.json"), helpers: true });
  const named = value("REGISTRY_AUTH_FILE");
  if (named !== undefined) return [...files, { path: named, helpers: true }];
  const runtime = value("XDG_RUNTIME_DIR") ?? `/run/containers/${process.geteuid?.() ?? 0}`;
  const runtimeFile = value("XDG_RUNTIME_DIR") === undefined ? "auth.json" : "containers/auth.json";
  files.push({ path: join(runtime, runtimeFile), helpers: true });
  const settings = value("XDG_CONFIG_HOME") ?? (home && join(home, ".config"));
  if (settings !== undefined) files.push({ path: join(settings, "containers/auth.json"), helpers: true });
  return [...files, ...(await sudoFiles(environment, passwdPath))];
}

/** What sudo says of its caller: only believed by root, and only as far as that user's own files. */
async function sudoFiles(
  environment: Record<string, string | undefined>,
  passwdPath: string,
): Promise<CredentialFile[]> {
  const caller = environment["SUDO_UID"] ?? "";
  if (process.geteuid?.() !== 0 || !/^\d+$/.test(caller) || Number(caller) === 0) return [];
  const owner = Number(caller);
  const home = await homeOf(owner, passwdPath);
  const runtime = { path: `/run/user/${owner}/containers/auth.json`, helpers: false, owner };
  if (home === undefined) return [runtime];
  return [
    { path: join(home, ".docker/config.json"), helpers: false, owner },
    runtime,
    { path: join(home, ".config/containers/auth.json"), helpers: false, owner },
  ];
}

async function homeOf(uid: number, passwdPath: string): Promise<string | undefined> {
  for (const line of ((await readSmallFile(passwdPath)) ?? "").split("\n")) {
    const [, , id, , , home] = line.split(":");
    if (id === String(uid) && home?.startsWith("/")) return home;
  }
  return undefined;
}
