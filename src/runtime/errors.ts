import { type ErrnoName, errnoName, errnos, errnoReason, systemCallError } from "../linux/errno.ts";
import type { Step } from "../linux/launch/plan.ts";
import type { FailedStep, LaunchOutcome } from "../linux/launch/status.ts";
import { GockerError, type GockerErrorOptions } from "../util/errors.ts";
import type { PlanPart } from "./plan/builder.ts";
import { isExecutableCheck } from "./plan/exec-lookup.ts";
import { isExecution } from "./plan/execution.ts";

/** The container's program could not be executed: not found, or found and not fit for it. */
export class ExecutionError extends GockerError {
  override readonly name = "ExecutionError";
  /** 127 when nothing of the name was found, else 126: what a shell says. */
  readonly exitCode: 126 | 127;
  readonly program: string;
  readonly reason: string;

  constructor(program: string, reason: string, exitCode: 126 | 127, options?: GockerErrorOptions) {
    super(
      exitCode === 127 ? "COMMAND_NOT_FOUND" : "COMMAND_NOT_EXECUTABLE",
      `cannot run ${program}: ${reason}`,
      options,
    );
    this.exitCode = exitCode;
    this.program = program;
    this.reason = reason;
  }
}

const missing: ReadonlySet<number> = new Set([errnos.ENOENT, errnos.ENOTDIR]);

/**
 * The error that a launch ended with; undefined when the program runs.
 * @param program argv[0] of the container
 * @param plan when it is given, the message of a step that the kernel refused begins with the property that asks for it
 */
export function launchError(
  outcome: LaunchOutcome,
  program: string,
  plan?: { readonly steps: readonly Step[]; readonly parts: readonly PlanPart[] },
): GockerError | undefined {
  const { fatal } = outcome;
  if (fatal === undefined) return undefined;
  if (!isAttempt(fatal)) return stepError(fatal, plan === undefined ? undefined : propertyOf(fatal.step, plan));
  const attempts = [...outcome.reported, fatal].filter(isAttempt);
  // As execvp has it: a place where something was found says more than the places where nothing was.
  const telling = attempts.find(({ errno }) => !missing.has(errno));
  if (telling !== undefined) return new ExecutionError(program, errnoReason(telling.errno), 126);
  const reason = program.includes("/") ? errnoReason(fatal.errno) : "executable file not found in the container's PATH";
  return new ExecutionError(program, reason, 127);
}

/** The program was executed, or looked for before the container is started. */
export function isAttempt({ step }: FailedStep): boolean {
  return isExecution(step) || isExecutableCheck(step);
}

function stepError({ step, errno }: FailedStep, property: string | undefined): GockerError {
  const hint = step.hints?.[errnoName(errno) as ErrnoName];
  const deed = property === undefined ? lowerFirst(step.label) : `${property}: ${lowerFirst(step.label)}`;
  return systemCallError(step.syscall, { step: deed, path: step.path, hint }, errno);
}

function propertyOf(
  step: Step,
  { steps, parts }: { readonly steps: readonly Step[]; readonly parts: readonly PlanPart[] },
): string | undefined {
  const number = steps.indexOf(step);
  return parts.find(({ from, until }) => from <= number && number < until)?.property;
}

/** A label in the middle of a sentence. */
export function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
