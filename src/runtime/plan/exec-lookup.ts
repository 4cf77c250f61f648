import { AT_EACCESS, AT_FDCWD, F_OK, O_CLOEXEC, O_WRONLY, X_OK } from "../../linux/constants.ts";
import type { Step } from "../../linux/launch/plan.ts";
import type { Process } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";

const group = "process";
const labelOfChecks = "Look for the program";

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The paths that `process.args` may mean, in the order in which they are tried: a name without a slash is looked for in
 * each directory of the container's PATH. execvp(3)
 * @throws InvalidDocumentError when there is nothing to execute
 */
export function programCandidates({ args = [], env = [] }: Pick<Process, "args" | "env">): string[] {
  const [program] = args;
  if (program === undefined) throw new InvalidDocumentError("process.args: nothing to execute");
  if (program === "" || program.includes("/")) return [program];
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? defaultPath;
  const directories = new Set(path.split(":").filter((directory) => directory.startsWith("/")));
  const candidates = [...directories].map((directory) => `${directory.replace(/\/+$/, "")}/${program}`);
  // Something must fail, and be reported, where no directory is left to look in.
  return candidates.length > 0 ? candidates : [`${defaultPath.split(":")[0]}/${program}`];
}

const stepsOfCandidate = 3;
/** As many as one step can leave out, with their clock readings. */
const candidatesOfBlock = 38;

/**
 * Ends the launch, with the errors of an execution, when none of the program's places has something that may be executed:
 * so that `create` fails already and not `start`. With the user and the effective capabilities that the program will have,
 * in its working directory, and before the filter, which knows nothing of these calls. faccessat2(2), Linux 5.8
 * @throws InvalidDocumentError when there is nothing to execute
 */
export function addExecutableCheck(builder: PlanBuilder, process: Process): void {
  const candidates = programCandidates(process);
  for (let start = 0; start < candidates.length; start += candidatesOfBlock) {
    const end = Math.min(start + candidatesOfBlock, candidates.length);
    for (let index = start; index < end; index++) {
      addCandidate(builder, candidates[index] as string, {
        isLast: index === candidates.length - 1,
        // What comes of this block after the step that finds that the candidate is no directory.
        rest: 1 + (end - 1 - index) * stepsOfCandidate + (end === candidates.length ? 0 : 1),
      });
    }
    if (end === candidates.length) break;
    const next = Math.min(candidatesOfBlock, candidates.length - end);
    const isNextLast = end + next === candidates.length;
    addRelay(builder, next * stepsOfCandidate + (isNextLast ? 0 : 1));
  }
}

function addCandidate(builder: PlanBuilder, path: string, place: { isLast: boolean; rest: number }): void {
  const { isLast, rest } = place;
  const report = { tolerate: "any", report: true } as const;
  builder.add({
    label: `${labelOfChecks}: may ${path} be executed?`,
    group,
    syscall: "faccessat2",
    args: [AT_FDCWD, path, X_OK, AT_EACCESS],
    path,
    ...(!isLast && { onError: { ...report, skip: 2 } }),
  });
  // Directories have the same bits, for searching.
  const inside = `${path}/.`;
  builder.add({
    label: `${labelOfChecks}: is it a directory?`,
    group,
    syscall: "faccessat2",
    args: [AT_FDCWD, inside, F_OK, AT_EACCESS],
    path,
    // A path that is too long by these two characters is not looked at further.
    onError: { tolerate: ["ENOTDIR", "ENAMETOOLONG"], skip: rest },
  });
  builder.add({
    label: `${labelOfChecks}: a directory, which cannot be opened as one`,
    group,
    syscall: "openat",
    args: [AT_FDCWD, inside, O_WRONLY | O_CLOEXEC],
    path,
    ...(!isLast && { onError: report }),
  });
}

/** For what goes on searching: past the second step. For what has found, which comes to the second step: past the rest. */
function addRelay(builder: PlanBuilder, rest: number): void {
  const step = (label: string, skip: number): Step => ({
    label: `${labelOfChecks}: ${label}`,
    group,
    syscall: "getpid",
    args: [],
    onSuccess: { skip },
  });
  builder.add(step("go on in the next directories", 1));
  builder.add(step("it is found", rest));
}

/** Whether a failed step was one of {@link addExecutableCheck}: it means what the execution would have said. */
export function isExecutableCheck(step: Pick<Step, "label">): boolean {
  return step.label.startsWith(labelOfChecks);
}
