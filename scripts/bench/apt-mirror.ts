import { existsSync, readdirSync, readFileSync } from "node:fs";

/** The first Debian archive that apt is told to use here: a machine in a closed network has one of its own. */
export function aptMirror(): string {
  for (const text of sourceLists()) {
    // deb822 files have `URIs:`, one-line files `deb [options] URI suite component…`. sources.list(5)
    const uri = /^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+\/debian\/?)(?:\s|$)/m.exec(text)?.[1];
    if (uri !== undefined) return uri;
  }
  return "https://deb.debian.org/debian";
}

function sourceLists(): string[] {
  const folder = "/etc/apt/sources.list.d";
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  const paths = ["/etc/apt/sources.list", ...names.map((name) => `${folder}/${name}`)];
  return paths
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .map((path) => readFileSync(path, "utf8"));
}
