import { runsInUserNamespace } from "../../linux/user-namespace.ts";
import { UsageError } from "../../util/errors.ts";

/** Who calls gocker. */
export interface RootlessCaller {
  readonly isRoot: boolean;
  /** It is in another user namespace than the host's first one. */
  readonly isInUserNamespace: boolean;
}

/** gocker's own. */
export function ownCaller(): RootlessCaller {
  return { isRoot: process.geteuid?.() === 0, isInUserNamespace: runsInUserNamespace() };
}

/** The values of `--rootless` that runc's parser of truths takes. */
const truths: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((word) => [word, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((word) => [word, false] as const),
]);

/** The value of `--rootless`. @throws UsageError */
export function parseRootless(text: string): boolean | "auto" {
  if (text === "" || text.toLowerCase() === "auto") return "auto";
  const truth = truths.get(text);
  if (truth !== undefined) return truth;
  throw new UsageError(`--rootless must be true, false or auto, not ${JSON.stringify(text)}`);
}

/** Whether a refusal of cgroups is to be expected, and borne: as runc decides it. */
export function isCallRootless(given: boolean | "auto", caller: RootlessCaller): boolean {
  return given === "auto" ? !caller.isRoot || caller.isInUserNamespace : given;
}
