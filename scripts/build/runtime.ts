import { constants, existsSync } from "node:fs";
import { access, chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import type { Target } from "./targets.ts";

interface LockFile {
  packages: Record<string, { version?: string; integrity?: string }>;
}

/**
 * The path of the runtime's executable for `target`, of the version that package-lock.json names: the installed one
 * where it is for this machine, else the npm package's, fetched once with npm into `.cache/runtimes` and compared with
 * the lock file's digest. (The bundler would fetch it by itself, from elsewhere and without a digest.)
 */
export async function runtimeFor(target: Target, repository: string): Promise<string> {
  const lock = (await Bun.file(join(repository, "package-lock.json")).json()) as LockFile;
  const entry = lock.packages[`node_modules/${target.package}`];
  if (entry?.version === undefined || entry.integrity === undefined) {
    throw new Error(`package-lock.json has no version and integrity for ${target.package}`);
  }
  if (entry.version !== Bun.version) {
    throw new Error(`the build runs on Bun ${Bun.version}, the lock file wants ${entry.version}: run npm ci`);
  }
  if (target.name === hostTargetName()) return process.execPath;

  const directory = join(repository, ".cache", "runtimes");
  const cached = join(directory, `${target.package.replace("/", "-").slice(1)}-${entry.version}`);
  if (await isExecutable(cached)) return cached;
  await mkdir(directory, { recursive: true });
  const temporary = await mkdtemp(join(directory, "fetch-"));
  try {
    await run(["npm", "pack", "--silent", "--pack-destination", temporary, `${target.package}@${entry.version}`]);
    const [archive] = new Bun.Glob("*.tgz").scanSync(temporary);
    if (archive === undefined) throw new Error(`npm pack gave no archive for ${target.package}`);
    const bytes = await Bun.file(join(temporary, archive)).bytes();
    const integrity = `sha512-${new Bun.CryptoHasher("sha512").update(bytes).digest("base64")}`;
    if (integrity !== entry.integrity) {
      throw new Error(
        `${target.package}@${entry.version} is ${integrity}, but package-lock.json wants ${entry.integrity}`,
      );
    }
    const executable = (await new Bun.Archive(bytes).files("package/bin/*")).get("package/bin/bun");
    if (executable === undefined) throw new Error(`${target.package}@${entry.version} has no bin/bun`);
    const whole = join(temporary, "bun");
    await Bun.write(whole, executable);
    await chmod(whole, 0o755);
    await rename(whole, cached);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return cached;
}

/** The name of the target that the build itself runs on. */
export function hostTargetName(): string {
  const musl = existsSync(`/lib/ld-musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`);
  return `linux-${process.arch}${musl ? "-musl" : ""}`;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function run(command: string[]): Promise<void> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  const code = await child.exited;
  if (code !== 0) throw new Error(`${command.join(" ")} ended with code ${code}`);
}
