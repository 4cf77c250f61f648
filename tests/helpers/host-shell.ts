import { gockerBinary } from "./binary.ts";
import type { Outcome, Runner } from "./runner.ts";

/** Runs a script in a shell of the host's, in which `$G` is gocker and `$D` the sandbox: its pipes are real ones. */
export async function hostShell(runner: Runner, script: string): Promise<Outcome> {
  const child = Bun.spawn(["bash", "-o", "pipefail", "-c", script], {
    env: {
      PATH: process.env["PATH"] ?? "",
      ...runner.sandbox.environment,
      G: gockerBinary(),
      D: runner.sandbox.directory,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr, exitCode };
}
