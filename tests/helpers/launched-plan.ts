import { closeSync, openSync } from "node:fs";
import { CLOSE_RANGE_CLOEXEC } from "../../src/linux/constants.ts";
import { createPipe, readSome, type OwnedFd } from "../../src/linux/fd.ts";
import { adoptChild } from "../../src/linux/launch/child.ts";
import { launch } from "../../src/linux/launch/launch.ts";
import { type Step, words } from "../../src/linux/launch/plan.ts";
import type { LaunchOutcome } from "../../src/linux/launch/status.ts";
import { exitCodeOf, processEnded, reap } from "../../src/linux/process.ts";

/** The steps that make a shell of the process. */
export function shellSteps(script: string): Step[] {
  const argv = words("sh", "-c", script, 0);
  return [
    { label: "Close the rest", group: "process", syscall: "close_range", args: [3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC] },
    {
      label: "Execute the shell",
      group: "process",
      syscall: "execve",
      args: ["/bin/sh", argv, words("PATH=/usr/sbin:/usr/bin:/sbin:/bin", 0)],
    },
  ];
}

export interface RunOptions {
  /** CLONE_NEW… flags. */
  readonly namespaces?: number;
  /** Steps that are given the writing end of the pipe for the child's number, and the reading end of the pipe to wait at. */
  readonly steps: (descriptors: { readonly pid: number; readonly go: number }) => readonly Step[];
  /** What is done about the process, by its number, before it may go on. */
  readonly prepare?: (pid: number) => void;
  readonly makesChild?: boolean;
}

export interface RunResult {
  readonly stdout: string;
  readonly exitCode: number;
  readonly outcome: LaunchOutcome;
  readonly pid: number;
}

/** Runs a plan to its end as a launcher does: adopts its child, prepares, lets it go on. */
export async function runPlan(options: RunOptions): Promise<RunResult> {
  using output = createPipe();
  using told = createPipe();
  using go = createPipe();
  const nothing = openSync("/dev/null", "r");
  const descriptors = { pid: told.writer.number, go: go.reader.number };
  using launched = launch({
    namespaces: options.namespaces ?? 0,
    steps: options.steps(descriptors),
    stdio: [nothing, output.writer.number, 2],
    descriptors: [descriptors.pid, descriptors.go],
  });
  closeSync(nothing);
  for (const end of [output.writer, told.writer, go.reader]) end.close();
  const child = options.makesChild === true ? await adoptChild(launched.pid, told.reader) : undefined;
  using pidfd: OwnedFd | undefined = child?.pidfd;
  const pid = child?.pid ?? launched.pid;
  options.prepare?.(pid);
  go.writer.close();
  const stdout = readAll(output.reader.number);
  const outcome = await launched.status.outcome();
  await processEnded(pidfd ?? launched.pidfd);
  return { stdout, exitCode: exitCodeOf(reap(pid)), outcome, pid };
}

function readAll(fd: number): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = readSome(fd, new Uint8Array(4096));
    if (chunk.length === 0) return Buffer.concat(chunks).toString();
    chunks.push(Buffer.from(chunk));
  }
}
