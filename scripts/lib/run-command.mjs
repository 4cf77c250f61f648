import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

/**
 * Runs a command to its end, without input.
 * @param {readonly string[]} command
 * @param {object} options
 * @param {string} options.cwd
 * @param {string | undefined} options.output a file that gets both outputs as they come; else they are this process's
 * @param {number} [options.timeout] milliseconds after which it is killed
 * @returns {Promise<{ status: number | null, signal: string | null }>}
 * @throws {Error} when it cannot be started
 */
export async function runCommand([program = "", ...args], { cwd, output, timeout }) {
  // A file and no pipe: what a test leaves running would hold that open for ever.
  const target = output === undefined ? undefined : openSync(output, "w");
  try {
    const child = spawn(program, args, {
      cwd,
      stdio: ["ignore", target ?? "inherit", target ?? "inherit"],
      killSignal: "SIGKILL",
      ...(timeout === undefined ? {} : { timeout }),
    });
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (status, signal) => resolve({ status, signal }));
    });
  } finally {
    if (target !== undefined) closeSync(target);
  }
}
