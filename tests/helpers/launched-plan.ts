import { closeSync, openSync } from "node:fs";
import { CLOSE_RANGE_CLOEXEC } from "../../src/linux/constants.ts";
import { createPipe, readSome } from "../../src/linux/fd.ts";
import { launch } from "../../src/linux/launch/launch.ts";
import { type Step, words } from "../../src/linux/launch/plan.ts";
import type { LaunchOutcome } from "../../src/linux/launch/status.ts";
import { exitCodeOf, processEnded, reap } from "../../src/linux/process.ts";
import { processOfPlan } from "../../src/runtime/planned-process.ts";

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

export interface RunResult {
  readonly stdout: string;
  readonly exitCode: number;
  readonly outcome: LaunchOutcome;
}

/** Runs a plan to its end. */
export async function runPlan(request: {
  readonly steps: readonly Step[];
  /** CLONE_NEW… flags. */
  readonly namespaces?: number;
  /** The plan goes on in a child that its first process tells of. */
  readonly tellsChild?: boolean;
  /** Descriptors that the steps name. */
  readonly descriptors?: readonly number[];
  /** What is done while the plan runs, about the process that it goes on in. */
  readonly meanwhile?: (pid: number) => void;
}): Promise<RunResult> {
  using output = createPipe();
  const nothing = openSync("/dev/null", "r");
  using launched = launch({
    namespaces: request.namespaces ?? 0,
    steps: request.steps,
    stdio: [nothing, output.writer.number, 2],
    descriptors: request.descriptors ?? [],
  });
  closeSync(nothing);
  output.writer.close();
  const child = request.tellsChild === true ? await launched.status.childTold() : undefined;
  using process = processOfPlan(launched, child);
  request.meanwhile?.(process.pid);
  const stdout = readAll(output.reader.number);
  const outcome = await launched.status.outcome();
  await processEnded(process.pidfd);
  return { stdout, exitCode: exitCodeOf(reap(process.pid)), outcome };
}

function readAll(fd: number): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = readSome(fd, new Uint8Array(4096));
    if (chunk.length === 0) return Buffer.concat(chunks).toString();
    chunks.push(Buffer.from(chunk));
  }
}
