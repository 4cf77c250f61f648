import { GockerError, UsageError } from "../util/errors.ts";

/** As whom a container's process runs, from the container's own `/etc/passwd` and `/etc/group`. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  /** The supplementary groups, the primary one among them and first, each once. */
  readonly additionalGids: readonly number[];
  /** The home directory; `/` for a user without an entry. */
  readonly home: string;
  /** The name by passwd; absent for a number without an entry. */
  readonly name?: string;
}

/** The container's user database: the text of `/etc/passwd` and `/etc/group`, empty where it has none. */
export interface UserDatabase {
  readonly passwd: string;
  readonly group: string;
}

/** Reads files of the container, such as a `LayeredRoot`. */
export interface FileReader {
  readFile(path: string, limit: number): Uint8Array | undefined;
}

/** More than the users of a large university need (bytes). */
const databaseLimit = 16 * 1024 * 1024;

/** user_namespaces(7) and Docker: IDs are at most 31 bits wide here. */
const maximumId = 0x7fff_ffff;

/** A user or group that the container does not know. */
export class UnknownUserError extends GockerError {
  override readonly name = "UnknownUserError";
  constructor(kind: "user" | "group", name: string) {
    const file = kind === "user" ? "/etc/passwd" : "/etc/group";
    super("UNKNOWN_USER", `unable to find ${kind} ${name}: no such entry in the container's ${file}`, {
      hint: `a number needs no entry: see ${file} of the image for its ${kind}s`,
    });
  }
}

/**
 * The user database of a container.
 * @throws GockerError one of the files is larger than 16 MiB
 */
export function readUserDatabase(root: FileReader): UserDatabase {
  const decoder = new TextDecoder();
  const text = (path: string) => decoder.decode(root.readFile(path, databaseLimit) ?? new Uint8Array());
  return { passwd: text("/etc/passwd"), group: text("/etc/group") };
}

/**
 * Finds out as whom to run.
 *
 * A number is never looked up as a name: it need not have an entry, and one without has the group 0. Supplementary
 * groups come from the container's database only when `specification` names no group; `groupAdd` comes on top.
 * @param specification `user`, `uid`, `user:group`, `uid:gid` or mixed; empty for root
 * @param groupAdd `--group-add`: names or numbers
 * @throws UnknownUserError a name without an entry; UsageError a number out of range
 */
export function resolveUser(specification: string, groupAdd: readonly string[], database: UserDatabase): ContainerUser {
  const [userPart = "", groupPart = ""] = specification.split(/:(.*)/s, 2);
  const wantedUid = userPart === "" ? 0 : parseId(userPart);
  const user = find(passwdEntries(database.passwd), ({ uid, name }) =>
    wantedUid === undefined ? name === userPart : uid === wantedUid,
  );
  if (user === undefined && wantedUid === undefined) throw new UnknownUserError("user", userPart);

  const gid = groupPart === "" ? (user?.gid ?? 0) : resolveGroup(groupPart, database);
  const gids = new Set([gid]);
  if (groupPart === "" && user !== undefined) {
    for (const entry of groupEntries(database.group)) if (entry.members.includes(user.name)) gids.add(entry.gid);
  }
  for (const group of groupAdd) gids.add(resolveGroup(group, database));

  return {
    uid: user?.uid ?? (wantedUid as number),
    gid,
    additionalGids: [...gids],
    home: user?.home || "/",
    ...(user === undefined ? {} : { name: user.name }),
  };
}

function resolveGroup(text: string, database: UserDatabase): number {
  const number = parseId(text);
  if (number !== undefined) return number;
  const entry = find(groupEntries(database.group), ({ name }) => name === text);
  if (entry === undefined) throw new UnknownUserError("group", text);
  return entry.gid;
}

/** The number that the text writes; undefined for a name. @throws UsageError a number that is no ID */
function parseId(text: string): number | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const number = Number(text);
  if (number < 0 || number > maximumId) {
    throw new UsageError(`user and group numbers are between 0 and ${maximumId}, not ${text}`);
  }
  return number;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The entries of a passwd file. passwd(5). Lines that are none are skipped: half of one must not become root. */
function* passwdEntries(text: string): Generator<PasswdEntry> {
  for (const line of lines(text)) {
    const [name = "", , uid, gid, , home = ""] = line.split(":");
    const numbers = { uid: parseField(uid), gid: parseField(gid) };
    if (name === "" || numbers.uid === undefined || numbers.gid === undefined) continue;
    yield { name, uid: numbers.uid, gid: numbers.gid, home };
  }
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The entries of a group file. group(5) */
function* groupEntries(text: string): Generator<GroupEntry> {
  for (const line of lines(text)) {
    const [name = "", , number, members = ""] = line.split(":");
    const gid = parseField(number);
    if (name === "" || gid === undefined) continue;
    yield { name, gid, members: members.split(",").map((member) => member.trim()) };
  }
}

/** Lines without the comments that some systems have; one at a time, as the file may be large. */
function* lines(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end).trim();
    if (line !== "" && !line.startsWith("#")) yield line;
    start = end + 1;
  }
}

function parseField(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const number = Number(text);
  return number <= maximumId ? number : undefined;
}

function find<Entry>(entries: Iterable<Entry>, matches: (entry: Entry) => boolean): Entry | undefined {
  for (const entry of entries) if (matches(entry)) return entry;
  return undefined;
}
