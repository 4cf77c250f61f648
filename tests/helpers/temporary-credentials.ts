import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Credentials } from "../../src/registry/credentials.ts";

/** A `config.json` with these logins, in a directory of its own. */
export function temporaryCredentials(login: Record<string, Credentials>): Disposable & { readonly path: string } {
  const directory = mkdtempSync(join(tmpdir(), "gocker-login-"));
  const path = join(directory, "config.json");
  const auths = Object.fromEntries(
    Object.entries(login).map(([registry, credentials]) => [registry, entryOf(credentials)]),
  );
  writeFileSync(path, JSON.stringify({ auths }), { mode: 0o600 });
  return { path, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

function entryOf(credentials: Credentials): object {
  switch (credentials.kind) {
    case "password":
      return { auth: btoa(`${credentials.username}:${credentials.password}`) };
    case "identity-token":
      return { identitytoken: credentials.token };
    case "bearer":
      return { registrytoken: credentials.token };
  }
}
