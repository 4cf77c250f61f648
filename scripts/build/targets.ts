/** What gocker is built for: the runtime's names of it, and what the ELF header of the result must say. */
export interface Target {
  /** As in `--target=` and in the file name: `linux-x64`, `linux-arm64-musl`. */
  readonly name: string;
  /** The npm package that holds the runtime's executable. */
  readonly package: string;
  /** The bundler's name. */
  readonly compileTarget: Bun.Build.CompileTarget;
  readonly architecture: "x64" | "arm64";
  readonly libc: "glibc" | "musl";
}

/** The name by which the C library is known to the loader of a target. */
export function libraryName({ libc, architecture }: Target): string {
  return libc === "glibc" ? "libc.so.6" : `libc.musl-${architecture === "arm64" ? "aarch64" : "x86_64"}.so.1`;
}

export const targets: readonly Target[] = [
  {
    name: "linux-x64",
    package: "@oven/bun-linux-x64",
    compileTarget: "bun-linux-x64",
    architecture: "x64",
    libc: "glibc",
  },
  {
    name: "linux-arm64",
    package: "@oven/bun-linux-aarch64",
    compileTarget: "bun-linux-arm64",
    architecture: "arm64",
    libc: "glibc",
  },
  {
    name: "linux-x64-musl",
    package: "@oven/bun-linux-x64-musl",
    compileTarget: "bun-linux-x64-musl",
    architecture: "x64",
    libc: "musl",
  },
  {
    name: "linux-arm64-musl",
    package: "@oven/bun-linux-aarch64-musl",
    compileTarget: "bun-linux-arm64-musl",
    architecture: "arm64",
    libc: "musl",
  },
];

/** The target called `name`; throws with the names that exist. */
export function parseTarget(name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (found === undefined) {
    throw new Error(`unknown target ${name}: known are ${targets.map((target) => target.name).join(", ")}`);
  }
  return found;
}
