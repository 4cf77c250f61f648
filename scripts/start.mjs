// `sudo npm start -- WORDS…`: runs dist/gocker with the words, after installing and building what is out of date.
// Without words it runs the image that lies in the binary. Nothing here writes to stdout, which is the container's.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";

import { ToolchainError, binary, buildWhenStale, installWhenStale } from "./toolchain.mjs";

const words = process.argv.slice(2);
if (words.length === 0) words.push("run", "gocker/hello");

try {
  installWhenStale();
  buildWhenStale();
} catch (error) {
  if (!(error instanceof ToolchainError)) throw error;
  console.error(`gocker: ${error.message}`);
  // The code of a gocker that could not do its own work.
  process.exit(125);
}

// Becoming gocker is best: terminal, signals and exit code are its own then. Node has it from 22.15 on.
if (typeof process.execve === "function") process.execve(binary, [binary, ...words], process.env);
else runAsChild();

function runAsChild() {
  const child = spawn(binary, words, { stdio: "inherit" });
  // Not process.stdin.isTTY, which would open the terminal beside the one who uses it.
  const hasTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  for (const signal of /** @type {const} */ (["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])) {
    process.on(signal, () => {
      // A terminal sends these two to gocker itself as well; it must not get them twice.
      if (hasTerminal && (signal === "SIGINT" || signal === "SIGQUIT")) return;
      child.kill(signal);
    });
  }
  child.on("error", (error) => {
    console.error(`gocker: cannot run ${binary}: ${error.message}`);
    process.exitCode = 125;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
}
