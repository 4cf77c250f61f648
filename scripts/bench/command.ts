/** Runs a command that prepares something. @throws Error it failed: with what it wrote to stderr last */
export async function mustRun(...words: string[]): Promise<void> {
  const child = Bun.spawn(words, { stdio: ["ignore", "ignore", "pipe"] });
  const [problem, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status === 0) return;
  const reason = problem.trim().split("\n").slice(-5).join("\n");
  throw new Error(`${words.join(" ")} ended with ${status}:\n${reason}`);
}

/** What a command prints, or undefined when it is not there or fails. */
export function outputOf(...words: string[]): string | undefined {
  const [program = ""] = words;
  if (Bun.which(program) === null) return undefined;
  const { exitCode, stdout } = Bun.spawnSync(words, { stdio: ["ignore", "pipe", "ignore"] });
  return exitCode === 0 ? stdout.toString().trim() : undefined;
}
