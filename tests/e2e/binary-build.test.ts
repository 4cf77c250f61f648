import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

import { compile } from "../../scripts/build/compile.ts";
import { machineArm64, machineX64, parseElf } from "../../scripts/build/elf.ts";
import { hostTargetName } from "../../scripts/build/runtime.ts";
import { targets } from "../../scripts/build/targets.ts";
import { gocker } from "../helpers/binary.ts";

const repository = resolve(import.meta.dir, "../..");

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "gocker-build-"));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

test("two builds in different folders give the same bytes", async () => {
  const digests: string[] = [];
  for (const folder of ["first", join("second", "and", "deeper")]) {
    const copy = join(directory, folder);
    await copySources(copy);
    const child = Bun.spawn([process.execPath, "scripts/build.ts"], {
      cwd: copy,
      env: { PATH: process.env["PATH"] ?? "", BUILD_NUMBER: folder, USER: folder },
      stdout: "ignore",
      stderr: "pipe",
    });
    const problem = await child.stderr.text();
    if ((await child.exited) !== 0) throw new Error(problem);
    digests.push(
      new Bun.CryptoHasher("sha256").update(await Bun.file(join(copy, "dist/gocker")).bytes()).digest("hex"),
    );
  }
  expect(new Set(digests).size).toBe(1);
}, 60_000);

/** What the build reads, with the packages that go into the binary as copies, since their paths must not matter. */
async function copySources(folder: string): Promise<void> {
  const lock = (await Bun.file(join(repository, "package-lock.json")).json()) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const packages = Object.entries(lock.packages).filter(([path, { dev }]) => path !== "" && dev !== true);
  const paths = [
    "src",
    "scripts",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    ...packages.map(([path]) => path),
  ];
  for (const path of paths) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await cp(join(repository, path), join(folder, path), { recursive: true });
  }
}

describe.each([...targets])("cross-built for $name", (target) => {
  let outfile: string;

  beforeAll(async () => {
    outfile = join(directory, target.name);
    const sources = import.meta.dir;
    const entrypoints = [join(sources, "probe/main.ts"), join(sources, "probe/echo-worker.ts")];
    await compile({ repository, entrypoints, sources, target, outfile, programName: "probe" });
  }, 300_000);

  test("the ELF header names the machine and the C library", async () => {
    const { machine, interpreter } = parseElf(await Bun.file(outfile).bytes());
    const isX64 = target.architecture === "x64";
    const loaders = {
      glibc: isX64 ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux-aarch64.so.1",
      musl: isX64 ? "/lib/ld-musl-x86_64.so.1" : "/lib/ld-musl-aarch64.so.1",
    };
    expect({ machine, interpreter }).toEqual({
      machine: isX64 ? machineX64 : machineArm64,
      interpreter: loaders[target.libc],
    });
  });

  const emulation = emulatorFor(target.name);
  test.skipIf(emulation === undefined)(
    "it runs, and not as the runtime's switches want it",
    async () => {
      for (const environment of [
        {},
        { BUN_BE_BUN: "1" },
        { BUN_JSC_dumpOptions: "2" },
        { BUN_OPTIONS: "--cpu-prof" },
      ]) {
        const child = Bun.spawn([...(emulation ?? []), outfile, "worker"], {
          cwd: directory,
          env: environment,
          stdout: "pipe",
          stderr: "pipe",
        });
        const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
        expect({ stdout, stderr, exitCode: await child.exited }).toEqual({
          stdout: '{"answer":"ping: loaded from the binary","variable":null}\n',
          stderr: "",
          exitCode: 0,
        });
      }
    },
    60_000,
  );
});

/** The words before the program that run it here: none for the host's own target, undefined when nothing does. */
function emulatorFor(name: string): string[] | undefined {
  if (name === hostTargetName()) return [];
  const libraries = "/usr/aarch64-linux-gnu";
  const emulator = Bun.which("qemu-aarch64-static");
  return name === "linux-arm64" && emulator !== null && existsSync(libraries) ? [emulator, "-L", libraries] : undefined;
}

test("--version says the version of package.json and nothing else", async () => {
  const { version } = (await Bun.file(join(repository, "package.json")).json()) as { version: string };
  for (const flag of ["--version", "-v"]) {
    const { stdout, stderr, exitCode } = await gocker([flag]);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: `gocker version ${version}\n`, stderr: "", exitCode: 0 });
  }
});
