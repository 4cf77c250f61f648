// `npm run check`: types, format, lint rules and import directions; all are run, whatever fails.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

import { bunExecutable, installWhenStale, repository } from "./toolchain.mjs";

installWhenStale();
const bun = /** @type {string} */ (bunExecutable());
const modules = join(repository, "node_modules");

// --no-script: else Bun runs the script of package.json that has its command's name, which is this one.
/** @type {[string, string[]][]} */
const checks = [
  ["types", ["check", "--no-script", "--all"]],
  ["format", ["fmt", "--no-script", "--check"]],
  ["lint", [join(modules, "oxlint", "bin", "oxlint"), "--type-aware", "--quiet", "."]],
  // Run by Bun, since the newest versions refuse Node 20.
  [
    "imports",
    [
      join(modules, "dependency-cruiser", "bin", "dependency-cruiser.mjs"),
      "--config",
      ".dependency-cruiser.cjs",
      "src",
      "tests",
      "scripts",
    ],
  ],
];

let failed = 0;
for (const [name, args] of checks) {
  const start = performance.now();
  const { status } = spawnSync(bun, args, { cwd: repository, stdio: "inherit" });
  if (status !== 0) failed++;
  console.log(
    `check ${name}: ${status === 0 ? "ok" : "FAILED"} (${((performance.now() - start) / 1000).toFixed(1)} s)`,
  );
}
process.exitCode = failed === 0 ? 0 : 1;
