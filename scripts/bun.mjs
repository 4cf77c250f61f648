// `node scripts/bun.mjs WORDS…`: the project's Bun, whether or not npm was allowed to run its install script.
import { spawnSync } from "node:child_process";

import { bunExecutable, installWhenStale, repository } from "./toolchain.mjs";

installWhenStale();
const result = spawnSync(/** @type {string} */ (bunExecutable()), process.argv.slice(2), {
  cwd: repository,
  stdio: "inherit",
});
if (result.error) throw result.error;
process.exitCode = result.status ?? 1;
