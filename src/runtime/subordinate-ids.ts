import type { IdMappings, IdRange } from "../linux/user-namespace.ts";
import { readIfThere } from "../util/read-if-there.ts";

/**
 * The mappings of a user namespace for which a specification has none: its root is gocker's own user, and the others are
 * those that the host lets this user have, which may be none. As crun has it. subuid(5), subgid(5)
 * @param own gocker's user and group, and the user's name: that of the host's user database, unless told
 * @param read the text of a file, undefined when there is none
 */
export function defaultIdMappings(
  own: { readonly uid: number; readonly gid: number; readonly name?: string | undefined },
  read: (path: string) => string | undefined = readIfThere,
): IdMappings {
  const names = [own.name ?? nameOf(own.uid, read("/etc/passwd")), String(own.uid)];
  return {
    uids: [{ containerID: 0, hostID: own.uid, size: 1 }, ...subordinate(read("/etc/subuid"), names)],
    // Groups are given to users too.
    gids: [{ containerID: 0, hostID: own.gid, size: 1 }, ...subordinate(read("/etc/subgid"), names)],
  };
}

/** The first name of a user's, by passwd(5). */
function nameOf(uid: number, passwd = ""): string | undefined {
  return passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find(([, , number]) => number === String(uid))?.[0];
}

/** The first range of a user's, from the ID 1 on. @param names by which the file may call the user */
function subordinate(text: string | undefined, names: readonly (string | undefined)[]): IdRange[] {
  for (const line of (text ?? "").split("\n")) {
    const [name = "", first = "", count = ""] = line.split(":");
    if (!names.includes(name) || !/^\d+$/.test(first) || !/^[1-9]\d*$/.test(count)) continue;
    return [{ containerID: 1, hostID: Number(first), size: Number(count) }];
  }
  return [];
}
