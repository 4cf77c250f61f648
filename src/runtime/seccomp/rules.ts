import type { Seccomp, SeccompAction } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { returnValue } from "./actions.ts";
import { type Condition, readCondition } from "./conditions.ts";

/** What happens when all conditions hold. */
export interface ConditionalRule {
  readonly conditions: readonly Condition[];
  readonly returns: number;
}

/** What a profile says of a system call: a return value, or rules of which the first that fits counts. */
export type Decision = number | readonly ConditionalRule[];

/** What a profile says, by the names of the system calls that it mentions. */
export interface Rules {
  /** For calls without a decision, and where no conditional rule fits. */
  readonly otherwise: number;
  readonly decisions: ReadonlyMap<string, Decision>;
}

/**
 * Reads the rules of a profile the way runc and crun give them to libseccomp: a rule that only repeats the default is
 * left out, a rule without conditions wins over those with conditions wherever it stands, the first of several wins,
 * and a rule with two conditions on the same argument is two rules. Throws InvalidDocumentError.
 */
export function readRules(seccomp: Seccomp): Rules {
  if (seccomp.defaultAction === "SCMP_ACT_NOTIFY") {
    const message = "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default seccomp action";
    throw new InvalidDocumentError(message, {
      hint: "the container would wait for its supervisor before that one can exist",
    });
  }
  const otherwise = valueOf("defaultErrnoRet", seccomp.defaultAction, seccomp.defaultErrnoRet);
  const decisions = new Map<string, number | ConditionalRule[]>();

  for (const [index, { names, action, errnoRet, args }] of (seccomp.syscalls ?? []).entries()) {
    if (action === "SCMP_ACT_NOTIFY" && names.includes("write")) {
      const property = `linux.seccomp.syscalls[${index}].action`;
      throw new InvalidDocumentError(`${property}: SCMP_ACT_NOTIFY cannot be used for the write syscall`, {
        hint: "the container's process tells by it that there is somebody to be asked",
      });
    }
    const returns = valueOf(`syscalls[${index}].errnoRet`, action, errnoRet);
    const rules =
      args === undefined || args.length === 0 ? undefined : conditionalRules(args.map(readCondition), returns);
    for (const name of names) {
      const known = decisions.get(name);
      if (returns === otherwise) {
        // Still kept as known: see `newest` in compile.ts.
        if (known === undefined) decisions.set(name, otherwise);
      } else if (typeof known === "number" && known !== otherwise) {
        continue;
      } else if (rules === undefined) {
        decisions.set(name, returns);
      } else if (typeof known === "object") {
        known.push(...rules);
      } else {
        decisions.set(name, [...rules]);
      }
    }
  }
  return { otherwise, decisions };
}

function conditionalRules(conditions: Condition[], returns: number): ConditionalRule[] {
  const indexes = new Set(conditions.map(({ index }) => index));
  if (indexes.size === conditions.length) return [{ conditions, returns }];
  return conditions.map((condition) => ({ conditions: [condition], returns }));
}

/** @param property of `linux.seccomp`, which the number is */
function valueOf(property: string, action: SeccompAction, data: number | undefined): number {
  try {
    return returnValue(action, data);
  } catch (error) {
    if (!(error instanceof InvalidDocumentError)) throw error;
    throw new InvalidDocumentError(`linux.seccomp.${property}: ${error.message}`, { cause: error });
  }
}
