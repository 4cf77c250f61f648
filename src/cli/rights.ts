import { capabilitiesIn, lastCapability } from "../linux/capabilities.ts";
import { runsInUserNamespace } from "../linux/user-namespace.ts";
import { readIfThere } from "../util/read-if-there.ts";

/** What the user that gocker runs as may do here. */
export interface Rights {
  readonly isRoot: boolean;
  /** What was asked for can be done without root, for the most part. */
  readonly isRootOptional?: boolean;
  /** That user is another one outside of its user namespace. */
  readonly isInUserNamespace: boolean;
  /** The capabilities of the kernel that it lacks. */
  readonly missing: readonly string[];
}

/** gocker's own. proc_pid_status(5) */
export function ownRights(): Rights {
  const status = readIfThere("/proc/self/status") ?? "";
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const all = (1n << BigInt(lastCapability() + 1)) - 1n;
  return {
    isRoot: process.geteuid?.() === 0,
    isInUserNamespace: runsInUserNamespace(),
    missing: capabilitiesIn(all & ~effective),
  };
}

/** Why the kernel may have refused something for lack of rights; undefined when that can be no reason. */
export function hintForRefusal({
  isRoot,
  isRootOptional = false,
  isInUserNamespace,
  missing,
}: Rights): string | undefined {
  if (!isRoot && isRootOptional) return "gocker does not run as root, which may be why";
  if (!isRoot) return "gocker must run as root: try sudo";
  if (isInUserNamespace)
    return "gocker runs as root of a user namespace only, which may be why: run it outside of that";
  if (missing.length === 0) return undefined;
  const most = 3;
  const named = missing.length > most ? `${missing.length} capabilities` : missing.join(" and ");
  return `gocker runs as root without ${named}, which may be why: inside of a container, give it more (--privileged)`;
}
