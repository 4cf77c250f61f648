import { denySetgroups, type IdMappings, type IdRange, writeIdMappings } from "../linux/user-namespace.ts";
import { GockerError } from "../util/errors.ts";
import { findProgram, programDirectories } from "../util/trusted-program.ts";

/** The user that gocker runs as. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
}

/** gocker's own. */
export function ownCaller(): Caller {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}

/** How the IDs of a user namespace are mapped. user_namespaces(7), "Defining user and group ID mappings" */
export type MappingWay =
  /** gocker writes the maps. */
  | "itself"
  /** gocker does, having taken the right to set groups away, as who is not root must. */
  | "itself without setgroups"
  /** The host's setuid programs newuidmap and newgidmap do, which know by subuid(5) what the caller may have. */
  | "helpers";

/** Who is not root can map one user and one group: its own. */
export function mappingWay({ uids, gids }: IdMappings, { uid, gid }: Caller): MappingWay {
  if (uid === 0) return "itself";
  return isOnly(uids, uid) && isOnly(gids, gid) ? "itself without setgroups" : "helpers";
}

function isOnly(ranges: readonly IdRange[], id: number): boolean {
  const [range] = ranges;
  return ranges.length === 1 && range?.hostID === id && range.size === 1;
}

/**
 * Maps the IDs of a user namespace that was just made.
 * @param pid as for `writeIdMappings`
 * @throws SystemCallError; GockerError the helpers that it takes are missing or refuse
 */
export function mapIds(pid: number, mappings: IdMappings, caller: Caller): void {
  const way = mappingWay(mappings, caller);
  if (way === "helpers") {
    runHelper("newuidmap", pid, mappings.uids);
    runHelper("newgidmap", pid, mappings.gids);
    return;
  }
  if (way === "itself without setgroups") denySetgroups(pid);
  writeIdMappings(pid, mappings.uids, mappings.gids);
}

/** A minute: they ask the host's user database, which may be elsewhere. */
const patience = 60_000;

/** @param name newuidmap(1) or newgidmap(1) */
function runHelper(name: "newuidmap" | "newgidmap", pid: number, ranges: readonly IdRange[]): void {
  const path = helperPath(name);
  const words = ranges.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size]).map(String);
  const { exitCode, signalCode, stdout, stderr } = Bun.spawnSync([path, String(pid), ...words], {
    stdin: "ignore",
    cwd: "/",
    env: {},
    timeout: patience,
    killSignal: "SIGKILL",
  });
  if (exitCode === 0) return;
  const said = `${stderr.toString()}${stdout.toString()}`.trim();
  const file = name === "newuidmap" ? "/etc/subuid" : "/etc/subgid";
  throw new GockerError(
    "ID_MAPPING",
    `the IDs of the user namespace cannot be mapped: ${said === "" ? `${path} ended with ${signalCode ?? exitCode}` : said}`,
    { hint: `${file} names the IDs that a user may map besides its own` },
  );
}

function helperPath(name: string): string {
  const found = findProgram(name);
  if (found?.isTrusted === true) return found.path;
  const wish = "a user namespace with more than the caller's own user and group";
  if (found !== undefined) {
    throw new GockerError("ID_MAPPING", `${wish} takes ${found.path}, which others than root may change`, {
      hint: `sudo chown root ${found.path} && sudo chmod go-w ${found.path}`,
    });
  }
  throw new GockerError("ID_MAPPING", `${wish} takes ${name}, which is not in ${programDirectories.join(", ")}`, {
    hint: "install it (on Debian, the package uidmap), or map one ID only, as `gocker oci spec --rootless` does",
  });
}
