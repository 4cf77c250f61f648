import { capabilitiesIn, lastCapability } from "../linux/capabilities.ts";
import { readIfThere } from "../util/read-if-there.ts";

/** What the user that gocker runs as may do here. */
export interface Rights {
  readonly isRoot: boolean;
  /** That user is another one outside of its user namespace. */
  readonly isInUserNamespace: boolean;
  /** The capabilities of the kernel that it lacks. */
  readonly missing: readonly string[];
}

/** What a kernel without user namespaces would say. */
const wholeMap = "0 0 4294967295";

/** gocker's own. proc_pid_status(5), user_namespaces(7) */
export function ownRights(): Rights {
  const status = readIfThere("/proc/self/status") ?? "";
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const all = (1n << BigInt(lastCapability() + 1)) - 1n;
  return {
    isRoot: process.geteuid?.() === 0,
    isInUserNamespace: !/^\s*0\s+0\s+4294967295\s*$/.test(readIfThere("/proc/self/uid_map") ?? wholeMap),
    missing: capabilitiesIn(all & ~effective),
  };
}

/** Why the kernel may have refused something for lack of rights; undefined when that can be no reason. */
export function hintForRefusal({ isRoot, isInUserNamespace, missing }: Rights): string | undefined {
  if (!isRoot) return "gocker must run as root: try sudo";
  if (isInUserNamespace)
    return "gocker runs as root of a user namespace only, which may be why: run it outside of that";
  if (missing.length === 0) return undefined;
  const most = 3;
  const named = missing.length > most ? `${missing.length} capabilities` : missing.join(" and ");
  return `gocker runs as root without ${named}, which may be why: inside of a container, give it more (--privileged)`;
}
