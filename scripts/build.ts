/**
 * Builds `dist/gocker`, one file with everything in it: `npm run build [-- --target=linux-arm64 | --all]`.
 *
 * Workers. A Worker's module has to be an entrypoint of its own. Every file below src whose name ends in `worker.ts` is
 * one; in the binary it is `/$bunfs/root/<path below src>.js`, and that absolute path is the only safe way to start it. Other modules lie in
 * chunks directly under `/$bunfs/root`, so a URL relative to `import.meta.url` misses; and a relative path that is not
 * found in the binary is looked for in the current directory, which would run a stranger's code as root:
 *
 *     const module = Bun.isStandaloneExecutable
 *       ? "/$bunfs/root/image/layer/worker.js"
 *       : new URL("./worker.ts", import.meta.url).href;
 *     const worker = new Worker(module);
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { compile } from "./build/compile.ts";
import { hostTargetName } from "./build/runtime.ts";
import { parseTarget, targets } from "./build/targets.ts";

const repository = resolve(import.meta.dir, "..");
const sources = join(repository, "src");

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    all: { type: "boolean", default: false },
    "out-dir": { type: "string", default: join(repository, "dist") },
  },
});

const host = hostTargetName();
const chosen = values.all ? [...targets] : (values.target ?? [host]).map(parseTarget);
const workers = [...new Bun.Glob("**/*worker.ts").scanSync(sources)].sort();
const entrypoints = ["main.ts", ...workers].map((path) => join(sources, path));

for (const target of chosen) {
  const asked = values.all || values.target !== undefined;
  const outfile = resolve(values["out-dir"], asked ? `gocker-${target.name}` : "gocker");
  const start = performance.now();
  try {
    await compile({ repository, entrypoints, sources, target, outfile, programName: "gocker" });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
  console.error(`built ${outfile} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
