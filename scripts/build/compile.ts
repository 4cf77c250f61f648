import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { disarm } from "./disarm.ts";
import { runtimeFor } from "./runtime.ts";
import { libraryName, type Target } from "./targets.ts";

export interface CompileOptions {
  /** The folder with package-lock.json, `.cache` and node_modules. */
  readonly repository: string;
  /** The program first, then every Worker's module. */
  readonly entrypoints: readonly string[];
  /** The folder that the entrypoints' paths in the binary are relative to. */
  readonly sources: string;
  readonly target: Target;
  readonly outfile: string;
  /** The name that the program has inside the binary; the same for every target, so that they differ in nothing else. */
  readonly programName: string;
}

/**
 * Arguments that the binary starts the runtime with.
 *
 * `strict`: no code but the binary's own is ever run, neither from strings nor from files. It also shuts the debugger out.
 */
const embeddedArguments = ["--disallow-code-generation-from-strings=strict", "--no-addons"];

/**
 * How many times more often than usual a function has to run before it is compiled to machine code. Most of what a
 * start executes runs once or a few times, and compiling it costs more than it gives: a sixth of `gocker run`, a quarter
 * of its processor time. src/main.ts goes back to the usual for whatever lives longer.
 */
const startupJitPolicy = 100;

/** What the sources are told of the target that they are compiled for: see src/linux/libc.ts. */
export function definitions(target: Target): Record<string, string> {
  return { GOCKER_LIBC: JSON.stringify(libraryName(target)) };
}

/**
 * Compiles a program and the runtime into one executable file. The same sources, runtime and target give the same
 * bytes, wherever the folders are. The result appears by rename, so a binary that runs at this moment is not disturbed.
 */
export async function compile(options: CompileOptions): Promise<void> {
  const folder = dirname(options.outfile);
  await mkdir(folder, { recursive: true });
  const temporary = await mkdtemp(join(folder, ".build-"));
  try {
    const runtime = await Bun.file(await runtimeFor(options.target, options.repository)).bytes();
    disarm(runtime);
    const executablePath = join(temporary, "runtime");
    await Bun.write(executablePath, runtime);
    await chmod(executablePath, 0o755);

    const whole = join(temporary, options.programName);
    await Bun.build({
      entrypoints: [...options.entrypoints],
      root: options.sources,
      target: "bun",
      format: "esm",
      compile: {
        target: options.target.compileTarget,
        outfile: whole,
        executablePath,
        execArgv: embeddedArguments,
        jitPolicy: startupJitPolicy,
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
      define: definitions(options.target),
      minify: true,
      // Read only when an error is printed: its stack then names the sources' lines.
      sourcemap: "linked",
      bytecode: true,
      splitting: true,
      // Nothing of the build's own environment gets into the binary.
      env: "disable",
    });
    await rename(whole, options.outfile);
  } catch (error) {
    const details = error instanceof AggregateError ? error.errors : [error];
    throw new Error(`cannot build ${basename(options.outfile)}:\n${details.map(String).join("\n")}`, { cause: error });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
