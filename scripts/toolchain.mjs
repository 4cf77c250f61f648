// What start.mjs, test.mjs and the tests' helpers share: installed dependencies, the runtime's executable and a binary
// that is as new as its sources. Plain Node, since a fresh machine has nothing else.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chownSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..");
export const binary = join(repository, "dist", "gocker");

/** The digest of the sources that `binary` was built from. */
const builtFrom = join(repository, "dist", "gocker.sources");

/** A step of the set-up failed; its own output has told why. */
export class ToolchainError extends Error {}

/**
 * Runs a command and waits for it, with its output on stderr. As root in somebody else's folder (`sudo npm start`) it
 * runs as the folder's owner, so that nothing in there comes to belong to root and no package's code gets root's rights.
 * @param {string[]} command
 */
export function runAsOwner(command) {
  const [program = "", ...args] = command;
  const owner = statSync(repository);
  const isOther = process.getuid?.() === 0 && owner.uid !== 0;
  const result = spawnSync(program, args, {
    cwd: repository,
    stdio: ["ignore", process.stderr.fd, "inherit"],
    ...(isOther ? { uid: owner.uid, gid: owner.gid, env: environmentOf(owner.uid) } : {}),
  });
  if (result.error) throw new ToolchainError(`cannot run ${program}: ${result.error.message}`);
  if (result.status !== 0) throw new ToolchainError(`${command.join(" ")} failed (${result.signal ?? result.status})`);
}

/**
 * This process's environment with what is root's in it exchanged: the home directory, and npm's files there, which
 * `npm start` names in variables. An owner without a home keeps npm's cache in the repository.
 * @param {number} uid
 */
function environmentOf(uid) {
  const roots = new Set(["HOME", "npm_config_cache", "npm_config_userconfig", "npm_config_init_module"]);
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !roots.has(name)));
  const entries = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const home = entries.find((fields) => fields[2] === String(uid))?.[5];
  if (home !== undefined && existsSync(home)) return { ...environment, HOME: home };
  return { ...environment, HOME: repository, npm_config_cache: join(repository, ".cache", "npm") };
}

/** Runs `npm ci` when what is installed is not what package-lock.json names. */
export function installWhenStale() {
  if (dependenciesAreCurrent()) return;
  console.error("gocker: installing the build's dependencies (npm ci)");
  // Under `npm start` npm says where it lies; PATH may hold another one or, under sudo, none.
  const npm = process.env["npm_execpath"];
  const command = npm?.endsWith(".js") ? [process.execPath, npm] : ["npm"];
  runAsOwner([...command, "ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  // Postinstall scripts are not needed: the runtime is used where its package has it (bunExecutable).
  if (bunExecutable() === undefined) {
    throw new ToolchainError(
      `npm ci installed no Bun for linux-${process.arch}: were optional dependencies left out (npm config get omit)?`,
    );
  }
}

function dependenciesAreCurrent() {
  /** @param {string} path @returns {Record<string, { version?: string, optional?: boolean, dev?: boolean }>} */
  const packagesIn = (path) => JSON.parse(readFileSync(join(repository, path), "utf8")).packages;
  let installed;
  try {
    installed = packagesIn("node_modules/.package-lock.json");
  } catch {
    return false;
  }
  return (
    Object.entries(packagesIn("package-lock.json")).every(([path, { version, optional }]) => {
      const present = installed[path];
      // Optional ones are for other machines, or this one's: then their version counts too.
      return path === "" || (present === undefined ? optional === true : present.version === version);
    }) && bunExecutable() !== undefined
  );
}

/**
 * The Bun that runs the build and the tests. npm may be told to run no install scripts (newer ones run none that are
 * not allowed by name), and then `node_modules/.bin/bun` is a placeholder; so it is looked for in the package for this
 * machine first, and where the install script would have moved it second.
 * @returns {string | undefined}
 */
export function bunExecutable() {
  const architecture = process.arch === "arm64" ? "aarch64" : process.arch;
  const loader = `/lib/ld-musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`;
  const name = `bun-linux-${architecture}${existsSync(loader) ? "-musl" : ""}`;
  const candidates = [`@oven/${name}/bin/bun`, "bun/bin/bun.exe"].map((path) => join(repository, "node_modules", path));
  // The placeholder is a few hundred bytes.
  return candidates.find((path) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000);
}

/** Builds `binary` when it was built from other sources than those that lie there now. */
export function buildWhenStale() {
  const digest = sourceDigest();
  if (existsSync(binary) && existsSync(builtFrom) && readFileSync(builtFrom, "utf8") === digest) return;
  const bun = bunExecutable();
  if (bun === undefined) throw new ToolchainError("Bun is not installed: run npm ci");
  console.error("gocker: building dist/gocker");
  runAsOwner([bun, join(repository, "scripts", "build.ts")]);
  writeFileSync(builtFrom, digest);
  const { uid, gid } = statSync(repository);
  if (process.getuid?.() === 0) chownSync(builtFrom, uid, gid);
}

/** Everything that decides what the binary is: the sources, the build, and the versions of what goes into it. */
function sourceDigest() {
  const hash = createHash("sha256");
  const files = ["package.json", "package-lock.json", "tsconfig.json", "scripts/build.ts"];
  for (const folder of ["src", "scripts/build"]) {
    const entries = readdirSync(join(repository, folder), { recursive: true, withFileTypes: true });
    for (const entry of entries) if (entry.isFile()) files.push(join(entry.parentPath, entry.name));
  }
  for (const file of files.map((path) => resolve(repository, path)).sort()) {
    const bytes = readFileSync(file);
    hash.update(`${file.slice(repository.length)}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}
