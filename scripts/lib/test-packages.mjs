import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ToolchainError, repository } from "../toolchain.mjs";
import { runCommand } from "./run-command.mjs";

/**
 * Installs those of test-packages.txt that are missing, without starting the services that some of them bring.
 * @throws {ToolchainError} when apt fails
 */
export async function installPackages() {
  const lines = readFileSync(join(repository, "scripts", "test-packages.txt"), "utf8").split("\n");
  const wanted = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (!existsSync("/usr/bin/apt-get")) {
    console.error(`This is no Debian: the tests need what these packages contain: ${wanted.join(" ")}`);
    return;
  }
  const query = spawnSync("dpkg-query", ["-W", "-f=${Package} ${db:Status-Status}\n", ...wanted], { encoding: "utf8" });
  const installed = new Set(query.stdout.split("\n").filter((line) => line.endsWith(" installed")));
  const missing = wanted.filter((name) => !installed.has(`${name} installed`));
  if (missing.length === 0) return;
  console.error(`installing what the tests need: ${missing.join(" ")}`);
  const policy = "/usr/sbin/policy-rc.d";
  const hasPolicy = statSync(policy, { throwIfNoEntry: false }) !== undefined;
  // 101: "action forbidden by policy", the way to keep a package's service from being started.
  if (!hasPolicy) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  // A machine that breaks down while it installs what only tests need is one to install anew: syncing each file takes long.
  const fast = ["-q", "-o", "DPkg::Options::=--force-unsafe-io"];
  try {
    for (const words of [["update"], ["install", "-y", "--no-install-recommends", ...missing]]) {
      const command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", ...fast, ...words];
      const { status } = await runCommand(command, { cwd: "/", output: undefined });
      if (status !== 0) throw new ToolchainError(`apt-get ${words.join(" ")} failed`);
    }
  } finally {
    if (!hasPolicy) rmSync(policy, { force: true });
  }
}
