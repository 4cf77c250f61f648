import { type OnError, words, type Words } from "../../linux/launch/plan.ts";
import type { Process } from "../../oci/runtime-spec.ts";
import type { PlanBuilder } from "./builder.ts";
import { programCandidates } from "./exec-lookup.ts";

const group = "process";

/**
 * Executes `process.args`. A name without a slash is tried in each directory of the container's PATH: what fails is
 * reported, and the launcher says which failure matters. execve(2), execvp(3)
 * @param plan.file executed instead of what the first of them names
 * @param plan.isAlone nobody listens to reports any more: the process itself says what has failed
 * @throws InvalidDocumentError when there is nothing to execute
 */
export function addExecution(
  builder: PlanBuilder,
  process: Process,
  { file, isAlone = false }: { readonly file?: string | undefined; readonly isAlone?: boolean } = {},
): void {
  const candidates = file === undefined ? programCandidates(process) : [file];
  const argv = words(...(process.args ?? []), 0);
  const envp = words(...(process.env ?? []), 0);
  candidates.forEach((path, index) => {
    const isLast = index === candidates.length - 1 && !isAlone;
    builder.add({
      label: `Execute ${path}`,
      group,
      syscall: "execve",
      args: [path, argv, envp],
      path,
      ...(!isLast && { onError: isAlone ? { tolerate: "any" } : { tolerate: "any", report: true } }),
    });
  });
  if (isAlone) addExecutionFailure(builder, candidates.slice(0, mostExplained), [argv, envp]);
}

/** Of an execution's own: exit codes as a shell's, and the words of `errnoReason`, whose table takes time to be made. */
const executionErrors = [
  ["ENOEXEC", 126, "exec format error"],
  ["EACCES", 126, "permission denied"],
  ["E2BIG", 126, "argument list too long"],
  ["ETXTBSY", 126, "text file busy"],
  ["EPERM", 126, "operation not permitted"],
  ["ENOENT", 127, "no such file or directory"],
] as const;

/** As many as are left out by one step, with what comes after them. */
const mostExplained = 64;

/**
 * Says on standard error why the program cannot be executed, in runc's words, and ends as a shell would. That it is there
 * and may be executed was looked at when the container was made; what is wrong with its contents only the kernel says, when
 * it is tried. So it is tried again for each reason, the most telling of them first. execve(2)
 */
function addExecutionFailure(builder: PlanBuilder, candidates: readonly string[], [argv, envp]: [Words, Words]): void {
  const program = argv.words[0] as string;
  const attempt = (path: string, onError: OnError): void =>
    builder.add({
      label: `Why can ${path} not be executed?`,
      group,
      syscall: "execve",
      args: [path, argv, envp],
      onError,
    });
  for (const [error, exitCode, reason] of executionErrors) {
    candidates.forEach((path, index) => {
      attempt(path, { tolerate: "any", skipOn: [error], skip: candidates.length - index });
    });
    // No file has no name: what a filter permits here is the execution, and hardly anything else.
    attempt("", { tolerate: "any", skip: 2 });
    addLastWords(builder, `exec ${program}: ${reason}`, exitCode);
  }
  addLastWords(builder, `exec ${program}: cannot be executed`, 126);
}

function addLastWords(builder: PlanBuilder, sentence: string, exitCode: number): void {
  const bytes = Buffer.from(`${sentence}\n`);
  builder.add({
    label: `Say on standard error: ${sentence}`,
    group,
    syscall: "write",
    args: [2, bytes, bytes.length],
    onError: { tolerate: "any" },
  });
  builder.add({ label: `End with ${exitCode}`, group, syscall: "exit_group", args: [exitCode] });
}

/** Whether a failed step was the attempt to execute the container's program. */
export function isExecution(step: { readonly syscall: string }): boolean {
  return step.syscall === "execve";
}
